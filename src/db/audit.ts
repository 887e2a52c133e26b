import {
  and,
  eq,
  fillPlaceholders,
  getTableColumns,
  getTableName,
  type InferInsertModel,
  type InferSelectModel,
  type Query,
  type SQL,
  sql,
} from 'drizzle-orm'
import { type PgColumn, PgDialect, type PgTable } from 'drizzle-orm/pg-core'
import { assertVersion, Problem } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import { auditOf, column, eventValues, queued, unrecordedOf } from './audit-event.ts'
import { historyOf } from './book.ts'
import { clientOf } from './client.ts'
import { databaseError } from './errors.ts'
import { lockName, rowMadeBefore } from './idempotency.ts'
import { unprepared } from './prepared.ts'
import { type KeyUse, owned, type TenantScope } from './scope.ts'
import { idempotencyKeys } from './tables/idempotency.ts'

type TenantTable = PgTable & { org_id: PgColumn; id: PgColumn; version: PgColumn; updated_at: PgColumn }

/** What must be so for a change, judged in its own statement, and a look at why it was refused. */
export type Guard = { sql: SQL; refusal: () => Promise<Problem | undefined> }

/** @returns what to throw where a guard let nothing through */
const refusalOf = async (guard: Guard) =>
  (await guard.refusal()) ??
  new Problem('resource_busy', 'What this belongs to was being changed at the same moment; try again.')

/** What happened to what; `action` reads `<subject>.<verb>`, such as `loan.created`. */
export type AuditEvent = {
  action: string
  subject_type: string
  subject_id: string | null
  before?: Record<string, unknown>
  after?: Record<string, unknown>
}

/** Writes one event by itself: in a transaction, beside the change; alone, for what changes nothing (a refused login). */
export async function recordEvent({ db, org_id, actor }: TenantScope, event: AuditEvent): Promise<void> {
  const { action, subject_type, subject_id, before = null, after = null } = event
  const { user_id, impersonator_id = null, api_key_id = null, request_id, ip } = actor
  await clientOf(db)`
    with audit as (
      insert into audit_events
        (org_id, id, actor_id, impersonator_id, api_key_id, action, subject_type, subject_id, before, after, request_id, ip)
      values (${org_id}, ${newId()}, ${user_id}, ${impersonator_id}, ${api_key_id}, ${action}, ${subject_type},
        ${subject_id}, ${before as never}, ${after as never}, ${request_id}, ${ip})
      returning org_id, id)
    insert into audit_queue (org_id, id) select org_id, id from audit`
}

/**
 * Inserts a row and its audit event in one statement, so that they commit together or not at all. In a scope that
 * carries a key (`once`), the same statement claims it; where it was used before, the row it made then is returned.
 * @param subject the singular name of what is made: `loan`
 * @param guard a select that yields one row where the insert is allowed; its placeholders are named after columns
 * @returns the row as stored
 * @throws Problem `idempotency_in_progress` or `idempotency_mismatch`, or the guard's
 */
export async function insertAudited<T extends TenantTable>(
  scope: TenantScope,
  subject: string,
  into: T,
  values: Omit<InferInsertModel<T>, 'org_id' | 'id'> & { id?: string },
  guard?: Guard,
): Promise<InferSelectModel<T>> {
  const table: TenantTable = into
  const { db, once } = scope
  if (once?.spent) throw new Error('One statement claims a key and makes one row; what makes more takes `once`.')
  if (once !== undefined) once.spent = true
  const row: Record<string, unknown> = { ...values, org_id: scope.org_id, id: values.id ?? newId() }
  const columns = Object.entries(getTableColumns(table)).filter(([name, { hasDefault }]) => name in row || !hasDefault)
  const { sql: text, params } = insertOf(subject, table, columns, once !== undefined, guard?.sql)
  const complete = Object.fromEntries(columns.map(([name]) => [name, row[name] ?? null]))
  const filled = fillPlaceholders(params, { ...complete, ...eventValues(scope), ...(once && keyValues(once)) })
  const inserted = clientOf(db).unsafe(text, filled as never[], { prepare: true })
  if (once === undefined) {
    const [row] = await inserted
    if (row === undefined && guard !== undefined) throw await refusalOf(guard)
    return row as unknown as InferSelectModel<T>
  }
  let refused: unknown
  const [made] = await inserted.catch((error: unknown) => {
    // The key's first use may have committed after this statement had begun to look, and have left no room for its row.
    if (!databaseError(error)?.code.startsWith(integrityViolation)) throw error
    refused = error
    return []
  })
  if (made !== undefined) return made as unknown as InferSelectModel<T>
  const before = rowMadeBefore(db, getTableName(table), once).catch(async (error: unknown) => {
    // Where nobody has used the key, it was the row that was refused, or the guard that let nothing through.
    const unused = error instanceof Problem && error.code === 'idempotency_in_progress'
    throw (unused ? (refused ?? (await guard?.refusal())) : undefined) ?? error
  })
  return (await before) as InferSelectModel<T>
}

