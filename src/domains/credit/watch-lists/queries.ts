import { and, getTableColumns, type SQL, sql } from 'drizzle-orm'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { watchListEntries, watchLists } from '../../../db/tables/analysis.ts'
import { loans } from '../../../db/tables/credit.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { notFound, oneOr404 } from '../../../lib/errors.ts'
import type { Page } from '../../../lib/page.ts'
import { loanFilters } from '../loans/queries.ts'
import type {
  EntryParams,
  WatchCriteria,
  WatchedLoan,
  WatchedLoanQuery,
  WatchListCreate,
  WatchListEntryBulk,
  WatchListEntryCreate,
  WatchListEntryUpdate,
  WatchListQuery,
  WatchListUpdate,
} from './schemas.ts'

const constraints = { watch_lists_name: taken('/body/name', 'watch list has this name') }

const list = {
  name: 'watch_lists',
  table: watchLists,
  sorts: { created_at: watchLists.created_at, name: watchLists.name },
  filters: { q: containsText(watchLists.name) },
}

export const listWatchLists = (scope: TenantScope, query: WatchListQuery) => listPage(scope, list, query)

export const getWatchList = (scope: TenantScope, id: string) => getOwned(scope, watchLists, id)

export const createWatchList = (scope: TenantScope, body: WatchListCreate) =>
  withConstraints(constraints, () => insertAudited(scope, 'watch_list', watchLists, body as NewList))

type NewList = Omit<typeof watchLists.$inferInsert, 'org_id' | 'id'>

export async function updateWatchList(scope: TenantScope, id: string, patch: WatchListUpdate, version?: number) {
  const made = await withConstraints(constraints, () =>
    updateAudited(scope, 'watch_list', watchLists, id, patch as Partial<NewList>, version),
  )
  return oneOr404(made ? [made] : [])
}

export async function deleteWatchList(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'watch_list', watchLists, id, version))) throw notFound()
}

const watchedSorts = {
  created_at: loans.created_at,
  loan_number: loans.loan_number,
  borrower_name: loans.borrower_name,
  balance: loans.balance,
  days_past_due: loans.days_past_due,
}

const watchedColumns = {
  ...getTableColumns(loans),
  meets_criteria: sql<boolean>`meets_criteria`,
  entry_id: sql<string | null>`entry_id`,
  reason: sql<string | null>`reason`,
  added_by: sql<string | null>`added_by`,
  added_at: sql<string | null>`added_at`,
}

/** The loans that were entered and those that meet the criteria, each once. @throws Problem `not_found` */
export async function listWatchedLoans(
  scope: TenantScope,
  id: string,
  query: WatchedLoanQuery,
): Promise<Page<WatchedLoan>> {
  const { criteria, version } = await getWatchList(scope, id)
  const meets = meeting(criteria)
  const entries = sql`${watchListEntries.org_id} = ${loans.org_id} and ${watchListEntries.loan_id} = ${loans.id}
    and ${watchListEntries.watch_list_id} = ${id}::uuid`
  const row = (meetsCriteria: SQL) => sql`
    select ${loans}.*, ${meetsCriteria} as meets_criteria, ${watchListEntries.id} as entry_id, ${watchListEntries.reason},
      ${watchListEntries.added_by}, ${watchListEntries.created_at} as added_at`
  const mine = owned(loans, scope)
  const met = sql`${row(sql`true`)} from ${loans} left join ${watchListEntries} on ${entries} where ${and(mine, meets)} union all`
  const from = sql`(${meets === undefined ? sql`` : met}
    ${row(sql`false`)} from ${watchListEntries} join ${loans} on ${entries}
    where ${mine} and ${meets === undefined ? sql`true` : sql`(${meets}) is not true`})`
  // Cursors end with the criteria they were made for.
  const spec = {
    name: `watched ${id} ${version}`,
    table: loans,
    columns: watchedColumns,
    sorts: watchedSorts,
    filters: {},
  }
  return listPage<typeof loans, WatchedLoan>(scope, { ...spec, from }, query)
}

/** The criteria as a condition on loans; undefined where there are none. */
function meeting(criteria: Record<string, string | number> | null): SQL | undefined {
  const given = Object.entries(criteria ?? {}) as [keyof WatchCriteria, string | number][]
  return and(...given.map(([name, value]) => loanFilters[name](sql`${value}`)))
}

const entryConstraints = {
  watch_list_entries_list: notFound,
  watch_list_entries_loan: missingReference('/body/loan_id'),
  watch_list_entries_once: taken('/body/loan_id', 'entry of this watch list has this loan'),
}

/** @throws Problem `not_found` for the list or the loan, `already_exists` */
export const addEntry = (scope: TenantScope, watchListId: string, { loan_id, reason = null }: WatchListEntryCreate) =>
  withConstraints(entryConstraints, () =>
    insertAudited(scope, 'watch_list_entry', watchListEntries, {
      ...{ watch_list_id: watchListId, loan_id, reason },
      added_by: scope.actor.user_id,
    }),
  )

/** @throws Problem `not_found` for the list */
export const addEntries = (
  scope: TenantScope,
  watchListId: string,
  { items, atomic = false }: WatchListEntryBulk,
): Promise<BulkResult> =>
  scope.db.transaction(async (db) => {
    await getWatchList({ ...scope, db }, watchListId)
    return runBulk(items, atomic, async (item) => {
      const { id } = await db.transaction((inner) => addEntry({ ...scope, db: inner }, watchListId, item))
      return id
    })
  })

/** @throws Problem `not_found`, also for an entry of another list */
export async function getEntry(scope: TenantScope, { id, entry_id }: EntryParams) {
  const entry = await getOwned(scope, watchListEntries, entry_id)
  if (entry.watch_list_id !== id) throw notFound()
  return entry
}

export async function updateEntry(
  scope: TenantScope,
  params: EntryParams,
  patch: WatchListEntryUpdate,
  version?: number,
) {
  await getEntry(scope, params)
  const made = await updateAudited(scope, 'watch_list_entry', watchListEntries, params.entry_id, patch, version)
  return oneOr404(made ? [made] : [])
}

export async function deleteEntry(scope: TenantScope, params: EntryParams, version?: number): Promise<void> {
  await getEntry(scope, params)
  if (!(await deleteAudited(scope, 'watch_list_entry', watchListEntries, params.entry_id, version))) throw notFound()
}
