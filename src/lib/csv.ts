/**
 * What makes a spreadsheet run a cell as a formula, as a regular expression that Postgres reads alike: the signs, also in
 * full width and after white space, and a first character that some drop.
 */
export const formulaCell = '^[\\s\\u00a0\\u3000\\ufeff]*[=+@\\uff1d\\uff0b\\uff0d\\uff20-]|^[\\t\\r\\n]'
const formula = new RegExp(formulaCell)
const negativeNumber = /^-[0-9]+(\.[0-9]+)?$/
const needsQuotes = /[",\r\n]|^\s|\s$/

/** One record as RFC 4180 has it, with its line end; a cell that a spreadsheet would run gets a leading apostrophe. */
export const csvRecord = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`

function csvCell(cell: string): string {
  const safe = formula.test(cell) && !negativeNumber.test(cell) ? `'${cell}` : cell
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/**
 * Takes the apostrophe of {@link csvRecord} off again. A cell that began with an apostrophe and one of those characters
 * by itself loses it too: spreadsheets do the same, and what is read twice reads the same.
 */
export const unescapeFormula = (cell: string): string =>
  cell.charCodeAt(0) === 39 && formula.test(cell.slice(1)) ? cell.slice(1) : cell
