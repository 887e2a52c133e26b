import { type SchemaOptions, type Static, type TSchema, Type } from '@sinclair/typebox'

/** Gives a wire model the name under which OpenAPI and generated clients know it. */
export const named = <T extends TSchema>(id: string, schema: T) => Object.assign(schema, { $id: id })

/** Refers to a named model; the static type is the model's own. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/** `string | null` and the like, as OpenAPI 3.1 writes it: `type: ["string", "null"]`; of a named model `anyOf`. */
export function Nullable<T extends TSchema>(schema: T, options: SchemaOptions = {}) {
  const { type, enum: values, ...rest } = schema as unknown as { type?: string; enum?: unknown[] }
  if (type === undefined) return Type.Unsafe<Static<T> | null>({ anyOf: [schema, { type: 'null' }], ...options })
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    type: [type, 'null'],
    ...(values ? { enum: [...values, null] } : {}),
    ...options,
  })
}

/** A closed set of words: `{ type: 'string', enum: […] }`. */
export const StringEnum = <const T extends readonly string[]>(values: T, options: SchemaOptions = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })

/** An object that refuses unknown members. */
export const Strict: typeof Type.Object = (properties, options) =>
  Type.Object(properties, { additionalProperties: false, ...options })

const meanings = new Map<string, string>()

/** Text of a pattern. @param meaning what a refusal says instead of the pattern: `a UUID` becomes `must be a UUID` */
export function Pattern(pattern: string, meaning: string, options: SchemaOptions = {}) {
  meanings.set(pattern, meaning)
  return Type.String({ pattern, ...options })
}

/** What `Pattern` was told that this pattern means. */
export const meaningOf = (pattern: string): string | undefined => meanings.get(pattern)

export const uuidPattern = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

export const Uuid = (options: SchemaOptions = {}) =>
  Pattern(`^${uuidPattern}$`, 'a UUID in lower case', {
    format: 'uuid',
    maxLength: 36,
    description: 'UUID',
    ...options,
  })

/** Text of at least one visible character; NUL is refused because Postgres cannot store it. */
export const Text = (maxLength: number, options: SchemaOptions = {}) =>
  Pattern('^\\s*[^\\s\\u0000][^\\u0000]*$', 'text with a visible character and without NUL', {
    minLength: 1,
    maxLength,
    ...options,
  })

/** Any text of the length of an address; `requiredEmail` judges it. */
export const Email = (options: SchemaOptions = {}) =>
  Type.String({ format: 'email', minLength: 3, maxLength: 254, ...options })

/** Any text that a password may be; `assertPassword` judges it where one is set. */
export const Password = (options: SchemaOptions = {}) =>
  Type.String({ format: 'password', minLength: 1, maxLength: 128, examples: ['Correct-Horse-7'], ...options })

export const Username = () =>
  Pattern(
    '^[A-Za-z0-9][A-Za-z0-9_.-]{2,49}$',
    '3 to 50 letters, digits, _ . -, of which the first is one of the former',
    {
      maxLength: 50,
      description: '3 to 50 letters, digits, _ . -',
    },
  )

/** A language tag (BCP 47). */
export const Locale = (options: SchemaOptions = {}) =>
  Pattern('^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$', 'a language tag, such as en or pt-BR', {
    maxLength: 35,
    ...options,
  })

export const Timestamp = (options: SchemaOptions = {}) =>
  Type.String({ format: 'date-time', maxLength: 32, description: 'ISO 8601, UTC', ...options })

export const CalendarDate = (options: SchemaOptions = {}) => Type.String({ format: 'date', maxLength: 10, ...options })

/**
 * A decimal carried as a string, never as a float.
 * @param integerDigits digits before the point at most
 * @param scale digits after the point at most
 */
export const Decimal = (integerDigits: number, scale: number, options: SchemaOptions & { signed?: boolean } = {}) => {
  const { signed = false, ...rest } = options
  const meaning = `a decimal with at most ${integerDigits} digits and ${scale} places${signed ? '' : ', not negative'}, such as 12.5`
  return Pattern(`^${signed ? '-?' : ''}[0-9]{1,${integerDigits}}(\\.[0-9]{1,${scale}})?$`, meaning, {
    maxLength: integerDigits + scale + 2,
    description: `decimal with at most ${scale} places`,
    ...rest,
  })
}

/** Money: up to 16 digits before the point and 4 after it. Charge-offs and corrections may be negative where `signed`. */
export const Money = (options: SchemaOptions & { signed?: boolean } = {}) => Decimal(16, 4, options)

/** A share of one: a probability, a rate or a loss severity, `0.0525` for 5.25%. */
export const Rate = (options: SchemaOptions & { signed?: boolean } = {}) => Decimal(4, 8, options)

/** ISO 4217 code. */
export const Currency = (options: SchemaOptions = {}) =>
  Pattern('^[A-Z]{3}$', 'a currency code of ISO 4217, such as USD', { maxLength: 3, ...options })

export const IdParams = Strict({ id: Uuid() })
