import { and, desc, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference, taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { stressRuns, stressScenarios } from '../../../db/tables/analysis.ts'
import { notFound, oneOr404 } from '../../../lib/errors.ts'
import { type Book, expectedLosses, exposure, openBook, type RiskParameters, stageOf } from '../book/queries.ts'
import { differenceOf, neutral, runOf } from './rules.ts'
import {
  comparedMax,
  type Shocks,
  type StressComparison,
  type StressComparisonQuery,
  type StressCreate,
  type StressFigures,
  type StressRun,
  type StressRunQuery,
  type StressScenarioCreate,
  type StressScenarioQuery,
  type StressScenarioUpdate,
} from './schemas.ts'

const formulaVersion = 1

const constraints = { stress_scenarios_name: taken('/body/name', 'scenario has this name') }

const scenarioList = {
  name: 'stress_scenarios',
  table: stressScenarios,
  sorts: { created_at: stressScenarios.created_at, name: stressScenarios.name },
  filters: {
    name: compare(stressScenarios.name),
    q: containsText(stressScenarios.name, stressScenarios.description),
  },
}

export const listScenarios = (scope: TenantScope, query: StressScenarioQuery) => listPage(scope, scenarioList, query)

export const getScenario = (scope: TenantScope, id: string) => getOwned(scope, stressScenarios, id)

/** @throws Problem `already_exists` for a name that is taken */
export const createScenario = (scope: TenantScope, { shocks, ...body }: StressScenarioCreate) =>
  withConstraints(constraints, () =>
    insertAudited(scope, 'stress_scenario', stressScenarios, { ...body, shocks: { ...neutral, ...shocks } }),
  )

/** Changes the named fields, and of the shocks those that are named; runs keep the shocks they ran with. */
export async function updateScenario(
  scope: TenantScope,
  id: string,
  { shocks, ...patch }: StressScenarioUpdate,
  version?: number,
) {
  const merged = shocks && { shocks: sql`${stressScenarios.shocks} || ${JSON.stringify(shocks)}::jsonb` as never }
  const made = await withConstraints(constraints, () =>
    updateAudited(scope, 'stress_scenario', stressScenarios, id, { ...patch, ...merged }, version),
  )
  return oneOr404(made ? [made] : [])
}

export async function deleteScenario(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'stress_scenario', stressScenarios, id, version))) throw notFound()
}

/**
 * Runs a stress test and keeps its result as it is then.
 * @throws Problem `not_found` for the portfolio or the scenario, `as_of_without_snapshots`, `validation_failed`
 */
export async function createRun(scope: TenantScope, portfolioId: string, body: StressCreate): Promise<StressRun> {
  const { scenario_id, name: _, shocks: __, filter, ...time } = body
  const book = await openBook(scope, portfolioId, { ...time, ...filter })
  const { name, shocks } = runOf(
    body,
    scenario_id === undefined ? undefined : await referredScenario(scope, scenario_id),
  )
  const { loan_count, ...result } = await stress(scope, book, shocks)
  const row = await insertAudited(scope, 'stress_run', stressRuns, {
    portfolio_id: portfolioId,
    scenario_id: scenario_id ?? null,
    name,
    shocks,
    ...book.asked,
    result: { currency: book.portfolio.currency, ...result },
    loan_count,
    formula_version: formulaVersion,
    created_by: scope.actor.user_id,
  })
  return shown(row)
}

async function referredScenario(scope: TenantScope, id: string) {
  const [scenario] = await scope.db
    .select()
    .from(stressScenarios)
    .where(and(owned(stressScenarios, scope), eq(stressScenarios.id, id)))
  if (scenario === undefined) throw missingReference('/body/scenario_id')()
  return scenario
}

type Row = typeof stressRuns.$inferSelect

const shown = ({ created_at, result, ...row }: Row): StressRun => ({
  ...row,
  result: result as StressRun['result'],
  created_at,
  computed_at: created_at,
})

type Figures = Omit<StressRun['result'], 'currency'> & { loan_count: number }

/** The parameters that a tape states, and what shocks make of them. */
const own: RiskParameters = { pd_12m: sql`loans.pd_12m`, pd_lifetime: sql`loans.pd_lifetime`, lgd: sql`loans.lgd` }
const shocked: RiskParameters = {
  pd_12m: sql`loans.shocked_pd_12m`,
  pd_lifetime: sql`loans.shocked_pd_lifetime`,
  lgd: sql`loans.shocked_lgd`,
}

/**
 * Expected losses and interest income before and after shocks, in one scan (sensitivity analysis by multiplied and shifted
 * risk parameters: EBA/GL/2018/04, 4.6.2).
 *
 * - PD, LGD: own × multiplier + shift for each loan that states them, cut to 0 and to 1, or to its own where an LGD is above
 *   1 already: so neutral shocks change nothing, and adverse ones lower no loss. The exposure stays.
 * - exposure, expected losses, averages: as in the portfolio's metrics; the stage is the one the loan is in, it does not
 *   migrate; the lifetime PD of 1 that stands for an unknown one in stage 3 is not shocked
 * - interest income of a year: Σ balance × rate, an unknown one counts as 0; `rate_shift` adds balance × shift for loans of
 *   rate_type `floating` only (of `mixed` ones nobody knows the floating part) and knows no floor
 *
 * Amounts have 4 places, averages 6; `change` is stressed − baseline of the rounded figures.
 */
