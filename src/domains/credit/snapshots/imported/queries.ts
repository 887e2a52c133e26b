import type { ImportTarget } from '../../../../db/import-target.ts'
import { loans, loanVersions, portfolios } from '../../../../db/tables/credit.ts'
import { loanHints } from '../../loans/hints.ts'
import { derive, originationFault, termsFault } from '../../loans/rules.ts'
import { assertOpen, termsOf } from '../../portfolios/queries.ts'
import { SnapshotRow } from './schemas.ts'

/**
 * What the import engine needs to load snapshots from CSV: what loans that are there were at any dates. The loans
 * themselves, and the portfolio's own reporting date, stay as they are.
 */
export const snapshotTarget: ImportTarget = {
  name: 'snapshots',
  path: '/portfolios/:id/snapshots/import',
  permission: 'credit:write',
  row: SnapshotRow,
  table: loanVersions,
  parent: { table: portfolios, column: 'portfolio_id' },
  key: ['loan_number', 'as_of'],
  reference: { field: 'loan_number', table: loans, column: 'loan_id', code: 'unknown_loan', copies: ['created_at'] },
  derived: ['matures_on'],
  derive: (row) => void derive(row as SnapshotRow),
  open: async (scope, portfolioId) => {
    const terms = await termsOf(scope, portfolioId)
    assertOpen(terms)
    const judge = (row: Record<string, unknown>) => {
      const { originated_on, as_of } = row as SnapshotRow
      return termsFault(row, terms) ?? originationFault(originated_on, as_of)
    }
    return { judge }
  },
  hints: loanHints,
}
