import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { type FieldError, Problem } from './errors.ts'
import { Nullable, named, Strict, StringEnum, Uuid } from './schema.ts'

/** What became of a bulk request, item by item. */
export const BulkResult = named(
  'BulkResult',
  Type.Object({
    succeeded: Type.Integer(),
    failed: Type.Integer(),
    results: Type.Array(
      Type.Object({
        index: Type.Integer({ description: 'place of the item in the request, from 0' }),
        id: Nullable(Uuid({ description: 'the resource that was made or changed; null where the item failed' })),
        status: StringEnum(['done', 'failed']),
        code: Type.Optional(Type.String({ description: 'why it failed, for programs' })),
        detail: Type.Optional(Type.String({ description: 'why it failed, for people' })),
      }),
    ),
  }),
)
export type BulkResult = Static<typeof BulkResult>

const itemsMax = 1_000
const faultsMax = 100

/** The body of a bulk request over items of some kind. */
export const bulkOf = <T extends TSchema>(id: string, item: T) =>
  named(
    id,
    Strict({
      items: Type.Array(item, { minItems: 1, maxItems: itemsMax }),
      atomic: Type.Optional(
        Type.Boolean({ default: false, description: 'all items or none; otherwise each succeeds or fails by itself' }),
      ),
    }),
  )

/**
 * Runs each item in turn, in the caller's transaction. An item that throws a `Problem` has failed and must have changed
 * nothing (a savepoint sees to that where a statement may fail); any other error ends it all.
 * @param run returns the id of what it made or changed
 * @param field of the body that holds the items
 * @throws Problem the first item's, when `atomic` and any failed: the caller's transaction is rolled back
 */
export async function runBulk<T>(
  items: readonly T[],
  atomic: boolean,
  run: (item: T) => Promise<string>,
  field = 'items',
): Promise<BulkResult> {
  const results: BulkResult['results'] = []
  const problems: Problem[] = []
  const faults: FieldError[] = []
  for (const [index, item] of items.entries()) {
    try {
      results.push({ index, id: await run(item), status: 'done' })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      const { code, message } = error
      results.push({ index, id: null, status: 'failed', code, detail: message })
      problems.push(error)
      faults.push({ pointer: `/body/${field}/${index}`, code, message })
    }
  }
  const [first] = problems
  if (atomic && first !== undefined)
    throw new Problem(first.code, `${faults.length} of ${items.length} items failed, so nothing was changed.`, {
      errors: faults.slice(0, faultsMax),
    })
  return { succeeded: results.length - faults.length, failed: faults.length, results }
}
