import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm'
import { deleteAudited, type Guard, insertAudited, updateAudited } from '../../../db/audit.ts'
import { assertReported, type BookTime, bookOf } from '../../../db/book.ts'
import type { Pool } from '../../../db/client.ts'
import { copyOut } from '../../../db/copy-out.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import type { ImportTarget, RowFault } from '../../../db/import-target.ts'
import { compare, containsText, inPlaceOf, type ListSpec, listPage, oneOf, wholeList } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { loans, loanVersions, portfolios, ratingScales } from '../../../db/tables/credit.ts'
import { invalidField, notFound, oneOr404, Problem, type ProblemCode } from '../../../lib/errors.ts'
import { assertOpen, termsOf } from '../portfolios/queries.ts'
import { loanHints } from './hints.ts'
import { derive, originationFault, termsFault } from './rules.ts'
import { type LoanCreate, LoanFields, type LoanQuery, type LoanUpdate } from './schemas.ts'

type Loan = typeof loans.$inferSelect

const constraints = {
  loans_number: taken('/body/loan_number', 'loan of this portfolio has this number'),
  loans_portfolio: missingReference('/body/portfolio_id'),
}

/** The filters of the loan list, on whatever is called `loans`. */
export const loanFilters = {
  portfolio_id: compare(loans.portfolio_id),
  loan_number: compare(loans.loan_number),
  borrower_group: compare(loans.borrower_group),
  product: compare(loans.product),
  sector: compare(loans.sector),
  country: compare(loans.country),
  state: compare(loans.state),
  currency: compare(loans.currency),
  status: compare(loans.status),
  status_in: oneOf(loans.status),
  stage: compare(loans.stage),
  rating: compare(loans.rating),
  originated_on_gte: compare(loans.originated_on, '>='),
  originated_on_lte: compare(loans.originated_on, '<='),
  matures_on_gte: compare(loans.matures_on, '>='),
  matures_on_lte: compare(loans.matures_on, '<='),
  original_principal_gte: compare(loans.original_principal, '>='),
  original_principal_lte: compare(loans.original_principal, '<='),
  balance_gte: compare(loans.balance, '>='),
  balance_lte: compare(loans.balance, '<='),
  days_past_due_gte: compare(loans.days_past_due, '>='),
  days_past_due_lte: compare(loans.days_past_due, '<='),
  import_id: compare(loans.import_id),
  q: containsText(loans.loan_number, loans.borrower_name),
}

const list: ListSpec<typeof loans> = {
  name: 'loans',
  table: loans,
  sorts: {
    created_at: loans.created_at,
    loan_number: loans.loan_number,
    borrower_name: loans.borrower_name,
    originated_on: loans.originated_on,
    matures_on: loans.matures_on,
    original_principal: loans.original_principal,
    balance: loans.balance,
    days_past_due: loans.days_past_due,
  },
  filters: loanFilters,
}

/** What the import engine needs to load loans from CSV. */
export const loanTarget: ImportTarget = {
  name: 'loans',
  path: '/portfolios/:id/loans/import',
  permission: 'credit:write',
  row: LoanFields,
  table: loans,
  parent: { table: portfolios, column: 'portfolio_id' },
  key: ['loan_number'],
  snapshots: { table: loanVersions, column: 'loan_id' },
  exported: ['id', 'portfolio_id', 'import_id', 'version', 'created_at', 'updated_at'],
  derived: ['matures_on'],
  derive: (row) => void derive(row as LoanFields),
  open: async (scope, portfolioId, { as_of }) => {
    const terms = await termsOf(scope, portfolioId)
    assertOpen(terms)
    const judge = (row: Record<string, unknown>) =>
      termsFault(row, terms) ?? (as_of === undefined ? undefined : originationFault(row.originated_on as string, as_of))
    return { judge }
  },
  hints: loanHints,
}

/**
 * One page of loans, as they are; with `as_of` or `known_at` as they were, of one portfolio.
 * @throws Problem `validation_failed` without that portfolio, `as_of_without_snapshots`
 */
export async function listLoans(scope: TenantScope, { as_of, known_at, ...query }: LoanQuery) {
  return listPage(scope, await listAt(scope, query.portfolio_id, { as_of, known_at }), query)
}

/** The whole list as CSV. @throws Problem as the list does, or `unavailable` while too many exports run */
export async function exportLoans(
  pool: Pool,
  scope: TenantScope,
  { as_of, known_at, ...query }: LoanQuery,
  names: string[],
) {
  const spec = await listAt(scope, query.portfolio_id, { as_of, known_at })
  return copyOut(pool, names, wholeList(scope, spec, query, names))
}

async function listAt(scope: TenantScope, portfolioId: string | undefined, time: BookTime): Promise<typeof list> {
  if (time.as_of === undefined && time.known_at === undefined) return list
  if (portfolioId === undefined)
    throw invalidField('/querystring/portfolio_id', 'required', 'is required with as_of or known_at')
  await assertReported(scope, portfolioId, time)
  // The name binds cursors to the time as well.
  return { ...list, name: `loans ${time.as_of} ${time.known_at}`, from: bookOf(scope, portfolioId, time) }
}

