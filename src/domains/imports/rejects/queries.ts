import { and, eq, sql } from 'drizzle-orm'
import type { TenantScope } from '../../../db/scope.ts'
import { importRejects } from '../../../db/tables/imports.ts'
import type { Reject } from '../engine/rejects.ts'

export async function saveRejects({ db, org_id }: TenantScope, id: string, rejects: Reject[]): Promise<void> {
  await db.execute(sql`
    insert into ${importRejects} (org_id, import_id, line, cells, errors)
    select ${org_id}::uuid, ${id}::uuid, line, cells, errors
    from json_to_recordset(${JSON.stringify(rejects)}::json) as reject (line int, cells text[], errors text)`)
}

export const deleteRejects = ({ db, org_id }: TenantScope, id: string) =>
  db.delete(importRejects).where(and(eq(importRejects.org_id, org_id), eq(importRejects.import_id, id)))

const rejectsAtOnce = 500
/** Bytes as they are stored, so packed: a row can be as large as a record of a file may be. */
const rejectsSize = 65_536

/**
 * The rejected rows in the order of the file, a few at a time: no connection is held while a slow client reads, and no
 * more is in memory than those few. The cells come as JSON, which is read many times as fast as an array of Postgres.
 */
export async function* rejectsOf({ db, org_id }: TenantScope, id: string): AsyncGenerator<Reject[]> {
  for (let line = 0; ; ) {
    const rows = await db.execute<Reject>(sql`
      select line, to_json(cells) as cells, errors from (
        select *, sum(size) over (order by line) - size as before from (
          select line, cells, errors, pg_column_size(cells) + pg_column_size(errors) as size from ${importRejects}
          where org_id = ${org_id}::uuid and import_id = ${id}::uuid and line > ${line}::int
          order by line limit ${rejectsAtOnce}::int) as next
      ) as sized where before < ${rejectsSize}::int order by line`)
    if (rows.length === 0) return
    yield rows
    line = rows.at(-1)?.line ?? line
  }
}
