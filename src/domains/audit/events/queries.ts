import { and, eq, getTableColumns, sql } from 'drizzle-orm'
import { clientOf, type Pool } from '../../../db/client.ts'
import { compare, containsText, type Filter, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { auditEvents, auditSeals, platformOrgId } from '../../../db/tables/audit.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404 } from '../../../lib/errors.ts'
import type { Page } from '../../../lib/page.ts'
import { type Fault, faultOf, genesis, type Head, nextHash, type Seal } from './rules.ts'
import type { AuditEvent, AuditEventQuery, AuditVerification } from './schemas.ts'

const columns = {
  ...getTableColumns(auditEvents),
  organization_id: sql<string | null>`nullif(${auditEvents.org_id}, ${platformOrgId}::uuid)`,
  actor_email: sql<string | null>`(select ${users.email} from ${users} where ${users.id} = ${auditEvents.actor_id})`,
  sealed: sql<AuditEvent['sealed']>`(
    select json_build_object('seq', ${auditSeals.seq}, 'hash', encode(${auditSeals.hash}, 'hex')) from ${auditSeals}
    where ${auditSeals.org_id} = ${auditEvents.org_id} and ${auditSeals.event_id} = ${auditEvents.id})`,
}

/** In the action, or in the address of whoever acted. */
const q: Filter = (value) => sql`(${containsText(auditEvents.action)(value)} or exists (
  select from ${users} where ${users.id} = ${auditEvents.actor_id} and ${containsText(users.email)(value)}))`

const list = {
  name: 'audit_events',
  table: auditEvents,
  columns,
  sorts: { created_at: auditEvents.created_at },
  filters: {
    action: compare(auditEvents.action),
    subject_type: compare(auditEvents.subject_type),
    subject_id: compare(auditEvents.subject_id),
    actor_id: compare(auditEvents.actor_id),
    api_key_id: compare(auditEvents.api_key_id),
    request_id: compare(auditEvents.request_id),
    ip: compare(auditEvents.ip),
    created_at_gte: compare(auditEvents.created_at, '>='),
    created_at_lte: compare(auditEvents.created_at, '<='),
    q,
  },
}

export const listAuditEvents = (scope: TenantScope, query: AuditEventQuery): Promise<Page<AuditEvent>> =>
  listPage(scope, list, query)

export async function getAuditEvent(scope: TenantScope, id: string): Promise<AuditEvent> {
  const mine = and(owned(auditEvents, scope), eq(auditEvents.id, id))
  return oneOr404(await scope.db.select(columns).from(auditEvents).where(mine))
}

/**
 * SHA-256 of the event as the chain covers it: every column, in this order for good. JSON goes in as its text, the time in UTC with
 * its microseconds, so that nothing depends on a session's settings.
 */
const digest = `sha256(convert_to(jsonb_build_array(e.org_id, e.id, e.actor_id, e.impersonator_id, e.api_key_id, e.action,
  e.subject_type, e.subject_id, e.before::text, e.after::text, e.request_id, e.ip,
  to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'UTF8')) as digest`

const atOnce = 2_000

/** Appends what has committed to the chains; where another instance is at it, nothing. */
export async function sealEvents(pool: Pool): Promise<void> {
  while ((await sealBatch(pool)) === atOnce);
}

/** @returns how many events got their seal: the newest of their chains, in one transaction with their leaving the queue */
const sealBatch = ({ transaction }: Pool): Promise<number> =>
  transaction(async (_db, client) => {
    const [lock] = await client`select pg_try_advisory_xact_lock(hashtextextended('tenon audit chain', 0)) as free`
    if (lock?.free !== true) return 0
    const events = await client.unsafe<{ org_id: string; id: string; digest: Buffer }[]>(
      `with next as (
        select org_id, id from audit_queue join audit_events using (org_id, id) order by org_id, id limit ${atOnce}),
      taken as (delete from audit_queue using next where (audit_queue.org_id, audit_queue.id) = (next.org_id, next.id)
        returning audit_queue.org_id, audit_queue.id)
      select e.org_id, e.id, ${digest} from taken join audit_events e using (org_id, id)
      order by e.org_id, e.created_at, e.id`,
      [],
      { prepare: true },
    )
    if (events.length === 0) return 0
    const orgIds = [...new Set(events.map(({ org_id }) => org_id))]
    const heads = await client<(Head & { org_id: string })[]>`
      select org_id, head.seq, head.hash from unnest(${orgIds}::uuid[]) as orgs (org_id) cross join lateral (
        select seq, hash from audit_seals where org_id = orgs.org_id order by seq desc limit 1) head`
    const chains = new Map<string, Head>(heads.map((head) => [head.org_id, head]))
    const seals = events.map(({ org_id, id, digest }) => {
      const previous = chains.get(org_id) ?? genesis
      const head = { seq: previous.seq + 1, hash: nextHash(previous.hash, digest) }
      chains.set(org_id, head)
      return { org_id, seq: head.seq, id, hash: head.hash.toString('hex') }
    })
    await client`
      insert into audit_seals (org_id, seq, event_id, hash)
      select org_id, seq, id, decode(hash, 'hex') from unnest(
        ${seals.map(({ org_id }) => org_id)}::uuid[], ${seals.map(({ seq }) => seq)}::bigint[],
        ${seals.map(({ id }) => id)}::uuid[], ${seals.map(({ hash }) => hash)}::text[]) as seal (org_id, seq, id, hash)`
    return seals.length
  })

/**
 * Walks the chain of the organisation from its start, a batch at a time, and then its events.
 * @param anchor a seal that was kept elsewhere: what came before it cannot have been written anew
 */
export async function verifyChain(scope: TenantScope, anchor?: Head): Promise<AuditVerification> {
  const inChain = await walkSeals(scope, anchor)
  const { stray, ...counts } = await walkEvents(scope)
  const [head = genesis] = await clientOf(scope.db)<Head[]>`
    select seq, hash from audit_seals where org_id = ${scope.org_id} order by seq desc limit 1`
  const truncated = anchor !== undefined && head.seq < anchor.seq
  const fault = inChain ?? (truncated ? truncation(anchor) : undefined) ?? stray ?? (await lostBeforeSeal(scope))
  return {
    valid: fault === undefined,
    ...counts,
    head: { seq: head.seq, hash: head.hash.toString('hex') },
    first_fault: fault ?? null,
  }
}

const truncation = ({ seq }: Head): Fault => ({ seq, event_id: null, reason: 'chain_truncated' })

/** The first fault of the chain itself. */
async function walkSeals({ db, org_id }: TenantScope, anchor: Head | undefined): Promise<Fault | undefined> {
  const client = clientOf(db)
  for (let previous = genesis; ; ) {
    const seals = await client.unsafe<Seal[]>(
      `select s.seq, s.hash, s.event_id, case when e.id is not null then a.digest end as digest
      from audit_seals s left join audit_events e on e.org_id = s.org_id and e.id = s.event_id
      cross join lateral (select ${digest}) a
      where s.org_id = $1 and s.seq > $2 order by s.seq limit ${atOnce}`,
      [org_id, previous.seq],
      { prepare: true },
    )
    for (const seal of seals) {
      const fault = faultOf(previous, seal, anchor)
      if (fault !== undefined) return fault
      previous = seal
    }
    if (seals.length < atOnce) return undefined
  }
}

type Batch = { events: number; sealed: number; unsealed: number; last: string | null; stray: string | null }

/** Counts the events, and finds the first that is neither in the chain nor on its way there. */
async function walkEvents({ db, org_id }: TenantScope) {
  const counts = { events: 0, sealed: 0, unsealed: 0, stray: undefined as Fault | undefined }
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const [batch] = await clientOf(db)<[Batch]>`
      with batch as (
        select id from audit_events where org_id = ${org_id} and id > ${after}::uuid order by id limit ${atOnce}),
      found as (
        select batch.id, s.seq is not null as sealed, q.id is not null as queued from batch
        left join audit_seals s on s.org_id = ${org_id} and s.event_id = batch.id
        left join audit_queue q on q.org_id = ${org_id} and q.id = batch.id)
      select count(*) as events, count(*) filter (where sealed) as sealed,
        count(*) filter (where queued and not sealed) as unsealed,
        (array_agg(id order by id desc))[1] as last,
        (array_agg(id order by id) filter (where not sealed and not queued))[1] as stray from found`
    counts.events += batch.events
    counts.sealed += batch.sealed
    counts.unsealed += batch.unsealed
    if (batch.stray !== null) counts.stray ??= { seq: null, event_id: batch.stray, reason: 'event_unknown' }
    if (batch.last === null) return counts
    after = batch.last
  }
}

/** An event that is in the queue still, and gone. */
async function lostBeforeSeal({ db, org_id }: TenantScope): Promise<Fault | undefined> {
  const [lost] = await clientOf(db)<{ id: string }[]>`
    select id from audit_queue q where org_id = ${org_id}
    and not exists (select from audit_events e where e.org_id = q.org_id and e.id = q.id) limit 1`
  return lost && { seq: null, event_id: lost.id, reason: 'event_missing' }
}
