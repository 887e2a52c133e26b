import { createIdSource } from './ids.ts'
import type { Row } from './rows.ts'

/** Bytes of COPY text after which a chunk is loaded; two of them are in memory at once. */
const chunkSize = 2_097_152
/** Text is encoded in pieces, because a long text made of parts is costly to hold. */
const pieceSize = 65_536
const bytesPerCharMax = 3

/** A row's place in the file, and its record as it stood there. */
export type Origin = { line: number; raw: string }

/**
 * Rows in the form COPY takes, with what is needed to tell of those that the table refuses. Its memory is used again
 * for the next rows: buffers made anew for each chunk would pile up until the garbage collector looks for them.
 */
export class Chunk {
  /** Where the row of a key comes from: the last one, where a key is repeated. */
  readonly origins = new Map<string, Origin>()
  /** Whether a key is there twice. */
  repeats = false
  #bytes = Buffer.allocUnsafeSlow(chunkSize + pieceSize * bytesPerCharMax)
  #used = 0
  #text = ''

  get full(): boolean {
    return this.#used >= chunkSize
  }

  add(key: string, text: string, origin: Origin): void {
    this.repeats ||= this.origins.has(key)
    this.origins.set(key, origin)
    this.#text += text
    if (this.#text.length >= pieceSize) this.#encode()
  }

  /** The COPY text of all rows. */
  *pieces(): Generator<Buffer> {
    this.#encode()
    for (let at = 0; at < this.#used; at += pieceSize)
      yield this.#bytes.subarray(at, Math.min(at + pieceSize, this.#used))
  }

  clear(): void {
    this.origins.clear()
    this.repeats = false
    this.#used = 0
  }

  #encode(): void {
    const room = this.#used + this.#text.length * bytesPerCharMax
    // Only a row that is far longer than any real one needs more.
    if (room > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes.subarray(0, this.#used)], room)
    this.#used += this.#bytes.write(this.#text, this.#used)
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
