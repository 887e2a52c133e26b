import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { recordEvent } from '../../../db/audit.ts'
import { bookColumns, portfolioArchived } from '../../../db/book.ts'
import { type History, historyOfTable } from '../../../db/history.ts'
import type { ImportTarget } from '../../../db/import-target.ts'
import { owned, type TenantScope, unseen } from '../../../db/scope.ts'
import { loans, portfolios } from '../../../db/tables/credit.ts'
import { imports } from '../../../db/tables/imports.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { changeAsOf, getImport, type ImportRow, lockPortfolio } from '../imports/queries.ts'

/** Connections for imports have no limit of their own; a million loans take minutes. */
const statementWithinMs = 1_200_000

/**
 * Undoes an import, in the transaction of `scope`: what it inserted is deleted, what it changed is as before, the
 * snapshots it wrote hold no more and those it corrected hold again. What was undone stays as versions.
 * @throws Problem `not_found`, `import_in_progress`, `portfolio_archived`, `invalid_state`, or `import_changed` when its rows are no longer as
 *   it left them
 */
export async function rollBack(scope: TenantScope, targets: readonly ImportTarget[], id: string): Promise<ImportRow> {
  const { portfolio_id } = await getImport(scope, id)
  await scope.db.execute(sql`set local statement_timeout = ${sql.raw(String(statementWithinMs))}`)
  await lockPortfolio(scope, portfolio_id)
  await holdOpen(scope, portfolio_id)
  const row = await getImport(scope, id)
  const target = targets.find(({ name }) => name === row.target)
  assertUndoable(row, target)
  const { table, snapshots } = target
  const undone = [
    snapshots && (await look(scope, row, snapshots.table, row.snapshots)),
    await look(scope, row, table, row.inserted + row.updated),
  ].filter((one) => one !== undefined)
  const changed = undone.reduce((sum, one) => sum + one.changed, 0)
  if (changed > 0) throw changedSince(changed, row)
  await target.unsettle?.(scope, portfolio_id, id)
  for (const one of undone) await undo(scope, one)
  if (row.as_of !== null)
    await changeAsOf(scope, portfolio_id, row.previous_as_of, sql`${portfolios.as_of} = ${row.as_of}::date`)
  const ended = await scope.db
    .update(imports)
    .set({ status: 'rolled_back', rolled_back_at: sql`now()` })
    .where(and(owned(imports, scope), eq(imports.id, id)))
    .returning()
  const { inserted, updated, snapshots: written } = row
  const before = { inserted, updated, ...(row.as_of !== null && { as_of: row.as_of, snapshots: written }) }
  await recordEvent(scope, { action: 'import.rolled_back', subject_type: 'import', subject_id: id, before })
  return oneOr404(ended)
}

/** Keeps the portfolio from being archived meanwhile. @throws Problem `portfolio_archived` */
async function holdOpen({ db, ...scope }: TenantScope, id: string): Promise<void> {
  const mine = and(owned(portfolios, scope), eq(portfolios.id, id))
  const found = await db
    .select({ archived_at: portfolios.archived_at })
    .from(portfolios)
    .where(mine)
    .for('no key update')
  if (oneOr404(found).archived_at !== null) throw portfolioArchived()
}

function assertUndoable(
  { status, dry_run, updated }: ImportRow,
  target?: ImportTarget,
): asserts target is ImportTarget {
  if (target === undefined) throw new Problem('invalid_state', 'What this import loaded is not served here.')
  if (status !== 'completed')
    throw new Problem('invalid_state', `Only a completed import can be rolled back; this one is ${status}.`)
  if (dry_run) throw new Problem('invalid_state', 'A dry run loaded nothing, so there is nothing to roll back.')
  if (updated > 0 && historyOfTable(target.table) === undefined)
    throw new Problem(
      'invalid_state',
      `This import changed ${updated} ${target.name}, and what they were is not kept; import the right values with mode=upsert.`,
    )
}

const changedSince = (changed: number, { inserted, updated, snapshots }: ImportRow) =>
  new Problem(
    'import_changed',
    `${changed} of ${inserted + updated + snapshots} rows of this import were edited, deleted, rated, put on a watch list or written by a later import since. Roll later imports back first, newest first, or correct the rows by hand.`,
  )

/** The rows that an import wrote, in a temporary table: each with the state it replaced, if there was one. */
type Undone = { row: ImportRow; table: PgTable; history: History | undefined; ids: SQL; changed: number }

