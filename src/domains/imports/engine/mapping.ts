import type { TSchema } from '@sinclair/typebox'
import { type FieldError, Problem } from '../../../lib/errors.ts'
import { strictAjv } from '../../../lib/validator.ts'
import { type FieldMapping, ImportMapping } from '../imports/schemas.ts'
import { compileDateFormat, isoFormat } from './dates.ts'
import { errorsColumn, type Header } from './header.ts'
import { converterOf, type Target, type Value } from './target.ts'

/** Where the value of one field comes from. */
export type Source = {
  field: string
  /** The column as the header names it; null for a constant. */
  column: string | null
  /** Its place in a record; -1 for a constant. */
  at: number
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

const attributesMax = 64
const attributeNameMax = 100

const isMapping = strictAjv().compile<ImportMapping>(ImportMapping)

/**
 * The mapping a client sent, checked as far as that needs no file.
 * @throws Problem `invalid_mapping` with pointers
 */
export function checkMapping(mapping: unknown, target: Target): ImportMapping {
  if (!isMapping(mapping))
    throw invalid(
      (isMapping.errors ?? []).map(({ instancePath, keyword, message = '', params }) => ({
        pointer: pointer(`${instancePath}${'additionalProperty' in params ? `/${params.additionalProperty}` : ''}`),
        code: keyword === 'additionalProperties' ? 'unknown_field' : keyword,
        message: keyword === 'additionalProperties' ? 'is not a known member' : message,
      })),
    )
  const errors: FieldError[] = []
  if (mapping.rest === 'attributes' && !target.hasAttributes)
    errors.push({ pointer: pointer('/rest'), code: 'value', message: `${target.name} have no attributes` })
  if (mapping.date_format !== undefined && !compileDateFormat(mapping.date_format))
    errors.push({ pointer: pointer('/date_format'), ...badFormat })
  for (const [field, source] of Object.entries(mapping.fields))
    for (const [member, code, message] of faults(field, source, target))
      errors.push({ pointer: pointer(`/fields/${field}${member}`), code, message })
  for (const field of target.required)
    if (!Object.hasOwn(mapping.fields, field))
      errors.push({ pointer: pointer(`/fields/${field}`), code: 'required', message: 'is required and not mapped' })
  if (errors.length > 0) throw invalid(errors)
  return mapping
}

const pointer = (path: string) => `/body/mapping${path}`
const badFormat = { code: 'date_format', message: 'is no date format: use YYYY or YY, MMM, MM or M, DD or D' }

type Fault = [member: string, code: string, message: string]

function faults(field: string, source: FieldMapping, target: Target): Fault[] {
  const schema = target.fields.get(field)
  if (!schema) return [['', 'unknown_field', `is no field of ${target.name}`]]
  const found: Fault[] = []
  if ((source.column === undefined) === (source.constant === undefined))
    found.push(['', 'source', 'must have either a column or a constant'])
  if (source.date_format !== undefined && !compileDateFormat(source.date_format))
    found.push(['/date_format', badFormat.code, badFormat.message])
  const written: [string, string | null | undefined][] = [
    ['/constant', source.constant],
    ['/default', source.default],
    ...Object.entries(source.values ?? {}).map(([cell, value]): [string, string | null] => [`/values/${cell}`, value]),
  ]
  for (const [member, text] of written)
    if (text != null && !target.accepts(field, converterOf(schema, isoFormat).read?.(text) ?? text))
      found.push([member, 'value', `is no valid ${field}`])
  return found
}

const invalid = (errors: FieldError[]) =>
  new Problem(
    'invalid_mapping',
    errors
      .map((error) => `${error.pointer} ${error.message}`)
      .slice(0, 5)
      .join('; '),
    {
      errors: errors.slice(0, 100),
    },
  )

/**
 * Ties a mapping to the header of a file. Without a mapping each column is the field of its name, whatever its case,
 * and a column that is no field goes into the attributes.
 * @throws Problem `mapping_column_missing`, or `csv_header_invalid` when too much would become attributes
 */
export function bindMapping(mapping: ImportMapping | undefined, { names }: Header, target: Target): Plan {
  const { fields, date_format = isoFormat, rest = 'ignore' } = mapping ?? identityOf(names, target)
  const missing = Object.values(fields).flatMap(({ column }) =>
    column === undefined || names.includes(column.trim()) ? [] : [column.trim()],
  )
  if (missing.length > 0)
    throw new Problem(
      'mapping_column_missing',
      `The file has no column ${missing.map((name) => `"${name}"`).join(', ')}.`,
    )
  const sources = Object.entries(fields).map(([field, source]) => bindField(field, source, names, target, date_format))
  const used = new Set(sources.map(({ at }) => at))
  const attributes = names.flatMap((name, at) =>
    rest === 'ignore' || used.has(at) || name === errorsColumn ? [] : [{ name, at }],
  )
  if (attributes.length > attributesMax || attributes.some(({ name }) => name.length > attributeNameMax))
    throw new Problem(
      'csv_header_invalid',
      `${attributes.length} columns would become attributes; at most ${attributesMax} can, with names of at most ${attributeNameMax} characters. Map them, or ignore the rest.`,
    )
  return { sources, attributes }
}

function identityOf(names: string[], target: Target): Omit<ImportMapping, 'name'> {
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
      `The file has no column ${absent.map((name) => `"${name}"`).join(', ')}; send a mapping if it is named otherwise.`,
    )
  const fields = [...target.fields.keys()].flatMap((field) => {
    const column = columns.get(field)
    return column === undefined ? [] : [[field, { column }] as const]
  })
  return { fields: Object.fromEntries(fields), rest: target.hasAttributes ? 'attributes' : 'ignore' }
}

function bindField(field: string, source: FieldMapping, names: string[], target: Target, dateFormat: string): Source {
  const schema = target.fields.get(field) as TSchema
  const canonical = converterOf(schema, isoFormat)
  const written = (text: string | null | undefined): Value =>
    text == null ? undefined : canonical.read ? canonical.read(text) : text
  const column = source.column?.trim()
  const values = Object.entries(source.values ?? {}).map(([cell, value]) => [cell, written(value)] as const)
  return {
    field,
    column: column ?? null,
    at: column === undefined ? -1 : names.indexOf(column),
    constant: written(source.constant),
    fallback: written(source.default),
    values: values.length > 0 ? new Map(values) : undefined,
    ...converterOf(schema, source.date_format ?? dateFormat),
  }
}