async function stress(scope: TenantScope, book: Book, shocks: Shocks): Promise<Figures> {
  const { pd_multiplier, pd_shift, lgd_multiplier, lgd_shift, rate_shift } = shocks
  const shocksOf = (value: SQL, multiplier: string, shift: string) => {
    const moved = sql`(${value} * ${multiplier}::numeric + ${shift}::numeric)`
    const most = sql`greatest(1, ${value})`
    return {
      cut: sql`case when ${value} is not null then least(${most}, greatest(0, ${moved})) end`,
      capped: sql`coalesce(${moved} not between 0 and ${most}, false)`,
    }
  }
  const pd12m = shocksOf(own.pd_12m, pd_multiplier, pd_shift)
  const pdLifetime = shocksOf(own.pd_lifetime, pd_multiplier, pd_shift)
  const lgd = shocksOf(own.lgd, lgd_multiplier, lgd_shift)
  // offset 0 keeps the planner from working the CTE out anew for every figure: half of the time.
  const [row] = await scope.db.execute<Figures>(sql`
    with exposed as (
      select loans.pd_12m, loans.pd_lifetime, loans.lgd, loans.interest_rate, coalesce(loans.balance, 0) as balance,
        ${exposure} as ead, ${stageOf(book)} as ifrs_stage, loans.rate_type is not distinct from 'floating' as floating,
        ${pd12m.cut} as shocked_pd_12m, ${pdLifetime.cut} as shocked_pd_lifetime, ${lgd.cut} as shocked_lgd,
        ${pd12m.capped} or ${pdLifetime.capped} or ${lgd.capped} as capped
      from ${book.loans} as loans offset 0
    )
    select count(*)::int as loan_count, count(*) filter (where ${lossesOf(own).expected_loss} is null)::int as without_parameters,
      count(*) filter (where loans.floating)::int as floating_count, count(*) filter (where loans.capped)::int as capped_count,
      ${figuresOf(own, sql`0`)} as baseline,
      ${figuresOf(shocked, sql`case when loans.floating then ${rate_shift}::numeric else 0 end`)} as stressed
    from exposed as loans`)
  const figures = row as Figures
  return { ...figures, change: differenceOf(figures.stressed, figures.baseline) }
}

const lossesOf = (parameters: RiskParameters) => expectedLosses(parameters, sql`loans.ead`, sql`loans.ifrs_stage`)

/** One set of figures as a JSON object, over the loans with their exposure and stage. */
function figuresOf(parameters: RiskParameters, rateShift: SQL): SQL {
  const { el_12m, el_lifetime, expected_loss } = lossesOf(parameters)
  const known = (of: SQL) => sql`sum(${of})::numeric(30,4)::text`
  const amount = (of: SQL) => sql`coalesce(sum(${of}), 0)::numeric(30,4)::text`
  const average = (of: SQL) =>
    sql`round(sum(loans.balance * ${of}) / nullif(sum(loans.balance) filter (where ${of} is not null), 0), 6)::text`
  const figures: Record<keyof StressFigures, SQL> = {
    ead: amount(sql`loans.ead`),
    el_12m: known(el_12m),
    el_lifetime: known(el_lifetime),
    expected_loss: known(expected_loss),
    weighted_average_pd_12m: average(parameters.pd_12m),
    weighted_average_pd_lifetime: average(parameters.pd_lifetime),
    weighted_average_lgd: average(parameters.lgd),
    interest_income: amount(sql`loans.balance * (coalesce(loans.interest_rate, 0) + ${rateShift})`),
  }
  const members = Object.entries(figures).map(([name, value]) => sql`${sql.raw(`'${name}'`)}, ${value}`)
  return sql`jsonb_build_object(${sql.join(members, sql`, `)})`
}

const runList = {
  name: 'stress_runs',
  table: stressRuns,
  sorts: { created_at: stressRuns.created_at, name: stressRuns.name },
  filters: {
    portfolio_id: compare(stressRuns.portfolio_id),
    scenario_id: compare(stressRuns.scenario_id),
    as_of: compare(stressRuns.as_of),
    q: containsText(stressRuns.name),
  },
}

export async function listRuns(scope: TenantScope, query: StressRunQuery) {
  const page = await listPage(scope, runList, query)
  return { ...page, data: page.data.map(shown) }
}

export const getRun = async (scope: TenantScope, id: string) => shown(await getOwned(scope, stressRuns, id))

export async function deleteRun(scope: TenantScope, id: string, version?: number): Promise<void> {
  if (!(await deleteAudited(scope, 'stress_run', stressRuns, id, version))) throw notFound()
}

/**
 * Runs side by side, each against its own baseline and against the first.
 * @throws Problem `not_found` when one of the ids is none of this organisation's (or of the portfolio's)
 */
export async function compareRuns(
  scope: TenantScope,
  { ids, portfolio_id }: StressComparisonQuery,
): Promise<StressComparison> {
  const asked = ids === undefined ? undefined : [...new Set(ids.split(','))]
  const rows = await scope.db
    .select()
    .from(stressRuns)
    .where(
      and(
        owned(stressRuns, scope),
        asked && inArray(stressRuns.id, asked),
        portfolio_id === undefined ? undefined : eq(stressRuns.portfolio_id, portfolio_id),
      ),
    )
    .orderBy(desc(stressRuns.created_at), desc(stressRuns.id))
    .limit(comparedMax)
  const runs = (asked ?? rows.map(({ id }) => id)).map((id) => shown(oneOr404(rows.filter((row) => row.id === id))))
  const first = runs[0]?.result
  return {
    runs: runs.map((run) => ({
      run,
      from_first: first?.currency === run.result.currency ? differenceOf(run.result.stressed, first.stressed) : null,
    })),
  }
}