const content = bookColumns.filter((name) => !['org_id', 'portfolio_id', 'created_at', 'import_id'].includes(name))
const list = (names: readonly string[]) =>
  sql.join(
    names.map((name) => sql`${sql.identifier(name)}`),
    sql`, `,
  )
const columns = (alias: string, names: readonly string[] = content) =>
  sql.join(
    names.map((name) => sql`${sql.identifier(alias)}.${sql.identifier(name)}`),
    sql`, `,
  )

/** Finds and locks what the import wrote. @param expected how many rows those were */
async function look({ db, org_id }: TenantScope, row: ImportRow, table: PgTable, expected: number): Promise<Undone> {
  const history = historyOfTable(table)
  const ids = sql.identifier(history?.dated ? 'undone_snapshots' : 'undone_rows')
  /** `limit 1`, so that however large the tables are, the index of the loan is asked once for each row. */
  const state = (what: SQL, which: SQL) => sql`(
    select ${what} from loan_versions image where image.org_id = o.org_id and ${history?.imageOf} and ${which} limit 1)`
  const image = history
    ? state(sql`image.id`, sql`image.superseded_by_import is not distinct from ${row.id}::uuid`)
    : sql`null::uuid`
  const edited = history
    ? state(
        sql`true`,
        sql`image.import_id is not distinct from ${row.id}::uuid and (${columns('image')}) is distinct from (${columns('o')})`,
      )
    : sql`o.version > 1`
  const used = table === loans ? usedOf(row) : sql`false`
  await db.execute(sql`
    create temp table ${ids} on commit drop as
    select o.id, ${image} as image_id, coalesce(${edited}, false) as edited, coalesce(${used}, false) as used
    from ${table} o where o.org_id = ${unseen({ org_id })} and o.portfolio_id = ${row.portfolio_id}::uuid
      and o.import_id = ${row.id}::uuid and ${history?.holds ?? sql`true`} for update of o`)
  await db.execute(sql`analyze ${ids}`)
  const [counted] = await db.execute<{ found: number; changed: number }>(sql`
    select count(*)::int as found, (count(*) filter (where edited or used and image_id is null))::int as changed from ${ids}`)
  const { found = 0, changed = 0 } = counted ?? {}
  return { row, table, history, ids: sql`${ids}`, changed: changed + Math.abs(expected - found) }
}

/** Whether anything is tied to a loan that would go with it. */
const usedOf = ({ id }: ImportRow) => sql`coalesce(
  (select true from rating_history r where r.org_id = o.org_id and r.loan_id = o.id limit 1),
  (select true from watch_list_entries w where w.org_id = o.org_id and w.loan_id = o.id limit 1),
  (select true from loan_versions v where v.org_id = o.org_id and v.loan_id = o.id and v.as_of is not null
    and v.known_to is null and v.import_id is distinct from ${id}::uuid limit 1))`

/**
 * Written so that each row is found by its key whatever the planner thinks of the sizes: the statistics of a table that an
 * import has just filled are often those of an empty one.
 */
async function undo({ db, org_id, actor }: TenantScope, { table, history, ids }: Undone): Promise<void> {
  const mine = sql`org_id = ${unseen({ org_id })}`
  const inserted = sql`${mine} and id = any (array(select id from ${ids} where image_id is null))`
  if (history === undefined) return void (await db.execute(sql`delete from ${table} where ${inserted}`))
  const { since, keep, dated, keys } = history
  const now = sql`greatest(now(), o.${sql.identifier(since)})`
  await db.execute(
    keep(
      sql`(select o.*, gen_random_uuid() as kept_id from ${ids} u
        cross join lateral (select * from ${table} where ${mine} and id = u.id limit 1) o
        ${dated ? sql`where u.image_id is not null` : sql``}) replaced`,
      { user_id: actor.user_id },
    ),
  )
  const restored = [...content, 'import_id']
  const set = sql.join(
    restored.map((name) => sql`${sql.identifier(name)} = excluded.${sql.identifier(name)}`),
    sql`, `,
  )
  const kept = [...keys, ...restored]
  await db.execute(sql`
    insert into ${table} as o (id, ${list(kept)}) select u.id, ${columns('image', kept)} from ${ids} u
    cross join lateral (select * from loan_versions where ${mine} and id = u.image_id limit 1) image
    on conflict (org_id, id) do update set ${set}, version = o.version + 1, ${sql.identifier(since)} = ${now}`)
  if (!dated) return void (await db.execute(sql`delete from ${table} where ${inserted}`))
  const closed = sql`known_to = ${now}, superseded_by_user = ${actor.user_id}::uuid`
  await db.execute(sql`update ${table} o set ${closed} where ${inserted}`)
}
