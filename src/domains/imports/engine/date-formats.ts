import { compileDateFormat, isoFormat, type ReadDate } from './dates.ts'

/** Says that the file is to tell how its dates are written. */
export const autoFormat = 'auto'

/** The formats that are recognised, the likelier of two that read the same first. */
const formats = [
  ...[isoFormat, 'YYYY-M-D', 'YYYY/M/D', 'YYYY.M.D', 'YYYYMMDD', 'M/D/YYYY', 'D/M/YYYY', 'M-D-YYYY', 'D-M-YYYY'],
  ...['D.M.YYYY', 'D M YYYY', 'M/D/YY', 'D/M/YY', 'M-D-YY', 'D-M-YY', 'D.M.YY', 'D-MMM-YYYY', 'D-MMM-YY'],
  ...['D/MMM/YYYY', 'D MMM YYYY', 'D MMM YY', 'DMMMYYYY', 'MMM D, YYYY', 'MMM D YYYY', 'MMM-D-YYYY'],
  ...['YYYY-MMM-D', 'MMDDYYYY', 'DDMMYYYY'],
].map((format) => ({ format, read: compileDateFormat(format) as ReadDate }))

/** What the dates of a column say of their format. */
export type DateFinding = {
  /** The formats that read every cell which any format reads; more than one where they read different dates. */
  formats: string[]
  /** How many cells are dates at all. */
  readable: number
  /** A cell that tells the formats apart, with what each of them makes of it. */
  example?: { value: string; dates: string[] }
  /** Some cells are dates in one format only, and some in another. */
  isMixed: boolean
}

/** @param cells without the empty ones */
export function findDateFormats(cells: readonly string[]): DateFinding {
  const candidates = formats
    .map(({ format, read }) => ({ format, dates: cells.map((cell) => read(cell)) }))
    .filter(({ dates }) => dates.some((date) => date !== undefined))
  const isDate = cells.map((_, at) => candidates.some(({ dates }) => dates[at] !== undefined))
  const readable = isDate.filter(Boolean).length
  const complete = candidates.filter(({ dates }) => dates.every((date, at) => date !== undefined || !isDate[at]))
  const distinct = complete.filter(
    ({ dates }, at) =>
      !complete.slice(0, at).some((earlier) => earlier.dates.every((date, row) => date === dates[row])),
  )
  const row = cells.findIndex((_, at) => new Set(distinct.map(({ dates }) => dates[at])).size > 1)
  return {
    formats: distinct.map(({ format }) => format),
    readable,
    isMixed: readable > 0 && complete.length === 0,
    ...(row !== -1 && {
      example: { value: cells[row] as string, dates: distinct.map(({ dates }) => dates[row] as string) },
    }),
  }
}
