import { and, eq } from 'drizzle-orm'
import { deleteAudited, insertAudited, recordEvent, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { type DefaultDefinition, loans, portfolios } from '../../../db/tables/credit.ts'
import { invalidField, notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import type { PortfolioCreate, PortfolioQuery, PortfolioUpdate } from './schemas.ts'

/** Default or charged off, or 90 days past due: the definition of the Basel framework and of EBA/GL/2016/07. */
const defaultDefinition: DefaultDefinition = { statuses: ['default', 'charged_off'], days_past_due_min: 90 }
const bucketEdges = [1, 30, 60, 90]

const constraints = {
  portfolios_code: taken('/body/code', 'portfolio has this code'),
  portfolios_manager: missingReference('/body/manager_id'),
}

const list = {
  name: 'portfolios',
  table: portfolios,
  sorts: { created_at: portfolios.created_at, name: portfolios.name },
  filters: {
    code: compare(portfolios.code),
    currency: compare(portfolios.currency),
    asset_class: compare(portfolios.asset_class),
    manager_id: compare(portfolios.manager_id),
    q: containsText(portfolios.name, portfolios.code),
  },
}

export const listPortfolios = (scope: TenantScope, query: PortfolioQuery) => listPage(scope, list, query)

export const getPortfolio = (scope: TenantScope, id: string) => getOwned(scope, portfolios, id)

export async function createPortfolio(scope: TenantScope, body: PortfolioCreate) {
  checkEdges(body.bucket_edges)
  return withConstraints(constraints, () =>
    insertAudited(scope, 'portfolio', portfolios, {
      ...body,
      default_definition: body.default_definition ?? defaultDefinition,
      bucket_edges: body.bucket_edges ?? bucketEdges,
    }),
  )
}

function checkEdges(edges: number[] = []) {
  if (edges.some((edge, index) => edge < (edges[index - 1] ?? 0)))
    throw invalidField('/body/bucket_edges', 'ascending', 'must ascend')
}

export async function updatePortfolio(scope: TenantScope, id: string, patch: PortfolioUpdate, version?: number) {
  checkEdges(patch.bucket_edges)
  const made = await withConstraints(constraints, () =>
    updateAudited(scope, 'portfolio', portfolios, id, patch, version),
  )
  return oneOr404(made ? [made] : [])
}

/**
 * Deletes a portfolio; with `cascade` its loans too, in the same transaction.
 * @throws Problem `in_use` when it holds loans and `cascade` was not asked for
 */
export async function deletePortfolio(
  scope: TenantScope,
  id: string,
  cascade: boolean,
  version?: number,
): Promise<void> {
  await withConstraints({ loans_portfolio: holdsLoans }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      if (cascade) await deleteLoans(inside, id)
      if (!(await deleteAudited(inside, 'portfolio', portfolios, id, version))) throw notFound()
    }),
  )
}

async function deleteLoans(scope: TenantScope, portfolioId: string) {
  const gone = await scope.db.delete(loans).where(and(owned(loans, scope), eq(loans.portfolio_id, portfolioId)))
  if (gone.count > 0)
    await recordEvent(scope, {
      action: 'portfolio.emptied',
      subject_type: 'portfolio',
      subject_id: portfolioId,
      before: { loans: gone.count },
    })
}

const holdsLoans = () =>
  new Problem('in_use', 'The portfolio still holds loans; delete them first, or repeat with ?cascade=true.')