export const getLoan = (scope: TenantScope, id: string) => getOwned(scope, loans, id)

/** The portfolio of a loan, also of a deleted one. @throws Problem `not_found` */
export async function portfolioOfLoan(scope: TenantScope, id: string): Promise<string> {
  const { portfolio_id } = oneOr404(
    await scope.db
      .select({ portfolio_id: loans.portfolio_id })
      .from(loans)
      .where(and(owned(loans, scope), eq(loans.id, id)))
      .unionAll(
        scope.db
          .select({ portfolio_id: loanVersions.portfolio_id })
          .from(loanVersions)
          .where(and(owned(loanVersions, scope), eq(loanVersions.loan_id, id)))
          .limit(1),
      ),
  )
  return portfolio_id
}

/**
 * A loan as it was.
 * @throws Problem `not_found` where it was not known then, `as_of_without_snapshots` where no loan of its portfolio was
 */
export async function getPastLoan(scope: TenantScope, id: string, time: BookTime): Promise<Loan> {
  const portfolioId = await portfolioOfLoan(scope, id)
  await assertReported(scope, portfolioId, time)
  const from = inPlaceOf(loans, bookOf(scope, portfolioId, time))
  return oneOr404(await scope.db.select(getTableColumns(loans)).from(from).where(eq(loans.id, id)))
}

/**
 * What a portfolio asks of a loan, as part of the statement that writes it: so a creation stays one statement. A new loan
 * waits for whoever is archiving the portfolio or changing its currency.
 */
const admits = (portfolio: SQL, currency?: SQL, rating?: SQL) => sql`
  select from ${portfolios} where ${portfolio} and ${portfolios.archived_at} is null
  ${currency === undefined ? sql`` : sql`and ${portfolios.currency} = ${currency}`}
  ${
    rating === undefined
      ? sql``
      : sql`and (${rating} is null or ${portfolios.rating_scale_id} is null or exists (
    select from ${ratingScales}, jsonb_array_elements(${ratingScales.grades}) as grade
    where ${ratingScales.org_id} = ${portfolios.org_id} and ${ratingScales.id} = ${portfolios.rating_scale_id}
      and grade ->> 'grade' = ${rating}))`
  }`

const { placeholder } = sql
const admitsNew = sql`${admits(
  sql`${portfolios.org_id} = ${placeholder('org_id')}::uuid and ${portfolios.id} = ${placeholder('portfolio_id')}::uuid`,
  sql`${placeholder('currency')}::text`,
  sql`${placeholder('rating')}::text`,
)} for key share`

/** Lets a loan be changed as its portfolio allows. @param patch what is to change; nothing for a deletion */
const admitted = (scope: TenantScope, id: string, patch: LoanUpdate = {}): Guard => ({
  sql: sql`exists (${admits(
    sql`${portfolios.org_id} = ${loans.org_id} and ${portfolios.id} = ${loans.portfolio_id}`,
    patch.currency === undefined ? undefined : sql`${patch.currency}::text`,
    patch.rating == null ? undefined : sql`${patch.rating}::text`,
  )})`,
  refusal: async () => refusalFor(scope, (await getLoan(scope, id)).portfolio_id, patch),
})

async function refusalFor(scope: TenantScope, portfolioId: string, loan: LoanUpdate): Promise<Problem | undefined> {
  const terms = await termsOf(scope, portfolioId)
  assertOpen(terms)
  const fault = termsFault(loan, terms)
  return fault && problemOf(fault)
}

/** A fault of a loan's field as a problem of the body. @param at where in the body the loan is */
export const problemOf = ({ field, code, message }: RowFault, at = '/body') =>
  new Problem(code as ProblemCode, `${field} ${message}.`, {
    errors: [{ pointer: `${at}/${field}`, code, message }],
  })

/** @throws Problem `portfolio_archived`, `currency_mismatch`, `unknown_grade`, `already_exists`; `not_found` for the portfolio */
export const createLoan = (scope: TenantScope, body: LoanCreate) =>
  withConstraints(constraints, () =>
    insertAudited(
      scope,
      'loan',
      loans,
      { ...derive({ ...body }), attributes: body.attributes ?? {} },
      {
        sql: admitsNew,
        refusal: () =>
          refusalFor(scope, body.portfolio_id, body).catch((error: Problem) =>
            error.code === 'not_found' ? constraints.loans_portfolio() : error,
          ),
      },
    ),
  )

/** @throws Problem as for a creation, and `version_mismatch` */
export async function updateLoan(scope: TenantScope, id: string, patch: LoanUpdate, version?: number) {
  const guard = admitted(scope, id, patch)
  const made = await withConstraints(constraints, () =>
    updateAudited(scope, 'loan', loans, id, patch, version, 'updated', guard),
  )
  return oneOr404(made ? [made] : [])
}

/** @throws Problem `not_found`, `version_mismatch`, `portfolio_archived` */
export async function deleteLoan(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'loan', loans, id, version, admitted(scope, id)))) throw notFound()
}
