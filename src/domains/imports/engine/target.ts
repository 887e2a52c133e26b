import type { TSchema } from '@sinclair/typebox'
import type { ValidateFunction } from 'ajv'
import type { ImportTarget } from '../../../db/import-target.ts'
import { strictAjv } from '../../../lib/validator.ts'
import { compileDateFormat } from './dates.ts'

/** What a cell can hold; undefined is null, as a member that is left out. */
export type Value = string | number | boolean | undefined

/** An {@link ImportTarget} with what the engine derives from its schema, once. */
export type Target = ImportTarget & {
  /** The schemas of the fields a column can be mapped to. */
  fields: ReadonlyMap<string, TSchema>
  required: readonly string[]
  hasAttributes: boolean
  /** The validator of `POST`, for a whole row. */
  validate: ValidateFunction
  /** Whether the field may have this value. */
  accepts: (field: string, value: Value) => boolean
}

export function prepareTarget(target: ImportTarget): Target {
  const validate = strictAjv().compile(target.row)
  const { attributes, ...fields } = target.row.properties
  return {
    ...target,
    fields: new Map(Object.entries(fields)),
    required: target.row.required ?? [],
    hasAttributes: attributes !== undefined,
    validate,
    accepts: (field, value) =>
      validate({ [field]: value }) || !validate.errors?.some(({ instancePath }) => instancePath === `/${field}`),
  }
}

export type Converter = {
  read: ((text: string) => Value) | undefined
  refusal: { code: string; message: string }
}

const wholeNumber = /^-?[0-9]{1,15}$/
const truths: Record<string, boolean> = { true: true, false: false }

/** How the text of a cell becomes a value of the field; the schema judges the value then. */
export function converterOf(schema: TSchema, dateFormat: string): Converter {
  const types = [schema.type].flat()
  if (types.includes('integer'))
    return {
      read: (text) => (wholeNumber.test(text) ? Number(text) : undefined),
      refusal: { code: 'integer', message: 'must be a whole number' },
    }
  if (types.includes('boolean'))
    return {
      read: (text) => truths[text.toLowerCase()],
      refusal: { code: 'boolean', message: 'must be true or false' },
    }
  const refusal = { code: 'date', message: `must be a date written ${dateFormat}` }
  return schema.format === 'date' ? { read: compileDateFormat(dateFormat), refusal } : { read: undefined, refusal }
}
