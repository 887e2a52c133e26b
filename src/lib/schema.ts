import { type SchemaOptions, type Static, type TSchema, Type } from '@sinclair/typebox'

/** Gives a wire model the name under which OpenAPI and generated clients know it. */
export const named = <T extends TSchema>(id: string, schema: T) => Object.assign(schema, { $id: id })

/** Refers to a named model; the static type is the model's own. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/** `string | null` and the like, as OpenAPI 3.1 writes it: `type: ["string", "null"]`. */
export function Nullable<T extends TSchema>(schema: T) {
  const { type, enum: values, ...rest } = schema as unknown as { type: string; enum?: unknown[] }
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    type: [type, 'null'],
    ...(values ? { enum: [...values, null] } : {}),
  })
}

/** A closed set of words: `{ type: 'string', enum: […] }`. */
export const StringEnum = <const T extends readonly string[]>(values: T, options: SchemaOptions = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })

/** An object that refuses unknown members. */
export const Strict: typeof Type.Object = (properties, options) =>
  Type.Object(properties, { additionalProperties: false, ...options })

export const Uuid = (options: SchemaOptions = {}) =>
  Type.String({
    pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    maxLength: 36,
    description: 'UUID',
    ...options,
  })

/** Text of at least one visible character; NUL is refused because Postgres cannot store it. */
export const Text = (maxLength: number, options: SchemaOptions = {}) =>
  Type.String({ minLength: 1, maxLength, pattern: '^\\s*[^\\s\\u0000][^\\u0000]*$', ...options })

/** Any text of the length of an address; `requiredEmail` judges it. */
export const Email = (options: SchemaOptions = {}) => Type.String({ minLength: 3, maxLength: 254, ...options })

export const Username = () =>
  Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{2,49}$',
    maxLength: 50,
    description: '3 to 50 letters, digits, _ . -',
  })

/** A language tag (BCP 47). */
export const Locale = (options: SchemaOptions = {}) =>
  Type.String({ pattern: '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$', maxLength: 35, ...options })

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
  return Type.String({
    pattern: `^${signed ? '-?' : ''}[0-9]{1,${integerDigits}}(\\.[0-9]{1,${scale}})?$`,
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
  Type.String({ pattern: '^[A-Z]{3}$', maxLength: 3, ...options })

export const IdParams = Strict({ id: Uuid() })
