import { missingReference } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { Problem } from '../../../lib/errors.ts'
import type { Target } from '../engine/target.ts'

/**
 * What every row of the target has from its parent, by field: the currency of the portfolio.
 * @throws Problem `not_found` with a pointer where this organisation has no such parent
 */
export async function valuesOfParent(scope: TenantScope, target: Target, id: string): Promise<Record<string, string>> {
  const parent: Record<string, unknown> = await getOwned(scope, target.parent.table, id).catch((error: unknown) => {
    const isMissing = error instanceof Problem && error.code === 'not_found'
    throw isMissing ? missingReference('/body/portfolio_id')() : error
  })
  const given = Object.entries(target.hints ?? {}).flatMap(([field, { parent: column }]) => {
    const value = column === undefined ? undefined : parent[column]
    return typeof value === 'string' ? [[field, value] as const] : []
  })
  return Object.fromEntries(given)
}
