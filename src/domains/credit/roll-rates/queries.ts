import { sql } from 'drizzle-orm'
import { reportingDates } from '../../../db/book.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { openReports } from '../book/queries.ts'
import { bucketNames } from '../book/rules.ts'
import { migrate, reportedMoves, type StateSql } from '../transitions/queries.ts'
import { rollPeriods } from './rules.ts'
import type { RollRateQuery, RollRates } from './schemas.ts'

/**
 * Roll rates: of the loans in a delinquency bucket on one reporting date, which share was in which bucket, or had left the
 * book in which way, on the next (migration analysis as in the FDIC Credit Card Activities Manual, ch. XII).
 *
 * - state: `default`, `charged_off`, `paid`, `prepaid` or `sold` by status; every other loan by days past due, in the
 *   buckets of the portfolio; without them `unknown`
 * - rows: the buckets, `unknown` and `default` (a default may cure); loans paid, sold or charged off at the beginning
 *   already are counted as `closed`. A loan that is missing at the end has `vanished`, one that was missing at the
 *   beginning is `new`, neither is guessed at.
 * - share: loans ÷ loans of the row, or balance ÷ balance of the row, both as they were at the beginning; average: as in
 *   a transition matrix
 *
 * Filters look at the first date, so that a loan that leaves the filter stays; `new` loans are looked at on the second.
 * @throws Problem `not_found`, `invalid_period`, `as_of_without_snapshots`
 */
export async function rollRates(scope: TenantScope, portfolioId: string, query: RollRateQuery): Promise<RollRates> {
  const { from, to, series, ...filters } = query
  const reports = await openReports(scope, portfolioId, filters)
  const { bucket_edges } = reports.portfolio
  const dates = await reportingDates(scope, portfolioId, { from, to, known_at: filters.known_at })
  const periods = rollPeriods(dates, { from, to, series })
  const performing = [...bucketNames(bucket_edges), 'unknown', 'default']
  const states = {
    rows: performing,
    columns: [...performing, 'charged_off', 'paid', 'prepaid', 'sold'],
    gone: 'vanished',
  }
  const moves = await reportedMoves(scope, reports, periods, stateOf(bucket_edges))
  const figures = await migrate(scope, reports, periods, moves, states, 'include')
  return { ...figures, bucket_edges, from: periods[0]?.from ?? '', to: periods.at(-1)?.to ?? '' }
}

function stateOf(edges: number[]): StateSql {
  const labels = sql`string_to_array(${bucketNames(edges).join(',')}, ',')`
  const thresholds = sql`string_to_array(${edges.join(',')}, ',')::int[]`
  return {
    state: sql`case when loans.status in ('default', 'charged_off', 'paid', 'prepaid', 'sold') then loans.status
      else coalesce((${labels})[width_bucket(loans.days_past_due, ${thresholds}) + 1], 'unknown') end`,
    outside: sql`case when loans.status in ('charged_off', 'paid', 'prepaid', 'sold') then 'closed' end`,
  }
}
