import {
  and,
  eq,
  getTableColumns,
  type InferInsertModel,
  type InferSelectModel,
  isNull,
  type SQL,
  sql,
} from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { portfolios } from '../../../db/tables/credit.ts'
import { type ImportFailure, imports } from '../../../db/tables/imports.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import type { Page } from '../../../lib/page.ts'
import type { Progress } from '../engine/job.ts'
import type { Target } from '../engine/target.ts'
import type { ImportQuery } from './schemas.ts'

export type ImportRow = InferSelectModel<typeof imports>

/** What only a single import is asked for, and what may be long. */
const { header: _header, mapping: _mapping, ...listed } = getTableColumns(imports)
type ListedImport = Omit<ImportRow, 'header' | 'mapping'>

const list = {
  name: 'imports',
  table: imports,
  columns: listed,
  sorts: { started_at: imports.started_at },
  filters: {
    status: compare(imports.status),
    portfolio_id: compare(imports.portfolio_id),
    target: compare(imports.target),
    mode: compare(imports.mode),
    as_of: compare(imports.as_of),
    dry_run: compare(imports.dry_run),
    created_by: compare(imports.created_by),
    started_at_gte: compare(imports.started_at, '>='),
    started_at_lte: compare(imports.started_at, '<='),
  },
}

const one = (scope: TenantScope, id: string) => and(owned(imports, scope), eq(imports.id, id))

/** The advisory lock that an import holds on its portfolio while it runs, and that dies with it. */
const lockKey = (orgId: unknown, portfolioId: unknown) =>
  sql`hashtextextended('import ' || ${orgId}::text || ' ' || ${portfolioId}::text, 0)`

const interrupted: ImportFailure = {
  code: 'interrupted',
  detail: 'The service or its database stopped while the import ran; nothing was loaded.',
}

/** What a running import told of its progress is not so any more; its idempotency key may be used again. */
const nothingLoaded = { idempotency_key: null, inserted: 0, updated: 0, unchanged: 0, snapshots: 0 }

/** Marks running imports as failed. */
const fail = (db: Db, failure: ImportFailure, condition: SQL | undefined) =>
  db
    .update(imports)
    .set({ ...nothingLoaded, status: 'failed', failure, finished_at: sql`clock_timestamp()` })
    .where(and(eq(imports.status, 'running'), condition))

/**
 * Marks imports that say they run while nobody holds their lock: their process or its connection died.
 * @returns how many there were
 */
export async function failInterrupted(db: Db, condition?: SQL): Promise<number> {
  const held = sql`
    select from pg_locks where locktype = 'advisory' and objsubid = 1
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32 | objid::bigint) = ${lockKey(imports.org_id, imports.portfolio_id)}`
  const { count } = await fail(db, interrupted, and(sql`not exists (${held})`, condition))
  return count
}

/** One page of imports; one that died while it ran is shown as failed. */
export async function listImports(scope: TenantScope, query: ImportQuery): Promise<Page<ListedImport>> {
  const read = () => listPage<typeof imports, ListedImport>(scope, list, query)
  const page = await read()
  const running = page.data.some(({ status }) => status === 'running')
  return running && (await failInterrupted(scope.db, owned(imports, scope))) > 0 ? read() : page
}

/** An import as its row says, which may say that it runs when nobody does so any more. */
export const findImport = (scope: TenantScope, id: string): Promise<ImportRow> => getOwned(scope, imports, id)

/** An import; one that died while it ran is shown as failed. */
export async function getImport(scope: TenantScope, id: string): Promise<ImportRow> {
  const row = await findImport(scope, id)
  const isDead = row.status === 'running' && (await failInterrupted(scope.db, one(scope, id))) > 0
  return isDead ? findImport(scope, id) : row
}

/** The import that this principal made with the key, unless it failed. */
export async function findByKey(scope: TenantScope, key: string): Promise<ImportRow | undefined> {
  const [row] = await scope.db
    .select({ id: imports.id })
    .from(imports)
    .where(and(owned(imports, scope), eq(imports.principal, scope.actor.principal), eq(imports.idempotency_key, key)))
  const found = row && (await getImport(scope, row.id))
  return found?.status === 'failed' ? undefined : found
}

/** A completed import of the same file into the same portfolio. */
export async function findSameFile(scope: TenantScope, { portfolio_id, target }: ImportRow, sha256: string) {
  const [row] = await scope.db
    .select({ id: imports.id })
    .from(imports)
    .where(
      and(
        owned(imports, scope),
        eq(imports.portfolio_id, portfolio_id),
        eq(imports.sha256, sha256),
        eq(imports.target, target),
        eq(imports.status, 'completed'),
        eq(imports.dry_run, false),
      ),
    )
    .limit(1)
  return row
}

/** @throws Problem `not_found` when this organisation has no such parent; it is kept from being deleted meanwhile */
export async function holdParent({ db, org_id }: TenantScope, { parent: { table } }: Target, id: string) {
  const mine = and(eq(table.org_id, org_id), eq(table.id, id))
  oneOr404(await db.select({ id: table.id }).from(table).where(mine).for('key share'))
}

/** The reporting date that the portfolio has. */
export async function readAsOf(scope: TenantScope, portfolioId: string): Promise<string | null> {
  const mine = and(owned(portfolios, scope), eq(portfolios.id, portfolioId))
  return oneOr404(await scope.db.select({ as_of: portfolios.as_of }).from(portfolios).where(mine)).as_of
}

