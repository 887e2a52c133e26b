import { getTableName } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { TransactionSql } from './client.ts'

/**
 * Has Postgres look again at tables that a load has changed much. Until autovacuum comes by, within a minute, the planner
 * takes them for as small as they were, and a join of two reports for a loop over each row. The rule for when is
 * autovacuum's (`autovacuum_analyze_threshold` and `_scale_factor`). Before Postgres 17 the service's role may not.
 * In the transaction of the load, whose rows it sees already.
 * @param rows how many were written into each
 */
export async function lookAgain(sql: TransactionSql, tables: readonly PgTable[], rows: number): Promise<void> {
  const grown = await sql<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relname in ${sql(tables.map(getTableName))}
      and ${rows} > 50 + greatest(reltuples, 0) / 10`
  for (const { name } of grown) await sql`analyze (skip_locked) ${sql(name)}`
}
