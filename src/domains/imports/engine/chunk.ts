import { createIdSource } from '../../../lib/ids.ts'
import type { Row } from './rows.ts'

/** Bytes of COPY text, or of records, after which a chunk is loaded; two chunks are in memory at once. */
const chunkSize = 2_097_152
const rowsMax = 32_768

/** A row's place in the file, and its record as it stood there. */
export type Origin = { line: number; raw: string }

/**
 * Rows in the form COPY takes, with what is needed to tell of those that the table refuses. All of it lies in buffers
 * that serve the next rows too: kept as strings, rows would outlive the young generation and swell the heap.
 */
export class Chunk {
  readonly #copy = new TextBuffer(chunkSize)
  readonly #records = new TextBuffer(chunkSize)
  readonly #lines = new Uint32Array(rowsMax)
  /** Where a row's record ends among the characters of all. */
  readonly #ends = new Uint32Array(rowsMax)
  rows = 0

  get full(): boolean {
    return Math.max(this.#copy.size, this.#records.size) >= chunkSize || this.rows >= rowsMax
  }

  /** @param text the row as COPY takes it */
  add(text: string, { line, raw }: Origin): void {
    this.#copy.append(text)
    this.#records.append(raw)
    this.#lines[this.rows] = line
    this.#ends[this.rows] = (this.#ends[this.rows - 1] ?? 0) + raw.length
    this.rows++
  }

  /** The COPY text of all rows. */
  *pieces(): Generator<Buffer> {
    const bytes = this.#copy.bytes()
    for (let at = 0; at < bytes.length; at += pieceSize) yield bytes.subarray(at, at + pieceSize)
  }

  /** Where the rows of these numbers come from, the first row being 0. */
  *origins(numbers: readonly number[]): Generator<Origin> {
    const text = numbers.length === 0 ? '' : this.#records.bytes().toString()
    for (const number of numbers)
      yield { line: this.#lines[number] as number, raw: text.slice(this.#ends[number - 1] ?? 0, this.#ends[number]) }
  }

  clear(): void {
    this.#copy.clear()
    this.#records.clear()
    this.rows = 0
  }
}

/** Text is encoded in pieces, because a long text made of parts is costly to hold. */
const pieceSize = 65_536
const bytesPerCharMax = 3

/** Text as UTF-8, in memory that is used again and again. */
class TextBuffer {
  #bytes: Buffer
  #used = 0
  #text = ''

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafeSlow(size + pieceSize * bytesPerCharMax)
  }

  get size(): number {
    return this.#used
  }

  append(text: string): void {
    this.#text += text
    if (this.#text.length >= pieceSize) this.#encode()
  }

  bytes(): Buffer {
    this.#encode()
    return this.#bytes.subarray(0, this.#used)
  }

  clear(): void {
    this.#used = 0
    this.#text = ''
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
