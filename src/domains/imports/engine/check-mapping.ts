import type { ValidateFunction } from 'ajv'
import { type FieldError, Problem } from '../../../lib/errors.ts'
import { faultMessage } from '../../../lib/faults.ts'
import { strictAjv } from '../../../lib/validator.ts'
import { type FieldMapping, type ImportMapping, mappingModels } from '../mappings/schemas.ts'
import { autoFormat } from './date-formats.ts'
import { compileDateFormat } from './dates.ts'
import { numberFormatOf } from './mapping.ts'
import { converterOf, type Target } from './target.ts'

const isMapping = strictAjv().addSchema(mappingModels).getSchema('ImportMapping') as ValidateFunction<ImportMapping>

/** As JSON writes what Postgres cannot store: NUL, and half of a surrogate pair. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(0000|d[89a-f][0-9a-f]{2})/

/** As JSON: a page of mappings, or of the events that record their changes, holds hundreds of them. */
const lengthMax = 131_072

/**
 * The mapping a client sent, checked as far as that needs no file.
 * @throws Problem `invalid_mapping` with pointers
 */
export function checkMapping(mapping: unknown, target: Target): ImportMapping {
  const text = jsonOf(mapping)
  if (text === undefined) throw invalidMapping([['', 'depth', 'is nested too deeply']])
  if (text.length > lengthMax)
    throw invalidMapping([['', 'max_length', `is longer than ${lengthMax} characters as JSON`]])
  if (unstorable.test(text))
    throw invalidMapping([['', 'invalid_character', 'holds a character that cannot be stored']])
  if (!isMapping(mapping))
    throw invalidMapping(
      (isMapping.errors ?? []).map((fault) => {
        const { instancePath, keyword, params } = fault
        const named = params.missingProperty ?? params.additionalProperty
        const code = keyword === 'additionalProperties' ? 'unknown_field' : keyword
        return [`${instancePath}${named === undefined ? '' : `/${named}`}`, code, faultMessage(fault)]
      }),
    )
  const faults = [...faultsOf(mapping, target)]
  if (faults.length > 0) throw invalidMapping(faults)
  return mapping
}

/** What JSON.parse has read may still be nested too deeply to be written. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** Where in the mapping, as a JSON pointer, and what is wrong there. */
type Fault = [path: string, code: string, message: string]

export function invalidMapping(faults: Fault[]): Problem {
  const errors: FieldError[] = faults.map(([path, code, message]) => ({
    pointer: `/body/mapping${path}`,
    code,
    message,
  }))
  const first = errors.slice(0, 5).map(({ pointer, message }) => `${pointer} ${message}`)
  return new Problem('invalid_mapping', first.join('; '), { errors: errors.slice(0, 100) })
}

const badFormat = ['date_format', 'is no date format: use YYYY or YY, MMM, MM or M, DD or D, or auto'] as const

const isDateFormat = (format: string) => format === autoFormat || compileDateFormat(format) !== undefined

function* faultsOf(mapping: ImportMapping, target: Target): Generator<Fault> {
  const { rest, date_format, fields, ignore = [] } = mapping
  if (rest === 'attributes' && !target.hasAttributes) yield ['/rest', 'value', `${target.name} have no attributes`]
  if (date_format !== undefined && !isDateFormat(date_format)) yield ['/date_format', ...badFormat]
  if (clash(mapping)) yield ['/thousands', ...sameMark]
  for (const [field, source] of Object.entries(fields))
    for (const [member, code, message] of fieldFaults(field, source, mapping, target))
      yield [`/fields/${field}${member}`, code, message]
  const used = new Set(Object.values(fields).flatMap(({ column, fallback_column }) => [column, fallback_column]))
  for (const [at, column] of ignore.entries())
    if (used.has(column)) yield [`/ignore/${at}`, 'ignored', 'is ignored, and a field is read from it']
  for (const field of target.required)
    if (!Object.hasOwn(fields, field)) yield [`/fields/${field}`, 'required', 'is required and not mapped']
}

const sameMark = ['same_mark', 'must be another mark than that of the decimals'] as const
const clash = ({ decimal = '.', thousands }: Pick<ImportMapping, 'decimal' | 'thousands'>) => decimal === thousands

function* fieldFaults(field: string, source: FieldMapping, mapping: ImportMapping, target: Target): Generator<Fault> {
  const kind = target.kinds.get(field)
  if (kind === undefined) return yield ['', 'unknown_field', `is no field of ${target.name}`]
  const { column, fallback_column, constant, date_format } = source
  if ((column === undefined) === (constant === undefined))
    yield ['', 'source', 'must have either a column or a constant']
  if (fallback_column !== undefined && (column === undefined || column === fallback_column))
    yield ['/fallback_column', 'source', 'must be another column beside the one it stands in for']
  if (date_format !== undefined && !isDateFormat(date_format)) yield ['/date_format', ...badFormat]
  if (date_format !== undefined && kind !== 'date')
    yield ['/date_format', 'kind', `does not apply: ${field} is no date`]
  for (const member of ['decimal', 'thousands', 'currency_signs', 'parentheses', 'percent'] as const) {
    const applies = kind === 'decimal' || (kind === 'integer' && member !== 'percent')
    if (source[member] !== undefined && !applies)
      yield [`/${member}`, 'kind', `does not apply: ${field} is no ${member === 'percent' ? 'decimal' : 'number'}`]
  }
  const isMarked = source.decimal !== undefined || source.thousands !== undefined
  if (isMarked && clash(numberFormatOf(mapping, source) ?? {})) yield ['/thousands', ...sameMark]
  yield* valueFaults(field, source, target)
}

/** What is written in the mapping itself is written as the API writes it. */
function* valueFaults(field: string, source: FieldMapping, target: Target): Generator<Fault> {
  const { read } = converterOf(target.kinds.get(field) ?? 'text')
  const written: [string, string | null | undefined][] = [
    ['/constant', source.constant],
    ['/default', source.default],
    ...Object.entries(source.values ?? {}).map(([cell, value]): [string, string | null] => [`/values/${cell}`, value]),
  ]
  for (const [member, text] of written)
    if (text != null && !target.accepts(field, read?.(text) ?? text)) yield [member, 'value', `is no valid ${field}`]
}
