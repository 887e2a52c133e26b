import { createIdSource } from './ids.ts'
import type { Row } from './rows.ts'

/** Characters of COPY text after which a chunk is loaded; two of them are in memory at once. */
const chunkSize = 2_097_152
/** Text becomes bytes in pieces, because a long text made of parts is costly to hold. */
const pieceSize = 65_536

/** A row's place in the file, and its record as it stood there. */
export type Origin = { line: number; raw: string }

/** Rows in the form COPY takes, with what is needed to tell of those that the table refuses. */
export class Chunk {
  /** COPY text of all rows, once {@link close} was called. */
  readonly pieces: Buffer[] = []
  /** Where the row of a key comes from: the last one, where a key is repeated. */
  readonly origins = new Map<string, Origin>()
  /** Whether a key is there twice. */
  repeats = false
  #text = ''
  #size = 0

  get full(): boolean {
    return this.#size >= chunkSize
  }

  add(key: string, text: string, origin: Origin): void {
    this.repeats ||= this.origins.has(key)
    this.origins.set(key, origin)
    this.#text += text
    if (this.#text.length >= pieceSize) this.close()
  }

  /** Turns what was added into bytes. */
  close(): void {
    if (this.#text === '') return
    this.#size += this.#text.length
    this.pieces.push(Buffer.from(this.#text))
    this.#text = ''
  }
}

/**
 * Makes a writer of rows as COPY's text format has them: a new id, then the columns.
 * @param constants the values of columns that are the same in every row, in front of the id
 */
export function createRowWriter(constants: readonly string[], columns: readonly string[]): (row: Row) => string {
  const prefix = constants.map((value) => `${value}\t`).join('')
  const nextId = createIdSource()
  return (row) => {
    let text = prefix + nextId()
    for (const column of columns) text += `\t${copyValue(row[column])}`
    return `${text}\n`
  }
}

const special = /[\\\t\n\r]/
const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function copyValue(value: unknown): string {
  if (value === undefined || value === null) return '\\N'
  if (typeof value === 'number') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return special.test(text) ? text.replace(/[\\\t\n\r]/g, (found) => escapes[found] as string) : text
}
