import { and, eq } from 'drizzle-orm'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import type { ImportTarget } from '../../../db/import-target.ts'
import { compare, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { portfolios } from '../../../db/tables/credit.ts'
import { defaultRates } from '../../../db/tables/ratings.ts'
import { notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { inconsistency } from './rules.ts'
import { type DefaultRateCreate, type DefaultRateQuery, DefaultRateRow, type DefaultRateUpdate } from './schemas.ts'

const constraints = {
  default_rates_period: taken('/body/period', 'row of this portfolio, segment, basis and source has this period'),
  default_rates_portfolio: missingReference('/body/portfolio_id'),
}

const list = {
  name: 'default_rates',
  table: defaultRates,
  sorts: { created_at: defaultRates.created_at, period: defaultRates.period },
  filters: {
    portfolio_id: compare(defaultRates.portfolio_id),
    segment: compare(defaultRates.segment),
    period: compare(defaultRates.period),
    basis: compare(defaultRates.basis),
    source: compare(defaultRates.source),
  },
}

/** What the import engine needs to load series of default rates from CSV. */
export const defaultRateTarget: ImportTarget = {
  name: 'default_rates',
  path: '/portfolios/:id/default-rates/import',
  permission: 'credit:write',
  row: DefaultRateRow,
  table: defaultRates,
  parent: { table: portfolios, column: 'portfolio_id' },
  key: ['period', 'segment', 'basis'],
  derived: ['segment'],
  derive: (row) => {
    row.segment ??= 'all'
  },
  open: async () => ({
    constants: { source: 'imported' },
    judge: (row) => {
      const fault = inconsistency(row as DefaultRateRow)
      return fault && { ...fault, code: 'default_rate_inconsistent' }
    },
  }),
}

export const listDefaultRates = (scope: TenantScope, query: DefaultRateQuery) => listPage(scope, list, query)

export const getDefaultRate = (scope: TenantScope, id: string) => getOwned(scope, defaultRates, id)

/** @throws Problem `default_rate_inconsistent` where the figures contradict each other */
export async function createDefaultRate(scope: TenantScope, body: DefaultRateCreate) {
  check(body)
  return withConstraints(constraints, () =>
    insertAudited(scope, 'default_rate', defaultRates, { ...body, segment: body.segment ?? 'all', source: 'entered' }),
  )
}

function check(row: DefaultRateRow) {
  const fault = inconsistency(row)
  if (fault === undefined) return
  const { field, message } = fault
  const errors = [{ pointer: `/body/${field}`, code: 'inconsistent', message }]
  throw new Problem('default_rate_inconsistent', `${field} ${message}.`, { errors })
}

/**
 * Changes a row that was entered or imported.
 * @throws Problem `default_rate_inconsistent`; `invalid_state` for a computed row, which is what the loans say
 */
export const updateDefaultRate = (scope: TenantScope, id: string, patch: DefaultRateUpdate, version?: number) =>
  withConstraints(constraints, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const mine = and(owned(defaultRates, scope), eq(defaultRates.id, id))
      const row = oneOr404(await db.select().from(defaultRates).where(mine).for('update'))
      if (row.source === 'computed')
        throw new Problem(
          'invalid_state',
          'This row was computed from the loans: correct those and compute it again, or enter a row of your own.',
        )
      check({ ...row, ...patch })
      const made = await updateAudited(inside, 'default_rate', defaultRates, id, patch, version)
      return oneOr404(made ? [made] : [])
    }),
  )

export async function deleteDefaultRate(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'default_rate', defaultRates, id, version))) throw notFound()
}
