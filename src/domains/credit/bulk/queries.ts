import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm'
import { recordEvent } from '../../../db/audit.ts'
import { keepVersions } from '../../../db/book.ts'
import { owned, type TenantScope, unhurried } from '../../../db/scope.ts'
import { loans } from '../../../db/tables/credit.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { createLoan, deleteLoan, loanFilters, problemOf, updateLoan } from '../loans/queries.ts'
import { termsFault } from '../loans/rules.ts'
import type { LoanCreate, LoanUpdate } from '../loans/schemas.ts'
import { openTerms } from '../portfolios/queries.ts'
import { assertComplete } from './rules.ts'
import {
  type LoanBulk,
  type LoanOperation,
  type LoansUpdate,
  type LoansUpdateResult,
  requiredFields,
} from './schemas.ts'

/** Creates, changes and deletes loans, in the order given; each as its own route does it. */
export const changeLoans = (scope: TenantScope, { items, atomic = false }: LoanBulk): Promise<BulkResult> =>
  scope.db.transaction(async (db) => {
    const ids = sql.param(items.flatMap(({ id }) => id ?? []))
    // In one order, whatever that of the items is, or two requests that share loans could wait for each other for ever.
    await db.execute(
      sql`select from ${loans} where ${owned(loans, scope)} and ${loans.id} = any(${ids}::uuid[]) order by id for update`,
    )
    return runBulk(items, atomic, (item) => db.transaction((inner) => changeLoan({ ...scope, db: inner }, item)))
  })

async function changeLoan(scope: TenantScope, item: LoanOperation): Promise<string> {
  assertComplete(item, requiredFields)
  const { op, id = '', version, data = {} } = item
  if (op === 'create') return (await createLoan(scope, data as LoanCreate)).id
  if (op === 'update') await updateLoan(scope, id, data as LoanUpdate, version)
  else await deleteLoan(scope, id, version)
  return id
}

/**
 * Changes the same fields of all loans of a portfolio that meet a filter, in one statement that also keeps what they
 * were. A loan that has these values already keeps its version.
 * @throws Problem `not_found`, `portfolio_archived`, `currency_mismatch`, `unknown_grade`
 */
export function updateLoans(
  scope: TenantScope,
  portfolioId: string,
  { filter, patch, dry_run = false }: LoansUpdate,
): Promise<LoansUpdateResult> {
  return scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const fault = termsFault(patch, await openTerms(inside, portfolioId))
    if (fault !== undefined) throw problemOf(fault, '/body/patch')
    await db.execute(unhurried)
    const [counts] = await db.execute<{ matched: number; updated: number }>(
      dry_run ? countOf(inside, portfolioId, filter, patch) : changeOf(inside, portfolioId, filter, patch),
    )
    const { matched, updated } = counts!
    const result = { matched, updated, unchanged: matched - updated }
    if (updated > 0 && !dry_run)
      await recordEvent(inside, {
        ...{ action: 'portfolio.loans_updated', subject_type: 'portfolio', subject_id: portfolioId },
        after: { filter, patch, ...result },
      })
    return { ...result, dry_run }
  })
}

const columns = getTableColumns(loans)

/** The patch as pairs of a column and its typed value. */
const valuesOf = (patch: LoansUpdate['patch']) =>
  Object.entries(patch).map(([name, value]) => {
    const column = columns[name as keyof typeof columns]
    const plain = typeof value === 'object' && value !== null ? JSON.stringify(value) : value
    return { column, value: sql`${plain}::${sql.raw(column.getSQLType())}` }
  })

function matching(scope: TenantScope, portfolioId: string, filter: LoansUpdate['filter']) {
  const given = Object.entries(filter).map(([name, value]) =>
    loanFilters[name as keyof typeof loanFilters](sql`${value}`),
  )
  return and(owned(loans, scope), eq(loans.portfolio_id, portfolioId), ...given)
}

const differs = (patch: LoansUpdate['patch']): SQL =>
  sql`(${sql.join(
    valuesOf(patch).map(({ column, value }) => sql`${column} is distinct from ${value}`),
    sql` or `,
  )})`

const countOf = (scope: TenantScope, portfolioId: string, filter: LoansUpdate['filter'], patch: LoansUpdate['patch']) =>
  sql`select count(*)::int as matched, count(*) filter (where ${differs(patch)})::int as updated
    from ${loans} where ${matching(scope, portfolioId, filter)}`

/** Every loan that meets the filter is locked, so that what is counted is what is changed. */
const changeOf = (
  scope: TenantScope,
  portfolioId: string,
  filter: LoansUpdate['filter'],
  patch: LoansUpdate['patch'],
) => sql`
  with matched as materialized (
    select * from ${loans} where ${matching(scope, portfolioId, filter)} for update),
  before as materialized (select * from matched as loans where ${differs(patch)}),
  past as (${keepVersions(sql`before`, { user_id: scope.actor.user_id })}),
  change as (
    update ${loans} set ${sql.join(
      valuesOf(patch).map(({ column, value }) => sql`${sql.identifier(column.name)} = ${value}`),
      sql`, `,
    )}, version = ${loans.version} + 1, updated_at = now()
    from before where ${loans.org_id} = before.org_id and ${loans.id} = before.id returning 1)
  select (select count(*) from matched)::int as matched, (select count(*) from change)::int as updated`
