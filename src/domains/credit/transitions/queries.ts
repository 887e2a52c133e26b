import { and, eq, type SQL, sql } from 'drizzle-orm'
import { assertReported } from '../../../db/book.ts'
import { getOwned } from '../../../db/get.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { loans, loanTerms, ratingScales } from '../../../db/tables/credit.ts'
import { ratingHistory } from '../../../db/tables/ratings.ts'
import { Problem } from '../../../lib/errors.ts'
import { type Book, openBook, openReports, type Reports } from '../book/queries.ts'
import type { BookQuery } from '../book/schemas.ts'
import { type Cell, migrationsOf, type Period, periodsOf, type States } from './rules.ts'
import type { Policy, TransitionMatrix, TransitionQuery } from './schemas.ts'

const formulaVersion = 1

/**
 * How loans moved between the grades of a scale, between statuses or between IFRS 9 stages, by the cohort method: who was
 * in a state at the beginning of a period, and where at its end (S&P Global, Default, Transition and Recovery studies,
 * "static pools"; Basel Committee, Working Paper 14, "Studies on the validation of internal rating systems").
 *
 * - rating: the grade that holds on the first and on the last day. Default absorbs: who had a default grade on any day after
 *   the first up to the last, or had it before, ends there, whatever followed. A rating that holds no more is `withdrawn`.
 * - status, stage: as in the snapshots of both days; a loan missing at the end is `vanished`; for stages, paid, prepaid,
 *   sold and charged-off loans are `closed`, and loans without a stage `none`
 * - withdrawn (and vanished) loans: `include` gives them a column; `exclude` leaves them out of rows and shares; `adjusted`
 *   spreads them over the other states in proportion, so that shares are those of `exclude`, but rows, and the weight of a
 *   period in the average, keep them. Counts are never adjusted.
 * - average: Σ over the periods ÷ Σ of the rows' totals, by loans or by balance at the beginning
 *
 * Filters look at a loan in the snapshot of the first day; for ratings, which are no snapshots, as it is now. Balances exist in
 * snapshots only, so ratings have none.
 * @throws Problem `not_found`, `invalid_period`, `rating_scale_missing`, `as_of_without_snapshots`
 */
export async function transitionMatrix(
  scope: TenantScope,
  portfolioId: string,
  query: TransitionQuery,
): Promise<TransitionMatrix> {
  const { kind = 'rating', from, to, period_months, scale_id, withdrawn = 'include', ...filters } = query
  const periods = periodsOf(from, to, period_months)
  const asked = { kind, from, to, withdrawn, period_months: period_months ?? null }
  if (kind === 'rating')
    return { ...asked, ...(await ratings(scope, portfolioId, periods, withdrawn, scale_id, filters)) }
  const reports = await openReports(scope, portfolioId, filters)
  const moves = await reportedMoves(scope, reports, periods, stateOf[kind])
  const gone = withdrawn === 'include' ? { gone: 'vanished' } : {}
  const figures = await migrate(scope, reports, periods, moves, { ...reported[kind], ...gone }, withdrawn)
  return { ...asked, ...figures, scale_id: null }
}

const closed = sql`loans.status in ('paid', 'prepaid', 'sold', 'charged_off')`

const stateOf = {
  status: { state: sql`loans.status`, outside: sql`null::text` },
  stage: {
    state: sql`case when ${closed} then 'closed' else coalesce(loans.stage::text, 'none') end`,
    outside: sql`case when ${closed} then 'closed' end`,
  },
}

const stages = ['1', '2', '3', 'none']
const reported: Record<'status' | 'stage', States> = {
  status: { rows: loanTerms.status, columns: loanTerms.status },
  stage: { rows: stages, columns: [...stages, 'closed'] },
}

/** The state of a row of `loans` in SQL, and why it is in no row of the matrix, if so. */
export type StateSql = { state: SQL; outside: SQL }

const datesOf = (dates: readonly string[]) => sql`string_to_array(${dates.join(',')}, ',')::date[]`

/** The periods as a table of `opened` and `closed`. */
const tableOf = (periods: readonly Period[]) =>
  sql`unnest(${datesOf(periods.map(({ from }) => from))}, ${datesOf(periods.map(({ to }) => to))}) as span (opened, closed)`

/**
 * Who moved whence and whither by the snapshots of the periods' ends, as a query for `migrate`.
 * @throws Problem `as_of_without_snapshots`
 */
export async function reportedMoves(
  scope: TenantScope,
  { portfolio, loans: all, matches, asked }: Reports,
  periods: readonly Period[],
  { state, outside }: StateSql,
): Promise<SQL> {
  const dates = new Set(periods.flatMap(({ from, to }) => [from, to]))
  for (const as_of of dates) await assertReported(scope, portfolio.id, { as_of, known_at: asked.known_at ?? undefined })
  const shown = sql`loans.id, (${matches}) is true as picked, ${state} as state, coalesce(loans.balance, 0) as balance`
  return sql`
    select coalesce(before.opened, after.opened) as opened,
      case when before.outside is null then before.state end as was,
      case when before.id is null then 'new' else before.outside end as outside,
      after.state as became, coalesce(before.balance, after.balance) as balance
    from (
      select loans.as_of as opened, ${shown}, ${outside} as outside from ${all} as loans
      where loans.as_of = any(${datesOf(periods.map(({ from }) => from))})
    ) as before full join (
      select span.opened, ${shown} from ${all} as loans join ${tableOf(periods)} on span.closed = loans.as_of
      where loans.as_of = any(${datesOf(periods.map(({ to }) => to))})
    ) as after on after.opened = before.opened and after.id = before.id
    where coalesce(before.picked, after.picked)`
}

