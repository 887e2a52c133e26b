import type { FieldHint } from '../../../db/import-target.ts'
import { autoFormat, type DateFinding, findDateFormats } from '../engine/date-formats.ts'
import { isoFormat } from '../engine/dates.ts'
import { compileNumberFormat, type NumberFormat } from '../engine/numbers.ts'
import { converterOf, type Target, type Value } from '../engine/target.ts'
import type { FieldMapping } from '../mappings/schemas.ts'
import { type Column, shareOf } from './columns.ts'

/** How the cells of a column become values of a field. */
export type Shape = {
  /** The share of the filled cells that do; 0 where there is none. */
  share: number
  mapping: Omit<FieldMapping, 'column'>
  /** For a date: what can be read in two ways, or is written in several. */
  dates?: DateFinding
  /** For a coded field: cells that are no word of it. */
  unknown?: string[]
  /** For a number: `1,234` may be a thousand and more, or little more than one. */
  isUnclear?: boolean
}

/** So many different cells tell a form, and so few whether the schema takes them, which costs more. */
const cellsMax = 1_000
const judgedMax = 200

/** How a column would be read as a field, whatever either is called. */
export function shapeOf(field: string, column: Column, target: Target): Shape {
  const kind = target.kinds.get(field) ?? 'text'
  const hint = target.hints?.[field] ?? {}
  const words = target.fields.get(field)?.enum as readonly (string | null)[] | undefined
  if (kind === 'date') return dateShape(column)
  if (kind === 'decimal' || kind === 'integer') return numberShape(field, column, target, hint)
  if (kind === 'boolean') return codedShape(column, { true: ['yes', 'y', '1', 't'], false: ['no', 'n', '0', 'f'] })
  if (words === undefined) return { share: acceptedShare(field, firstCells(column), target), mapping: {} }
  const values = words.filter((word) => word !== null)
  return codedShape(column, Object.fromEntries(values.map((value) => [value, hint.words?.[value] ?? []])))
}

const firstCells = ({ cells }: Column) => [...cells.keys()].slice(0, cellsMax)

/** The share of values that the field may have, judged by some of them from everywhere. */
function acceptedShare(field: string, values: readonly Value[], target: Target): number {
  const step = Math.max(1, Math.floor(values.length / judgedMax))
  const judged = values.filter((_, at) => at % step === 0)
  return judged.length === 0 ? 0 : judged.filter((value) => target.accepts(field, value)).length / judged.length
}

function dateShape(column: Column): Shape {
  const cells = firstCells(column)
  const dates = findDateFormats(cells)
  const isOpen = dates.isMixed || dates.formats.length > 1
  const date_format = isOpen ? autoFormat : dates.formats[0]
  return {
    share: cells.length === 0 ? 0 : dates.readable / cells.length,
    mapping: date_format === undefined || date_format === isoFormat ? {} : { date_format },
    ...(isOpen && { dates }),
  }
}

/** The forms that numbers are looked for in, the plainest first. */
const marks: NumberFormat[] = [
  {},
  { thousands: ',' },
  { decimal: ',' },
  { decimal: ',', thousands: '.' },
  { thousands: ' ' },
  { decimal: ',', thousands: ' ' },
  { thousands: "'" },
]

function numberShape(field: string, column: Column, target: Target, { isShare }: FieldHint): Shape {
  const cells = firstCells(column)
  const signs: NumberFormat = {
    ...(cells.some((cell) => /\p{Sc}|[A-Z]{3}/u.test(cell)) && { currency_signs: true }),
    ...(cells.some((cell) => cell.includes('(')) && { parentheses: true }),
    ...(target.kinds.get(field) === 'decimal' && isShare && areHundredths(cells) && { percent: true }),
  }
  const kind = target.kinds.get(field) ?? 'decimal'
  const judged = marks.map((mark) => {
    const format = { ...mark, ...signs }
    const { read } = converterOf(kind, { number: format })
    const values = cells.map((cell) => read?.(cell))
    return { format, values, count: values.filter((value) => value !== undefined).length }
  })
  const best = judged.toSorted((a, b) => b.count - a.count)[0] as (typeof judged)[number]
  const other = judged.some(
    ({ count, values }) => count === best.count && values.some((value, at) => value !== best.values[at]),
  )
  const readable = best.values.filter((value) => value !== undefined)
  return {
    share: cells.length === 0 ? 0 : (best.count / cells.length) * acceptedShare(field, readable, target),
    mapping: best.format,
    ...(best.count > 0 && other && { isUnclear: true }),
  }
}

/** A share of one is written in hundredths where a percent sign says so, or where most numbers are above one. */
function areHundredths(cells: string[]): boolean {
  if (cells.some((cell) => cell.endsWith('%'))) return true
  const read = compileNumberFormat({ decimal: cells.some((cell) => cell.includes('.')) ? '.' : ',' })
  const numbers = cells.flatMap((cell) => read(cell) ?? []).map((text) => Math.abs(Number(text)))
  return numbers.filter((number) => number > 1).length > numbers.length / 2
}

/** The form in which words are compared: `P I F`, `p.i.f.` and `P-I-F` are one. */
const spoken = (text: string) => (text.toLowerCase().match(/[\p{L}0-9]+/gu) ?? []).join(' ')

function codedShape(column: Column, words: Record<string, readonly string[]>): Shape {
  const meanings = new Map<string, string>()
  for (const [value, others] of Object.entries(words))
    for (const word of [value, ...others]) if (!meanings.has(spoken(word))) meanings.set(spoken(word), value)
  const values: Record<string, string> = Object.create(null)
  const unknown: string[] = []
  for (const cell of firstCells(column)) {
    const value = meanings.get(spoken(cell))
    if (value === undefined) unknown.push(cell)
    else if (value !== cell) values[cell] = value
  }
  return {
    share: shareOf(column, (cell) => meanings.has(spoken(cell))),
    mapping: Object.keys(values).length > 0 ? { values: { ...values } } : {},
    ...(unknown.length > 0 && { unknown }),
  }
}
