import { type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { Db } from './client.ts'

/** Rows deleted by one statement, so that none holds its locks for long. */
const batchRows = 5_000

/** Deletes rows for good, many or few. @returns how many */
export async function purgeRows(db: Db, table: SQLWrapper, which: SQL): Promise<number> {
  const batch = sql`select ctid from ${table} where ${which} limit ${batchRows}`
  for (let gone = 0; ; ) {
    const { count } = await db.execute(sql`delete from ${table} where ${which} and ctid = any(array(${batch}))`)
    gone += count
    // Another instance may have taken a part of the batch: what counts is whether any is left.
    if (count < batchRows && (await db.execute(sql`select 1 from ${table} where ${which} limit 1`)).length === 0)
      return gone
  }
}