/**
 * Counts moves into the figures of every matrix.
 * @param moves a query of `opened` (the period), `was`, `outside`, `became` and `balance` for each loan and period
 */
export async function migrate(
  scope: TenantScope,
  { portfolio, asked }: Pick<Reports, 'portfolio' | 'asked'>,
  periods: readonly Period[],
  moves: SQL,
  states: States,
  policy: Policy,
  nothing: string | null = '0.0000',
) {
  const counts = policy === 'exclude' ? sql`became is not null or was is null` : sql`true`
  const spread = (own: SQL, row: SQL, gone: SQL) => {
    if (policy === 'include') return own
    const factor = policy === 'adjusted' ? sql`* ${row} / nullif(${row} - ${gone}, 0)` : sql``
    return sql`case when became is null then 0 else ${own} ${factor} end`
  }
  const share = (weight: SQL) => sql`round(sum(${weight}) / nullif(sum(sum(${weight})) over line, 0), 6)`
  const cells = await scope.db.execute<Cell>(sql`
    with cells as (
      select opened, was, outside, became, count(*)::numeric as loan_count, sum(balance) as balance
      from (${moves}) as moves group by opened, was, outside, became
    ), lines as (
      select *, sum(loan_count) over line as line_count, coalesce(sum(loan_count) filter (where became is null) over line, 0) as gone_count,
        sum(balance) over line as line_balance, coalesce(sum(balance) filter (where became is null) over line, 0) as gone_balance
      from cells window line as (partition by opened, was, outside)
    ), weights as (
      select *, ${spread(sql`loan_count`, sql`line_count`, sql`gone_count`)} as weight,
        ${spread(sql`balance`, sql`line_balance`, sql`gone_balance`)} as balance_weight
      from lines
    )
    select opened, was, outside, became, sum(loan_count)::int as loan_count, sum(balance)::numeric(30,4) as balance,
      coalesce(sum(sum(loan_count) filter (where ${counts})) over line, 0)::int as row_count,
      (sum(sum(balance) filter (where ${counts})) over line)::numeric(30,4) as row_balance,
      ${share(sql`weight`)} as share_by_count, ${share(sql`balance_weight`)} as share_by_balance
    from weights group by grouping sets ((opened, was, outside, became), (was, outside, became))
    window line as (partition by opened, was, outside)`)
  return {
    portfolio_id: portfolio.id,
    currency: portfolio.currency,
    ...migrationsOf(cells, periods, states, nothing),
    ...asked,
    as_of: periods.at(-1)?.to ?? null,
    formula_version: formulaVersion,
    computed_at: new Date().toISOString(),
  }
}

async function ratings(
  scope: TenantScope,
  portfolioId: string,
  periods: Period[],
  policy: Policy,
  scaleId: string | undefined,
  { known_at, ...filters }: BookQuery,
) {
  if (known_at !== undefined)
    throw new Problem('validation_failed', 'The rating history is kept as it is known now; leave known_at out.', {
      errors: [{ pointer: '/querystring/known_at', code: 'kind', message: 'is for kind=status and kind=stage' }],
    })
  const book = await openBook(scope, portfolioId, filters)
  const scale_id = scaleId ?? book.portfolio.rating_scale_id
  if (scale_id === null)
    throw new Problem('rating_scale_missing', 'The portfolio has no rating scale; name one by scale_id.')
  const { grades } = await getOwned(scope, ratingScales, scale_id)
  const names = grades.toSorted((a, b) => a.ordinal - b.ordinal).map(({ grade }) => grade)
  const worst = grades.find(({ is_default }) => is_default)?.grade ?? null
  const states = { rows: names, columns: names, ...(policy === 'include' && { gone: 'withdrawn' }) }
  const moves = ratingMoves(scope, book, periods, scale_id, worst)
  return { ...(await migrate(scope, book, periods, moves, states, policy, null)), scale_id }
}

/** Who moved whence and whither by the rating history, as a query for `migrate`. @param worst the grade of default */
function ratingMoves(
  scope: TenantScope,
  { portfolio, loans: picked }: Book,
  periods: readonly Period[],
  scaleId: string,
  worst: string | null,
): SQL {
  const { portfolio_id, scale_id } = ratingHistory
  const mine = and(owned(ratingHistory, scope), eq(portfolio_id, portfolio.id), eq(scale_id, scaleId))
  const history = (day: SQL) => sql`(
    select span.opened, loan_id, grade from ${ratingHistory} join ${tableOf(periods)}
      on effective_from <= ${day} and (effective_to is null or effective_to > ${day}) where ${mine})`
  const defaults = sql`(
    select span.opened, loan_id, min(effective_from) <= span.opened as early
    from ${ratingHistory} join ${tableOf(periods)} on effective_from <= span.closed
    where ${mine} and grade = ${worst}::text group by span.opened, loan_id)`
  return sql`
    select span.opened, case when rated.grade is not null and worse.early then ${worst}::text else rated.grade end as was,
      case when rated.loan_id is null then 'unrated' when rated.grade is null then 'withdrawn' end as outside,
      case when worse.loan_id is not null then ${worst}::text else later.grade end as became, null::numeric as balance
    from ${picked} as loans cross join ${tableOf(periods)}
      left join ${history(sql`span.opened`)} as rated on rated.opened = span.opened and rated.loan_id = ${loans.id}
      left join ${history(sql`span.closed`)} as later on later.opened = span.opened and later.loan_id = ${loans.id}
      left join ${defaults} as worse on worse.opened = span.opened and worse.loan_id = ${loans.id}
    where rated.loan_id is not null or loans.originated_on <= span.opened`
}