/** Changes the portfolio's reporting date, where `condition` holds for the row, and records it. */
export async function changeAsOf(scope: TenantScope, portfolioId: string, as_of: string | null, condition: SQL) {
  const mine = and(owned(portfolios, scope), eq(portfolios.id, portfolioId), condition)
  const before = await readAsOf(scope, portfolioId)
  const set = { as_of, version: sql`${portfolios.version} + 1`, updated_at: sql`now()` }
  const { count } = await scope.db.update(portfolios).set(set).where(mine)
  if (count === 0) return
  const change = { action: 'portfolio.updated', subject_type: 'portfolio', subject_id: portfolioId }
  await recordEvent(scope, { ...change, before: { as_of: before }, after: { as_of } })
}

/** A newer reporting date becomes the portfolio's. */
export async function advanceAsOf(scope: TenantScope, { portfolio_id, as_of }: ImportRow): Promise<void> {
  if (as_of !== null)
    await changeAsOf(
      scope,
      portfolio_id,
      as_of,
      sql`(${portfolios.as_of} is null or ${portfolios.as_of} < ${as_of}::date)`,
    )
}

/**
 * Makes this transaction the only import of the portfolio until it ends.
 * @throws Problem `import_in_progress`
 */
export async function lockPortfolio({ db, org_id }: TenantScope, id: string): Promise<void> {
  const [row] = await db.execute<{ free: boolean }>(
    sql`select pg_try_advisory_xact_lock(${lockKey(org_id, id)}) as free`,
  )
  if (row?.free !== true)
    throw new Problem(
      'import_in_progress',
      'Another import into this portfolio is running; try again when it has ended.',
    )
}

const constraints = {
  imports_org_id_id_pk: taken('/body/id', 'import has this id'),
  imports_idempotency: () =>
    new Problem('idempotency_in_progress', 'A request with this Idempotency-Key is still running.'),
}

type NewImport = Pick<InferInsertModel<typeof imports>, 'portfolio_id' | 'target' | 'mode' | 'on_error' | 'dry_run'> &
  Partial<
    Pick<ImportRow, 'id' | 'mapping' | 'mapping_id' | 'file_name' | 'idempotency_key' | 'as_of' | 'previous_as_of'>
  > & { request_hash: string }

/**
 * Makes the import visible, before and apart from the transaction that loads it. To be called by the holder of the
 * portfolio's lock: any other import of it that says it runs is dead.
 * @throws Problem `already_exists` for an id, `idempotency_in_progress` for a key
 */
export async function createImport(scope: TenantScope, values: NewImport): Promise<ImportRow> {
  const { db, org_id, actor } = scope
  await fail(db, interrupted, and(owned(imports, scope), eq(imports.portfolio_id, values.portfolio_id)))
  const row = {
    id: uuidv7(),
    ...values,
    org_id,
    status: 'running' as const,
    principal: actor.principal,
    created_by: actor.user_id,
  }
  return oneOr404(await withConstraints(constraints, () => db.insert(imports).values(row).returning()))
}

const countsOf = ({ bytes, received, inserted, updated, unchanged, rejected, ...rest }: Progress) => ({
  ...{ bytes, received, inserted, updated, unchanged, rejected },
  ...{ snapshots: rest.snapshots, encoding: rest.encoding, delimiter: rest.delimiter },
})

/** Tells whoever watches how far a running import has come. @returns whether somebody wants it to be cancelled */
export async function saveProgress(scope: TenantScope, id: string, progress: Progress): Promise<boolean> {
  const [row] = await scope.db
    .update(imports)
    .set(countsOf(progress))
    .where(and(one(scope, id), eq(imports.status, 'running')))
    .returning({ wanted: imports.cancel_requested_at })
  return row?.wanted != null
}

/**
 * Asks a running import to end, whichever instance runs it.
 * @throws Problem `not_found`, or `invalid_state` for one that has ended
 */
export async function requestCancel(scope: TenantScope, id: string): Promise<ImportRow> {
  const { status } = await getImport(scope, id)
  return scope.db.transaction(async (db) => {
    const [row] = await db
      .update(imports)
      .set({ cancel_requested_at: sql`coalesce(${imports.cancel_requested_at}, now())` })
      .where(and(one(scope, id), eq(imports.status, 'running')))
      .returning()
    if (row === undefined)
      throw new Problem(
        'invalid_state',
        `Only a running import can be cancelled; this one has ended${status === 'running' ? '' : ` (${status})`}.`,
      )
    await recordEvent({ ...scope, db }, { action: 'import.cancelled', subject_type: 'import', subject_id: id })
    return row
  })
}

/** Marks an import as completed; undefined where somebody wanted it to be cancelled, which from now on is too late. */
export async function finishImport(scope: TenantScope, id: string, progress: Progress): Promise<ImportRow | undefined> {
  const { errors, header, sha256, mapping } = progress
  const [row] = await scope.db
    .update(imports)
    .set({
      ...(mapping && { mapping }),
      ...{ ...countsOf(progress), errors, header, sha256, status: 'completed' },
      finished_at: sql`clock_timestamp()`,
    })
    .where(and(one(scope, id), isNull(imports.cancel_requested_at)))
    .returning()
  return row
}

/** Marks an import as one that loaded nothing, and says why. */
export async function failImport(
  scope: TenantScope,
  id: string,
  failure: ImportFailure,
  progress: Progress,
): Promise<ImportRow> {
  const { errors, header, sha256, mapping } = progress
  const rows = await scope.db
    .update(imports)
    .set({
      ...(mapping && { mapping }),
      ...{ ...countsOf(progress), ...nothingLoaded, errors, header, sha256, failure },
      status: failure.code === 'import_cancelled' ? 'cancelled' : 'failed',
      finished_at: sql`clock_timestamp()`,
    })
    .where(one(scope, id))
    .returning()
  return oneOr404(rows)
}
