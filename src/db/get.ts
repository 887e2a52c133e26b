import { and, eq, getTableName, type InferSelectModel, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { oneOr404 } from '../lib/errors.ts'
import { prepared } from './prepared.ts'
import { owned, type TenantScope } from './scope.ts'

/**
 * This tenant's row of this id, by a prepared statement.
 * @throws Problem `not_found`, also for another tenant's
 */
export async function getOwned<T extends PgTable & { org_id: PgColumn; id: PgColumn }>(
  scope: TenantScope,
  table: T,
  id: string,
): Promise<InferSelectModel<T>> {
  const statement = prepared(scope.db, `get_${getTableName(table)}`, (db, name) =>
    db
      .select()
      .from(table as PgTable)
      .where(and(owned(table, { org_id: sql.placeholder('org_id') }), eq(table.id, sql.placeholder('id'))))
      .prepare(name),
  )
  return oneOr404((await statement.execute({ org_id: scope.org_id, id })) as InferSelectModel<T>[])
}
