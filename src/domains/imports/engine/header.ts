import { unescapeFormula } from '../../../lib/csv.ts'
import { Problem } from '../../../lib/errors.ts'

/** The column that a rejects file adds; sent back, it is ignored. */
export const errorsColumn = '_errors'

export const columnsMax = 2_000
/** Characters of all names together. */
export const headerMax = 1_048_576

/** The first record of a file. */
export type Header = {
  /** As the file has it. */
  cells: string[]
  /** Trimmed; a column without a name is `column_<its place>`. */
  names: string[]
}

/** @throws Problem `csv_header_invalid` for a name that is there twice, too many columns, or too long names */
export function readHeader(cells: string[], width: number): Header {
  if (width > columnsMax)
    throw new Problem('csv_header_invalid', `The header has ${width} columns; at most ${columnsMax} are read.`)
  if (cells.reduce((sum, cell) => sum + cell.length, 0) > headerMax) throw longHeader()
  const names = cells.map((cell, at) => cleanCell(cell) || `column_${at + 1}`)
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name))
      throw new Problem('csv_header_invalid', `The header names the column "${name.slice(0, 200)}" twice.`)
    seen.add(name)
  }
  if (names.some((name) => name.includes('\u0000') || name.includes('\uFFFD')))
    throw new Problem('csv_header_invalid', 'The header holds a character that cannot be read; is the encoding right?')
  return { cells, names }
}

export const longHeader = () => new Problem('csv_header_invalid', `The header line exceeds ${headerMax} characters.`)

/** A cell without the white space around it and without the escape that rejects files have. */
export function cleanCell(cell: string): string {
  const text = cell.trim()
  return text.charCodeAt(0) === 39 ? unescapeFormula(text).trim() : text
}
