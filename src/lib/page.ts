import { createHash } from 'node:crypto'
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { Problem } from './errors.ts'
import { named, Strict, StringEnum } from './schema.ts'

/** One page of a list. `total` is there only where the request asked for it. */
export type Page<T> = { data: T[]; next_cursor: string | null; total?: number }

/** The wire model of a page of some model. */
export const pageOf = <T extends TSchema>(id: string, item: T) =>
  named(
    id,
    Type.Object({
      data: Type.Array(item),
      next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null on the last page' }),
      total: Type.Optional(Type.Integer({ description: 'only with ?total=' })),
    }),
  )

/**
 * The query parameters of a list.
 * @param sorts the fields it can be sorted by, the default first (newest first for `created_at`)
 */
export const pageQuery = <const S extends readonly [string, ...string[]], F extends TProperties>(
  sorts: S,
  filters: F,
) =>
  Strict({
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
    cursor: Type.Optional(Type.String({ maxLength: 1_000, description: 'next_cursor of the page before' })),
    sort: Type.Optional(
      StringEnum(
        sorts.flatMap((name) => [name, `-${name}`]),
        { default: `-${sorts[0]}`, description: 'a leading minus sorts downwards' },
      ),
    ),
    total: Type.Optional(StringEnum(['exact', 'estimated'])),
    ...filters,
  })

export type PageQuery = { limit?: number; cursor?: string; sort?: string; total?: 'exact' | 'estimated' }

/** Where a page starts: after the row with this sort value and id. */
export type Position = { value: string | number | null; id: string }

/** Ties a cursor to its organisation, list, sort and filters. */
export function cursorBinding(orgId: string, list: string, sort: string, filters: Record<string, unknown>): string {
  const bound = JSON.stringify([orgId, list, sort, Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1))])
  return createHash('sha256').update(bound).digest('base64url').slice(0, 12)
}

export const encodeCursor = (binding: string, { value, id }: Position): string =>
  Buffer.from(JSON.stringify([binding, value, id])).toString('base64url')

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws Problem `invalid_cursor` when it is malformed, or was made for another sort, filter or organisation */
export function decodeCursor(binding: string, cursor: string): Position {
  try {
    const [bound, value, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    const scalar = value === null || typeof value === 'string' || typeof value === 'number'
    if (bound === binding && scalar && typeof id === 'string' && uuid.test(id))
      return { value: value as Position['value'], id }
  } catch (cause) {
    throw invalidCursor(cause)
  }
  throw invalidCursor()
}

export const invalidCursor = (cause?: unknown) =>
  new Problem(
    'invalid_cursor',
    'The cursor is not one this list gave for the same sort and filters; start without it.',
    {
      cause,
    },
  )
