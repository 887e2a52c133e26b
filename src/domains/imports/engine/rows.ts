import type { ErrorObject } from 'ajv'
import type { OpenTarget, RowFault } from '../../../db/import-target.ts'
import { faultMessage } from '../../../lib/faults.ts'
import { cleanCell } from './header.ts'
import type { Plan, Source } from './mapping.ts'
import type { Target, Value } from './target.ts'
import { printable } from './text.ts'

/** A row of the target's fields, as its POST takes it; a field without a value is undefined. */
export type Row = Record<string, unknown>

/** What is wrong with one cell, or with the whole row where `column` is null. */
export type CellError = { column: string | null; code: string; value: string | null; message: string }

/** Turns records into rows: the row, or everything that is wrong with it. */
export type ReadRow = (
  cells: string[],
  suspect: boolean,
) => { row: Row; errors?: undefined } | { row?: undefined; errors: CellError[] }

/** @param judge of rows that the schema accepts */
export function createRowReader({ sources, attributes }: Plan, target: Target, judge?: OpenTarget['judge']): ReadRow {
  const { validate, derive, derived } = target
  const read = [...sources, ...sources.flatMap(({ spare }) => spare ?? []), ...attributes]

  const attributesOf = (cells: string[]) => {
    const found: Record<string, unknown> = Object.create(null)
    for (const { name, at } of attributes) {
      const text = cleanCell(cells[at] as string)
      const members = name === 'attributes' ? membersOf(text) : undefined
      if (members !== undefined) Object.assign(found, members)
      else if (text !== '') found[name] = text
    }
    return found
  }

  /** One error a column: what could not be read is not judged again. */
  const withRefusals = (errors: CellError[], refusals: ErrorObject[], cells: string[]) => {
    const byColumn = new Map(errors.map((error) => [error.column, error]))
    for (const refusal of refusals) {
      const error = describe(refusal, cells, sources, target)
      if (!byColumn.has(error.column)) byColumn.set(error.column, error)
    }
    return [...byColumn.values()]
  }

  const faulty = ({ field, code, message }: RowFault, cells: string[]): CellError => {
    const source = sources.find((one) => one.field === field)
    return { ...(source ? whereOf(source, cells) : { column: null, value: null }), code, message }
  }

  return (cells, suspect) => {
    const row: Row = {}
    let errors: CellError[] | undefined
    for (const source of sources) {
      const value = readCell(source, cells)
      if (value === unreadable) errors = [...(errors ?? []), { ...source.refusal, ...whereOf(source, cells) }]
      row[source.field] = value === unreadable ? undefined : value
    }
    if (attributes.length > 0) row.attributes = attributesOf(cells)
    if (suspect) errors = [...unstorable(read, cells), ...(errors ?? [])]
    if (!validate(row)) errors = withRefusals(errors ?? [], validate.errors ?? [], cells)
    if (errors !== undefined && errors.length > 0) return { errors }
    for (const field of derived) row[field] ??= undefined
    derive(row)
    const fault = judge?.(row)
    return fault === undefined ? { row } : { errors: [faulty(fault, cells)] }
  }
}

/** The attributes of a row as an export writes them: one JSON object; undefined where the text is none. */
function membersOf(text: string): object | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as object
  } catch {
    return undefined
  }
}

const unreadable = Symbol('unreadable')

function readCell(source: Source, cells: string[]): Value | typeof unreadable {
  const { at, spare, constant, fallback, values, read } = source
  if (at === -1) return constant
  let text = cleanCell(cells[at] as string)
  if (text === '' && spare !== undefined) text = cleanCell(cells[spare.at] as string)
  if (text === '') return fallback
  if (values?.has(text)) return values.get(text)
  if (read === undefined) return text
  const value = read(text)
  return value === undefined ? unreadable : value
}

/** The cell that the value came from; the field's own column where that and its spare are empty. */
function whereOf({ column, at, spare, constant }: Source, cells: string[]) {
  if (at === -1) return { column, value: String(constant) }
  const own = excerpt(cells[at] as string)
  const other = own === null && spare !== undefined ? excerpt(cells[spare.at] as string) : null
  return other === null ? { column, value: own } : { column: spare?.column ?? column, value: other }
}

const excerptMax = 200
const excerpt = (cell: string): string | null => printable(cleanCell(cell), excerptMax) || null

/** Cells with characters that are nothing: NUL, and what the encoding could not read. */
function unstorable(columns: { at: number; column?: string | null; name?: string }[], cells: string[]): CellError[] {
  return columns.flatMap(({ at, column, name }) => {
    const cell = cells[at] ?? ''
    const where = { column: column ?? name ?? null, value: excerpt(cell) }
    if (cell.includes('\u0000')) return [{ ...where, code: 'invalid_character', message: 'holds a NUL character' }]
    if (cell.includes('\uFFFD'))
      return [{ ...where, code: 'invalid_encoding', message: 'holds bytes that the encoding does not allow' }]
    return []
  })
}

/** A refusal of the schema, in terms of the file. */
function describe(error: ErrorObject, cells: string[], sources: Source[], target: Target): CellError {
  const { instancePath, keyword, params } = error
  const [field, attribute] =
    keyword === 'required' ? [String(params.missingProperty)] : instancePath.slice(1).split('/').map(unescapePointer)
  const source = sources.find((one) => one.field === field)
  const where = source ? whereOf(source, cells) : { column: attribute ?? null, value: null }
  if (keyword === 'pattern' && field !== undefined && isNegative(where.value, field, target))
    return { ...where, code: 'negative', message: 'must not be negative' }
  const code = keyword.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return { ...where, code, message: faultMessage(error) }
}

/** Whether only its sign keeps the value from being one of the field. */
const isNegative = (value: string | null, field: string, target: Target) =>
  value !== null && /^-[0-9]/.test(value) && target.accepts(field, value.slice(1))

const unescapePointer = (text: string) => text.replaceAll('~1', '/').replaceAll('~0', '~')
