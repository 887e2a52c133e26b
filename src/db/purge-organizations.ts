import { sql } from 'drizzle-orm'
import { recordEvent } from './audit.ts'
import { clientOf, type Db } from './client.ts'
import { graceDays } from './organizations.ts'
import { purgeRows } from './purge.ts'

/** The record outlives what it tells of. */
const kept = ['audit_events', 'audit_queue', 'audit_seals']

/**
 * Deletes for good what was deleted before the days of grace: everything of the organisation but its audit trail, then
 * itself. What fails midway is taken up again by the next run; of several replicas each may do a part.
 * @returns how many organisations are gone
 */
export async function purgeOrganizations(db: Db): Promise<number> {
  const due = await clientOf(db)<{ id: string }[]>`
    select id from organizations where deleted_at <= now() - ${graceDays} * interval '1 day' order by deleted_at`
  const tables = due.length === 0 ? [] : await tablesInOrder(db)
  let purged = 0
  for (const { id } of due) {
    for (const table of tables) await purgeRows(db, sql.identifier(table), sql`org_id = ${id}`)
    if (await deleteOrganization(db, id)) purged++
  }
  return purged
}

/**
 * The tables whose rows belong to one organisation, each after those that refer to it. Where `org_id` may be null, the
 * rows belong to somebody else, and their foreign key says what becomes of them.
 */
async function tablesInOrder(db: Db): Promise<string[]> {
  const tables = await clientOf(db)<{ name: string; referrers: string[] }[]>`
    select c.relname as name, array(
      select distinct r.relname::text from pg_constraint f join pg_class r on r.oid = f.conrelid
      where f.contype = 'f' and f.confrelid = c.oid and f.conrelid <> c.oid) as referrers
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and a.attnotnull
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname::text <> all(${kept}::text[])`
  const left = new Map(tables.map(({ name, referrers }) => [name, referrers]))
  const order: string[] = []
  while (left.size > 0) {
    const free = [...left].filter(([, referrers]) => !referrers.some((name) => left.has(name))).map(([name]) => name)
    if (free.length === 0) throw new Error(`tables refer to each other in a circle: ${[...left.keys()].join(', ')}`)
    for (const name of free) left.delete(name)
    order.push(...free)
  }
  return order
}

/** The row itself, and the last event of its trail. @returns whether it was there still */
const deleteOrganization = (db: Db, id: string): Promise<boolean> =>
  db.transaction(async (tx) => {
    const gone = await clientOf(tx)`delete from organizations where id = ${id} returning name, code`
    if (gone.length === 0) return false
    const actor = { user_id: null, principal: 'system', request_id: 'purge organizations', ip: '' }
    await recordEvent(
      { db: tx, org_id: id, actor },
      { action: 'organization.purged', subject_type: 'organization', subject_id: id, before: { ...gone[0] } },
    )
    return true
  })