/** The class of Postgres' codes for violated constraints. */
const integrityViolation = '23'

const keyValues = (use: KeyUse) => ({
  _lock: lockName(use),
  _org: use.org_id,
  _principal: use.principal,
  _route: use.route,
  _idempotency: use.key,
  _request_hash: use.request_hash,
})

/** The statements by their guard, and then by what else makes them. */
const inserts = new WeakMap<object, Map<string, Query>>()
const unguarded = {}
const dialect = new PgDialect()

/** The statement that inserts these columns, built once: Drizzle takes longer to build it than Postgres to run it. */
function insertOf(
  subject: string,
  table: TenantTable,
  columns: [string, PgColumn][],
  keyed: boolean,
  guard?: SQL,
): Query {
  const shape = `${getTableName(table)} ${subject} ${keyed} ${columns.map(([name]) => name)}`
  const known = inserts.get(guard ?? unguarded) ?? new Map<string, Query>()
  inserts.set(guard ?? unguarded, known)
  const found = known.get(shape)
  if (found !== undefined) return found
  const list = <V>(of: (name: string, one: PgColumn) => V) => columns.map(([name, one]) => of(name, one))
  const names = sql.join(
    list((_, { name }) => sql.identifier(name)),
    sql`, `,
  )
  const values = sql.join(
    list((name, one) => sql`${column(name)}::${sql.raw(one.getSQLType())}`),
    sql`, `,
  )
  const sources = [keyed && sql`unused`, guard && sql`allowed`].filter((source): source is SQL => Boolean(source))
  const from = sources.length === 0 ? sql`` : sql`from ${sql.join(sources, sql`, `)}`
  const after = sql`jsonb_strip_nulls(made.record - ${unrecordedOf(table)})`
  const query = dialect.sqlToQuery(sql`
    with ${keyed ? unused : sql``} ${guard === undefined ? sql`` : sql`allowed as materialized (${guard}),`}
      change as (insert into ${table} (${names}) select ${values} ${from} returning *),
      made as materialized (select to_jsonb(change) as record from change),
      audit as (${auditOf(`${subject}.created`, subject, sql`null`, after, sql`change, made`)}),
      queued as (${queued})
      ${keyed ? kept : sql``}
    select * from change`)
  known.set(shape, query)
  return query
}

const key = sql`${column('_org')}::uuid, ${column('_principal')}::text, ${column('_route')}::text, ${column('_idempotency')}::text`

/** One row where nobody has used the key and nobody else is just using it, else none. */
const unused = sql`
  lock as materialized (select pg_try_advisory_xact_lock(hashtextextended(${column('_lock')}::text, 0)) as free),
  unused as materialized (
    select from lock where free and not exists (
      select from ${idempotencyKeys} where (org_id, principal, route, key) = (${key}))),`

/** The row that was made is kept with the key. */
const kept = sql`, kept as (
  insert into ${idempotencyKeys} (org_id, principal, route, key, request_hash, made)
  select ${key}, ${column('_request_hash')}::text, record from made)`

/** The members of one row, as JSON, that differ from another's. */
const changed = (table: PgTable, row: string, other: string) => sql`(
  select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(to_jsonb(${sql.raw(row)}) - ${unrecordedOf(table)})
  where value is distinct from to_jsonb(${sql.raw(other)}) -> key)`

