import { getTableColumns, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { newId } from '../lib/ids.ts'
import type { TenantScope } from './scope.ts'
import { auditEvents, auditQueue } from './tables/audit.ts'

const unrecorded = new WeakMap<PgTable, SQL>()

/** Columns no event repeats: keys that it has already, and secrets, which are bytes wherever they are kept. */
export function unrecordedOf(table: PgTable): SQL {
  const known = unrecorded.get(table)
  if (known !== undefined) return known
  const columns = Object.values(getTableColumns(table)).filter((one) => one.getSQLType() === 'bytea')
  const names = ['org_id', 'id', 'version', 'created_at', 'updated_at', ...columns.map(({ name }) => name)]
  const made = sql.raw(`array['${names.join("','")}']`)
  unrecorded.set(table, made)
  return made
}

export const column = (name: string) => sql.placeholder(name)

/** The audit row of a change that a CTE named `change` made, as the next CTE of the same statement. */
export const auditOf = (action: string, subject: string, before: SQL, after: SQL, from = sql`change`) => sql`
  insert into ${auditEvents} (org_id, id, actor_id, impersonator_id, api_key_id, action, subject_type, subject_id,
    before, after, request_id, ip)
  select change.org_id, ${column('_event')}::uuid, ${column('_actor')}::uuid, ${column('_impersonator')}::uuid,
    ${column('_key')}::uuid, ${action}, ${subject}, change.id, ${before}, ${after}, ${column('_request')},
    ${column('_ip')} from ${from} returning org_id, id`

/** The event's place in the queue of the chain, as the CTE after that. */
export const queued = sql`insert into ${auditQueue} (org_id, id) select org_id, id from audit`

export const eventValues = ({ actor }: TenantScope) => ({
  _event: newId(),
  _actor: actor.user_id,
  _impersonator: actor.impersonator_id ?? null,
  _key: actor.api_key_id ?? null,
  _request: actor.request_id,
  _ip: actor.ip,
})
