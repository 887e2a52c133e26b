import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import type { ImportTarget } from '../../../db/import-target.ts'
import { compare, containsText, listPage, oneOf } from '../../../db/list.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { loans, portfolios } from '../../../db/tables/credit.ts'
import { notFound, oneOr404 } from '../../../lib/errors.ts'
import { derive } from './rules.ts'
import { type LoanCreate, LoanFields, type LoanQuery, type LoanUpdate } from './schemas.ts'

const constraints = {
  loans_number: taken('/body/loan_number', 'loan of this portfolio has this number'),
  loans_portfolio: missingReference('/body/portfolio_id'),
}

const list = {
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
  filters: {
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
  },
}

/** What the import engine needs to load loans from CSV. */
export const loanTarget: ImportTarget = {
  name: 'loans',
  path: '/portfolios/:id/loans/import',
  permission: 'credit:write',
  row: LoanFields,
  table: loans,
  parent: { table: portfolios, column: 'portfolio_id' },
  key: 'loan_number',
  derived: ['matures_on'],
  derive: (row) => void derive(row as LoanFields),
}

export const listLoans = (scope: TenantScope, query: LoanQuery) => listPage(scope, list, query)

export const getLoan = (scope: TenantScope, id: string) => getOwned(scope, loans, id)

export const createLoan = (scope: TenantScope, body: LoanCreate) =>
  withConstraints(constraints, () =>
    insertAudited(scope, 'loan', loans, { ...derive({ ...body }), attributes: body.attributes ?? {} }),
  )

export async function updateLoan(scope: TenantScope, id: string, patch: LoanUpdate, version?: number) {
  const made = await withConstraints(constraints, () => updateAudited(scope, 'loan', loans, id, patch, version))
  return oneOr404(made ? [made] : [])
}

export async function deleteLoan(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'loan', loans, id, version))) throw notFound()
}
