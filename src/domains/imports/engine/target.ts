import type { TSchema } from '@sinclair/typebox'
import type { ValidateFunction } from 'ajv'
import type { ImportTarget } from '../../../db/import-target.ts'
import { strictAjv } from '../../../lib/validator.ts'
import { compileDateFormat, isoFormat } from './dates.ts'
import { compileNumberFormat, type NumberFormat } from './numbers.ts'

/** What a cell can hold; undefined is null, as a member that is left out. */
export type Value = string | number | boolean | undefined

/** What a cell is to be read as; a `decimal` stays text all the way. */
export type Kind = 'integer' | 'decimal' | 'boolean' | 'date' | 'text'

/** An {@link ImportTarget} with what the engine derives from its schema, once. */
export type Target = ImportTarget & {
  /** The schemas of the fields a column can be mapped to. */
  fields: ReadonlyMap<string, TSchema>
  required: readonly string[]
  hasAttributes: boolean
  /** The validator of `POST`, for a whole row. */
  validate: ValidateFunction
  /** What each of those fields holds. */
  kinds: ReadonlyMap<string, Kind>
  /** Whether the field may have this value. */
  accepts: (field: string, value: Value) => boolean
}

const prepared = new WeakMap<ImportTarget, Target>()

/** Done once for each target, whoever asks. */
export function prepareTarget(target: ImportTarget): Target {
  const known = prepared.get(target) ?? prepare(target)
  prepared.set(target, known)
  return known
}

function prepare(target: ImportTarget): Target {
  const validate = strictAjv().compile(target.row)
  const { attributes, ...fields } = target.row.properties
  const accepts = (field: string, value: Value) =>
    validate({ [field]: value }) || !validate.errors?.some(({ instancePath }) => instancePath === `/${field}`)
  return {
    ...target,
    fields: new Map(Object.entries(fields)),
    required: target.row.required ?? [],
    hasAttributes: attributes !== undefined,
    validate,
    kinds: new Map(Object.entries(fields).map(([field, schema]) => [field, kindOf(field, schema, accepts)])),
    accepts,
  }
}

/** A decimal is text that may be `0` or `0.5` and no word. */
function kindOf(field: string, { type, format }: TSchema, accepts: Target['accepts']): Kind {
  const types = [type].flat()
  if (types.includes('integer')) return 'integer'
  if (types.includes('boolean')) return 'boolean'
  if (format === 'date') return 'date'
  return accepts(field, '0') && accepts(field, '0.5') && !accepts(field, 'x') ? 'decimal' : 'text'
}

export type Converter = {
  read: ((text: string) => Value) | undefined
  refusal: { code: string; message: string }
}

/** How cells are written; ISO 8601 and the form of the API where it does not say. */
export type CellFormat = { date_format?: string; number?: NumberFormat }

const wholeNumber = /^-?[0-9]{1,15}$/
const truths: Record<string, boolean> = { true: true, false: false }

/** How the text of a cell becomes a value of the field; the schema judges the value then. */
export function converterOf(kind: Kind, { date_format = isoFormat, number }: CellFormat = {}): Converter {
  const readNumber = number && compileNumberFormat(number)
  if (kind === 'integer') {
    const read = (text: string | undefined) => (text !== undefined && wholeNumber.test(text) ? Number(text) : undefined)
    return {
      read: readNumber === undefined ? read : (text) => read(readNumber(text)),
      refusal: { code: 'integer', message: 'must be a whole number' },
    }
  }
  if (kind === 'boolean')
    return {
      read: (text) => truths[text.toLowerCase()],
      refusal: { code: 'boolean', message: 'must be true or false' },
    }
  if (kind === 'date')
    return {
      read: compileDateFormat(date_format),
      refusal: { code: 'date', message: `must be a date written ${date_format}` },
    }
  return {
    read: kind === 'decimal' ? readNumber : undefined,
    refusal: { code: 'number', message: 'must be a number as the mapping says it is written' },
  }
}
