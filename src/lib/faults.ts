import type { ErrorObject } from 'ajv'
import { meaningOf } from './schema.ts'

/** What a validator says of one place. */
type Fault = Pick<ErrorObject, 'keyword' | 'params' | 'message' | 'parentSchema'>

/** What is wrong, in words that follow the name of the field: `must be one of insert, upsert`. */
export function faultMessage({ keyword, params, message = 'is invalid', parentSchema = {} }: Fault): string {
  const { limit } = params
  switch (keyword) {
    case 'required':
      return 'is required'
    case 'additionalProperties':
      return 'is not a known field'
    case 'type':
      return `must be ${[params.type].flat().map(kindOf).join(' or ')}${exampleOf(parentSchema)}`
    case 'enum':
      return `must be one of ${params.allowedValues.map((word: unknown) => word ?? 'null').join(', ')}`
    case 'pattern':
      return `must be ${meaningOf(params.pattern) ?? `of the form ${params.pattern}`}`
    case 'format':
      return `must be ${formats[params.format] ?? `of the format ${params.format}`}`
    case 'minLength':
      return limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`
    case 'maxLength':
      return `must have at most ${limit} characters`
    case 'minItems':
      return limit === 1 ? 'must not be empty' : `must have at least ${limit} items`
    case 'maxItems':
      return `must have at most ${limit} items`
    case 'uniqueItems':
      return 'must not hold anything twice'
    case 'minProperties':
      return limit === 1 ? 'must not be empty' : `must have at least ${limit} members`
    case 'maxProperties':
      return `must have at most ${limit} members`
    case 'minimum':
      return `must be at least ${limit}`
    case 'maximum':
      return `must be at most ${limit}`
    default:
      return message
  }
}

const formats: Record<string, string> = {
  date: 'a date of the calendar, written YYYY-MM-DD',
  'date-time': 'a date and time of ISO 8601, such as 2024-03-05T12:00:00Z',
}

const kinds: Record<string, string> = {
  string: 'text in quotes',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
}
const kindOf = (type: string) => kinds[type] ?? type

/** Nobody is to take a password from an example. */
const exampleOf = ({ examples, format }: NonNullable<Fault['parentSchema']>) =>
  examples?.[0] === undefined || format === 'password' ? '' : `, such as ${JSON.stringify(examples[0])}`
