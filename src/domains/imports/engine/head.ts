import { Problem } from '../../../lib/errors.ts'
import { CsvReader, endOfFirstLine } from './csv.ts'
import { columnsMax, type Header, headerMax, longHeader, readHeader } from './header.ts'

/** How much of a file is looked at, in characters. */
export const headMax = 1_048_576

/** How much is looked at for the delimiter where the header line alone does not tell. */
const delimiterSampleMax = 65_536
const recordsForDelimiter = 200

/** The delimiters that are looked for; the earlier wins a draw, for it is the rarer in names and numbers. */
const delimiters = ['\t', '|', ';', ',']

/** The text of a file as far as it has been read. */
export class Head {
  text = ''
  /** The file has no more. */
  ended = false
  readonly #pieces: AsyncIterator<string>

  constructor(pieces: AsyncIterator<string>) {
    this.#pieces = pieces
  }

  /** Reads on until there are so many characters, or the file has ended. */
  async fill(size: number): Promise<void> {
    while (!this.ended && this.text.length < size) await this.#more()
  }

  /**
   * Reads as far as is needed to find the delimiter: to the end of the header line, and further only where several
   * delimiters stand in it. So what is found does not depend on how the file arrives.
   * @throws Problem `csv_header_invalid` for a line without end
   */
  async delimiter(): Promise<string> {
    while (!this.ended && endOfFirstLine(this.text) === -1) {
      if (this.text.length > headerMax) throw longHeader()
      await this.#more()
    }
    const found = delimitersIn(this.text)
    if (found.length <= 1) return found[0] ?? ','
    await this.fill(delimiterSampleMax)
    return detectDelimiter(this.text.slice(0, delimiterSampleMax))
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#pieces.next()
    if (done) this.ended = true
    else this.text += value
  }
}

/** The delimiters that stand in the first line outside quotes. */
function delimitersIn(text: string): string[] {
  const end = endOfFirstLine(text)
  const unquoted = (end === -1 ? text : text.slice(0, end)).replaceAll(/"[^"]*"/g, '')
  return delimiters.filter((delimiter) => unquoted.includes(delimiter))
}

/**
 * The delimiter under which most records are as wide as the header, and of several the one that makes most columns; a
 * comma where there is none.
 * @param text the head of a file, its first line at least
 */
export function detectDelimiter(text: string): string {
  const judged = delimitersIn(text).map((delimiter) => ({ delimiter, ...widthsOf(text, delimiter) }))
  const best = judged.toSorted((a, b) => b.even - a.even || b.width - a.width)[0]
  return best?.delimiter ?? ','
}

/** How wide the header is under a delimiter, and the share of records that are so, too. */
function widthsOf(text: string, delimiter: string): { width: number; even: number } {
  const widths: number[] = []
  const reader = new CsvReader(delimiter, columnsMax + 1)
  const readOn = () => {
    while (widths.length < recordsForDelimiter && reader.next() !== undefined) widths.push(reader.width)
  }
  try {
    reader.push(text)
    readOn()
    if (widths.length === 0) reader.end()
    readOn()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { width: 0, even: 0 }
  }
  const [width = 0] = widths
  return { width, even: widths.filter((one) => one === width).length / Math.max(1, widths.length) }
}

/** The records at the head of a file, read as the whole is read. */
export type Sample = { header: Header; records: string[][] }

/**
 * @param ended whether `text` is the whole file; else its last record may be cut off, and is left out
 * @throws Problem `csv_empty`, and what is wrong with the header or the records
 */
export function readSample(text: string, delimiter: string, ended: boolean): Sample {
  const reader = new CsvReader(delimiter, columnsMax + 1)
  let header: Header | undefined
  const records: string[][] = []
  const readOn = () => {
    for (let cells = reader.next(); cells !== undefined; cells = reader.next())
      if (header === undefined) header = readHeader(cells, reader.width)
      else records.push(cells)
  }
  reader.push(text)
  readOn()
  if (ended) reader.end()
  readOn()
  if (header === undefined)
    throw ended ? new Problem('csv_empty', 'The file is empty; it needs a header line at least.') : longHeader()
  return { header, records }
}