/**
 * Changes the named fields of one row, raises its version, and records what differed, in one statement; a patch
 * without fields changes nothing.
 * @param version the version the caller saw (`If-Match`), or undefined to change whatever is there
 * @param verb what the event says happened
 * @param guard a condition on the row as it was
 * @returns the row as stored, or undefined when this organisation has none of this id
 * @throws Problem `version_mismatch` when the row has another version by now, or the guard's
 */
export async function updateAudited<T extends TenantTable>(
  scope: TenantScope,
  subject: string,
  of: T,
  id: string,
  patch: Partial<InferInsertModel<T>>,
  version?: number,
  verb = 'updated',
  guard?: Guard,
): Promise<InferSelectModel<T> | undefined> {
  const { db } = scope
  const table: TenantTable = of
  const mine = and(owned(table, scope), eq(table.id, id))
  if (Object.keys(patch).length === 0) return (await currentRow(scope, table, mine, version)) as InferSelectModel<T>
  const before = db.$with('before').as(db.select().from(table).where(and(mine, guard?.sql)).for('no key update'))
  const change = db.$with('change').as(
    db
      .update(table)
      .set({ ...patch, version: sql`${table.version} + 1`, updated_at: sql`now()` } as never)
      .where(
        and(mine, version === undefined ? undefined : eq(table.version, version), sql`exists (select from before)`),
      )
      .returning(),
  )
  const differences = [changed(table, 'before', 'change'), changed(table, 'change', 'before')] as const
  const audit = db.$with('audit', {}).as(auditOf(`${subject}.${verb}`, subject, ...differences, sql`change, before`))
  const queue = db.$with('queued', {}).as(queued)
  const past = pastOf(scope, table, sql`before where exists (select from change)`)
  const statement = db
    .with(before, change, audit, queue, ...past)
    .select()
    .from(change)
    .prepare(unprepared)
  const [made] = await statement.execute(eventValues(scope))
  if (made === undefined) await unchanged(scope, table, mine, version, guard)
  return made as InferSelectModel<T> | undefined
}

/**
 * Deletes one row and records what it was, in one statement.
 * @returns whether this organisation had one of this id
 * @throws Problem `version_mismatch`, or the guard's, as for an update
 */
export async function deleteAudited(
  scope: TenantScope,
  subject: string,
  table: TenantTable,
  id: string,
  version?: number,
  guard?: Guard,
): Promise<boolean> {
  const { db } = scope
  const mine = and(owned(table, scope), eq(table.id, id))
  const change = db.$with('change').as(
    db
      .delete(table)
      .where(and(mine, version === undefined ? undefined : eq(table.version, version), guard?.sql))
      .returning(),
  )
  const was = sql`jsonb_strip_nulls(to_jsonb(change) - ${unrecordedOf(table)})`
  const audit = db.$with('audit', {}).as(auditOf(`${subject}.deleted`, subject, was, sql`null`))
  const queue = db.$with('queued', {}).as(queued)
  const past = pastOf(scope, table, sql`change`)
  const statement = db
    .with(change, audit, queue, ...past)
    .select()
    .from(change)
    .prepare(unprepared)
  const gone = await statement.execute(eventValues(scope))
  if (gone.length === 0) await unchanged(scope, table, mine, version, guard)
  return gone.length > 0
}

/** Throws why the row that is there was not changed; there may be none. */
async function unchanged(scope: TenantScope, table: TenantTable, mine?: SQL, version?: number, guard?: Guard) {
  const row = await currentRow(scope, table, mine, version)
  if (row !== undefined && guard !== undefined) throw await refusalOf(guard)
}

/** What keeps the rows as they were, where their table has a past. */
function pastOf({ db, actor }: TenantScope, table: TenantTable, from: SQL) {
  const past = historyOf(table, from, actor.user_id)
  return past === undefined ? [] : [db.$with('past', {}).as(past)]
}

/** The row as it is. @throws Problem `version_mismatch` when that is not the version the caller saw */
async function currentRow({ db }: TenantScope, table: TenantTable, mine?: SQL, version?: number) {
  const [row] = await db.select().from(table).where(mine)
  if (row !== undefined) assertVersion(row as { version: number }, version)
  return row
}
