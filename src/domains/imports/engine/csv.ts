import { Problem } from '../../../lib/errors.ts'

const quote = 34
const lf = 10
const cr = 13

/** Characters of one record at most: a forgotten closing quote would swallow the rest of the file. */
const recordMax = 4_194_304

/**
 * Reads CSV record by record from text that comes in pieces, in linear time, and keeps no more than one record.
 *
 * RFC 4180, and lenient where nothing is ambiguous: a line ends with LF, CRLF or CR; a quote inside an unquoted cell
 * is text; an empty line is no record.
 */
export class CsvReader {
  /** Where the record that {@link next} returned begins; the first line of a file is 1. */
  line = 1
  /** How many records there were. */
  records = 0
  /** How many cells that record has; those past the limit are counted, not kept. */
  width = 0
  /** That record as it stood in the file. */
  raw = ''
  /** Whether the text at hand holds a NUL or a replacement character, so that its cells deserve a look. */
  suspect = false

  readonly #delimiter: number
  readonly #cellsMax: number
  #text = ''
  #held = ''
  #ended = false
  #recordAt = 0
  #cells: string[] = []
  #count = 0
  /** In a cell: where its content begins, and from where it is still to be searched for its end. */
  #cellAt = 0
  #scanAt = 0
  #inCell = false
  #quoted = false
  #afterCr = false
  #lines = 1

  /** @param cellsMax how many cells of a record are kept */
  constructor(delimiter: string, cellsMax: number) {
    this.#delimiter = delimiter.charCodeAt(0)
    this.#cellsMax = cellsMax
  }

  /** Takes the next piece, once {@link next} has returned undefined. */
  push(piece: string): void {
    this.#refuseLong(this.#text.length)
    this.#held += piece
    // A long record that comes in crumbs is put together now and then: at each crumb it would cost its square.
    if (this.#held.length * 8 < this.#text.length - this.#recordAt && !this.#ended) return
    const rest = this.#text.slice(this.#recordAt)
    const more = this.#held
    this.#held = ''
    this.suspect = (rest !== '' && this.suspect) || more.includes('\u0000') || more.includes('\uFFFD')
    this.#cellAt -= this.#recordAt
    this.#scanAt -= this.#recordAt
    this.#recordAt = 0
    this.#text = rest === '' ? more : rest + more
  }

  /** No piece follows: what is left is the last record. */
  end(): void {
    this.#ended = true
    this.push('')
  }

  /**
   * The cells of the next record, or undefined when more text is needed or, after {@link end}, none is left.
   * @throws Problem `csv_malformed` or `csv_record_too_large`, with the line
   */
  next(): string[] | undefined {
    while (this.#openCell()) {
      const at = this.#quoted ? this.#closingQuote() : this.#endOfPlain()
      const after = this.#quoted ? at + 1 : at
      if (at === -1 || (after >= this.#text.length && !this.#ended)) return undefined
      const code = after < this.#text.length ? this.#text.charCodeAt(after) : lf
      const ends = code === lf || code === cr
      if (!ends && code !== this.#delimiter) throw malformed(this.#lines, 'has text after a closing quote')
      this.#closeCell(at, after)
      if (!ends) continue
      this.#afterCr = code === cr
      const record = this.#endRecord(after)
      if (record !== undefined) return record
    }
    // A delimiter at the very end of the file is followed by one more, empty cell.
    if (!this.#ended || this.#count === 0) return undefined
    this.#closeCell(this.#cellAt, this.#cellAt)
    return this.#endRecord(this.#text.length)
  }

  /** Whether there is text for a cell. */
  #openCell(): boolean {
    if (this.#inCell) return true
    const text = this.#text
    if (this.#afterCr && this.#cellAt < text.length) {
      this.#afterCr = false
      if (text.charCodeAt(this.#cellAt) === lf) this.#recordAt = ++this.#cellAt
    }
    if (this.#cellAt >= text.length) return false
    this.#quoted = text.charCodeAt(this.#cellAt) === quote
    if (this.#quoted) this.#cellAt++
    this.#scanAt = this.#cellAt
    this.#inCell = true
    return true
  }

  #endOfPlain(): number {
    const text = this.#text
    const delimiter = this.#delimiter
    let at = this.#scanAt
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === delimiter || code === lf || code === cr) break
    }
    this.#scanAt = at
    return at
  }

  /** Where the quoted cell ends, or -1 when that is not in the text yet. */
  #closingQuote(): number {
    const text = this.#text
    for (;;) {
      const at = text.indexOf('"', this.#scanAt)
      if (at === -1) {
        if (this.#ended) throw malformed(this.#lines, 'opens a quote that is never closed')
        this.#scanAt = text.length
        return -1
      }
      this.#scanAt = at
      if (text.charCodeAt(at + 1) !== quote) return at
      this.#scanAt += 2
    }
  }

  #closeCell(end: number, after: number): void {
    if (this.#count++ < this.#cellsMax) {
      const cell = this.#text.slice(this.#cellAt, end)
      this.#cells.push(this.#quoted && cell.includes('"') ? cell.replaceAll('""', '"') : cell)
    }
    this.#cellAt = after + 1
    this.#inCell = false
  }

  /** The record that ends here, or undefined for an empty line. */
  #endRecord(end: number): string[] | undefined {
    this.#refuseLong(end)
    const cells = this.#cells
    this.raw = this.#text.slice(this.#recordAt, end)
    this.line = this.#lines
    this.width = this.#count
    this.#lines += 1 + (this.raw.includes('\n') ? this.raw.split('\n').length - 1 : 0)
    this.#cells = []
    this.#count = 0
    this.#recordAt = this.#cellAt
    if (this.raw === '') return undefined
    this.records++
    return cells
  }

  #refuseLong(end: number): void {
    if (end - this.#recordAt > recordMax)
      throw new Problem(
        'csv_record_too_large',
        `The record that begins on line ${this.#lines} exceeds ${recordMax} characters; a quote may not be closed.`,
      )
  }
}

const malformed = (line: number, what: string) =>
  new Problem('csv_malformed', `The record that begins on line ${line} ${what}.`)

/** The cells of one record, taken from {@link CsvReader.raw}. */
export function parseRecord(raw: string, delimiter: string): string[] {
  const reader = new CsvReader(delimiter, Number.POSITIVE_INFINITY)
  reader.push(raw)
  reader.end()
  return reader.next() ?? []
}

/** Where the first line that is not empty ends in `text`; -1 when its end is not there yet. */
export function endOfFirstLine(text: string): number {
  let quoted = false
  for (let at = text.search(/[^\r\n]/); at !== -1 && at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) quoted = !quoted
    else if (!quoted && (code === lf || code === cr)) return at
  }
  return -1
}
