import { Problem } from '../../../lib/errors.ts'
import type { FieldMapping, ImportMapping } from '../mappings/schemas.ts'
import { errorsColumn, type Header } from './header.ts'
import type { NumberFormat } from './numbers.ts'
import { converterOf, type Target, type Value } from './target.ts'

/** Where the value of one field comes from. */
export type Source = {
  field: string
  /** The column as the header names it; null for a constant. */
  column: string | null
  /** Its place in a record; -1 for a constant. */
  at: number
  /** The column that stands in where this one's cell is empty. */
  spare: { column: string; at: number } | undefined
  constant: Value
  /** What an empty cell stands for. */
  fallback: Value
  values: ReadonlyMap<string, Value> | undefined
  /** Reads a cell; undefined where the cell is no such thing. */
  read: ((text: string) => Value) | undefined
  /** The error of a cell that `read` refuses. */
  refusal: { code: string; message: string }
}

/** How a record becomes a row. */
export type Plan = {
  sources: Source[]
  /** Columns that go into the attributes. */
  attributes: { name: string; at: number }[]
}

export const attributesMax = 64
export const attributeNameMax = 100

/**
 * Ties a mapping to the header of a file.
 * @throws Problem `mapping_column_missing`, or `csv_header_invalid` when too much would become attributes
 */
export function bindMapping(mapping: ImportMapping, { names }: Header, target: Target): Plan {
  const { fields, rest = 'ignore', ignore = [] } = mapping
  const read = Object.values(fields).flatMap(({ column, fallback_column }) => [column ?? [], fallback_column ?? []])
  const missing = new Set(
    read
      .flat()
      .map(trimmed)
      .filter((name) => !names.includes(name)),
  )
  if (missing.size > 0)
    throw new Problem(
      'mapping_column_missing',
      `The file has no column ${quoted([...missing])}; it has ${quoted(names)}.`,
    )
  const sources = Object.entries(fields).map(([field, source]) => bindField(field, source, names, target, mapping))
  // A column that only stands in for another is no field's own, and is kept.
  const taken = new Set(sources.map(({ at }) => at))
  const left = new Set([errorsColumn, ...ignore.map(trimmed)])
  const attributes = names.flatMap((name, at) =>
    rest === 'ignore' || taken.has(at) || left.has(name) ? [] : [{ name, at }],
  )
  if (attributes.length > attributesMax || attributes.some(({ name }) => name.length > attributeNameMax))
    throw new Problem(
      'csv_header_invalid',
      `${attributes.length} columns would become attributes; at most ${attributesMax} can, with names of at most ${attributeNameMax} characters. Map them, or ignore them.`,
    )
  return { sources, attributes }
}

const trimmed = (name: string) => name.trim()

const quotedMax = 30
const quoted = (names: string[]) =>
  `${names
    .slice(0, quotedMax)
    .map((name) => `"${name.slice(0, 100)}"`)
    .join(', ')}${names.length > quotedMax ? ' and more' : ''}`

/**
 * The mapping of a file that came without one: each column is the field of its name, whatever its case, and a column
 * that is no field goes into the attributes. So an export of ours can be changed and sent back.
 * @throws Problem `mapping_column_missing` or `csv_header_invalid`
 */
export function mappingByName({ names }: Header, target: Target): ImportMapping {
  const columns = new Map<string, string>()
  for (const name of names) {
    const field = name.toLowerCase()
    if (columns.has(field) && target.fields.has(field))
      throw new Problem('csv_header_invalid', `The columns "${columns.get(field)}" and "${name}" are the same field.`)
    columns.set(field, name)
  }
  const absent = target.required.filter((field) => !columns.has(field))
  if (absent.length > 0)
    throw new Problem(
      'mapping_column_missing',
      `The file has no column ${quoted(absent)}, and no mapping came before it; POST /api/v1/import-mappings/suggest proposes one.`,
    )
  const fields = [...target.fields.keys()].flatMap((field) => {
    const column = columns.get(field)
    return column === undefined ? [] : [[field, { column }] as const]
  })
  if (!target.hasAttributes) return { fields: Object.fromEntries(fields), rest: 'ignore' }
  const { exported = [] } = target
  const ignore = exported.every((name) => names.includes(name)) ? [...exported] : []
  return { fields: Object.fromEntries(fields), rest: 'attributes', ignore }
}

/** How a field's numbers are written: as it says itself, else as the mapping says for all; undefined where neither does. */
export function numberFormatOf(mapping: ImportMapping, source: FieldMapping): NumberFormat | undefined {
  const told = Object.entries({
    decimal: source.decimal ?? mapping.decimal,
    thousands: source.thousands ?? mapping.thousands,
    currency_signs: source.currency_signs ?? mapping.currency_signs,
    parentheses: source.parentheses ?? mapping.parentheses,
    percent: source.percent,
  }).filter(([, value]) => value !== undefined)
  return told.length > 0 ? Object.fromEntries(told) : undefined
}

function bindField(
  field: string,
  source: FieldMapping,
  names: string[],
  target: Target,
  mapping: ImportMapping,
): Source {
  const kind = target.kinds.get(field) ?? 'text'
  const canonical = converterOf(kind)
  const written = (text: string | null | undefined): Value =>
    text == null ? undefined : canonical.read ? canonical.read(text) : text
  const column = source.column?.trim()
  const spare = source.fallback_column?.trim()
  const values = Object.entries(source.values ?? {}).map(([cell, value]) => [cell, written(value)] as const)
  const number = numberFormatOf(mapping, source)
  const date_format = source.date_format ?? mapping.date_format
  return {
    field,
    column: column ?? null,
    at: column === undefined ? -1 : names.indexOf(column),
    spare: spare === undefined ? undefined : { column: spare, at: names.indexOf(spare) },
    constant: written(source.constant),
    fallback: written(source.default),
    values: values.length > 0 ? new Map(values) : undefined,
    ...converterOf(kind, { ...(date_format !== undefined && { date_format }), ...(number && { number }) }),
  }
}
