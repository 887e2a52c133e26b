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
    if (count < batchRows) return gone
  }
}
