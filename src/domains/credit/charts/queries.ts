import { sql } from 'drizzle-orm'
import { getOwned } from '../../../db/get.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { ratingScales } from '../../../db/tables/credit.ts'
import { dateOf, openBook } from '../book/queries.ts'
import { assertSegments, segmentsMax } from '../book/rules.ts'
import type { BookQuery } from '../book/schemas.ts'
import { concentrationOf } from '../concentration/queries.ts'
import { delinquencyOf } from '../delinquency/queries.ts'
import { getPortfolio } from '../portfolios/queries.ts'
import { rollRates } from '../roll-rates/queries.ts'
import { vintages } from '../vintages/queries.ts'
import { concentrationChart, delinquencyChart, ratingChart } from './bars.ts'
import { rollRateChart } from './roll-rate.ts'
import {
  assertTaken,
  concentrationNotes,
  concentrationRows,
  delinquencyRows,
  outsideNotes,
  parNotes,
  ratingRows,
  rollRows,
  stateNames,
  undatedNotes,
  vintagesOf,
  vintageWords,
} from './rules.ts'
import type { ChartName, ChartQuery } from './schemas.ts'
import type { ChartSpec, Heading } from './style.ts'
import { vintageChart } from './vintage.ts'

type Portfolio = Awaited<ReturnType<typeof getPortfolio>>
type Provenance = Pick<Heading, 'known_at' | 'filter' | 'loan_count'> & { as_of: string | null }
type Draw = (scope: TenantScope, portfolio: Portfolio, query: ChartQuery) => Promise<ChartSpec>

/**
 * A chart of a portfolio as a Vega-Lite specification. The same figures give the same one: it holds no time of its own.
 * @throws Problem `not_found`, `validation_failed` for a parameter of another chart, and what the analysis behind it throws
 */
export async function chartOf(scope: TenantScope, portfolioId: string, name: ChartName, query: ChartQuery) {
  assertTaken(name, query)
  return draw[name](scope, await getPortfolio(scope, portfolioId), query)
}

const today = () => new Date().toISOString().slice(0, 10)

/** @param on the date of the state where the analysis says it; else the reporting date, the portfolio's, or today */
const headingOf = ({ name, currency, as_of }: Portfolio, found: Provenance, on?: string): Heading => ({
  portfolio: name,
  currency,
  on: on ?? found.as_of ?? as_of ?? today(),
  known_at: found.known_at,
  filter: found.filter,
  loan_count: found.loan_count,
})

const draw: Record<ChartName, Draw> = {
  delinquency: async (scope, portfolio, query) => {
    const found = await delinquencyOf(scope, portfolio.id, query)
    const [date] = found.dates
    if (date === undefined) throw new Error('a state of a book has its buckets')
    return delinquencyChart(headingOf(portfolio, found), delinquencyRows(date.buckets), parNotes(date))
  },
  vintage: async (scope, portfolio, query) => {
    const found = await vintages(scope, portfolio.id, query)
    const { measure, basis, cohorts, months, observed_on } = found
    const heading = headingOf(portfolio, found, observed_on)
    return vintageChart(
      heading,
      vintageWords(measure, basis),
      vintagesOf(cohorts, months),
      undatedNotes(cohorts, measure),
    )
  },
  'roll-rate': async (scope, portfolio, { basis: asked, ...query }) => {
    const { states, average, periods, from, to, ...found } = await rollRates(scope, portfolio.id, query)
    const basis = asked ?? (average.some(({ balance }) => Number(balance) !== 0) ? 'balance' : 'count')
    const of = basis === 'count' ? 'loans' : 'balance'
    const heading = { ...headingOf(portfolio, found, to), which: `open on ${from}` }
    const rows = rollRows(average, states, basis)
    const notes = outsideNotes(periods[0]?.outside ?? {}, from)
    return rollRateChart(heading, { from, to, of, states: stateNames(states) }, rows, notes)
  },
  concentration: async (scope, portfolio, query) => {
    const found = await concentrationOf(scope, portfolio.id, query)
    return concentrationChart(
      headingOf(portfolio, found),
      found.by,
      concentrationRows(found),
      concentrationNotes(found),
    )
  },
  rating: async (scope, portfolio, query) => {
    const { scale, rows, ...found } = await ratingsOf(scope, portfolio, query)
    const rated = rows.some(({ rating }) => rating !== null)
    const notes =
      scale === null && rated ? ['The portfolio has no rating scale: ratings are in alphabetical order'] : []
    return ratingChart(headingOf(portfolio, found, found.on), ratingRows(rows, scale), notes)
  },
}

type Rated = { rating: string | null; count: number; balance: string; share: string | null }

/**
 * The loans by the rating they state, the most frequent first: Σ balance and its share of the book's; unknown balances
 * count as 0. And the portfolio's scale.
 * @throws Problem `as_of_without_snapshots`, `too_many_segments`
 */
async function ratingsOf(scope: TenantScope, { id, rating_scale_id }: Portfolio, query: BookQuery) {
  const book = await openBook(scope, id, query)
  const scale = rating_scale_id === null ? null : (await getOwned(scope, ratingScales, rating_scale_id)).grades
  const rows = await scope.db.execute<Rated & { on: string }>(sql`
    select rating, count(*)::int as count, coalesce(sum(balance), 0)::numeric(30,4)::text as balance,
      round(coalesce(sum(balance), 0) / nullif(sum(sum(balance)) over (), 0), 6)::text as share, ${dateOf(book)}::text as on
    from ${book.loans} as loans group by rating order by count(*) desc, rating limit ${segmentsMax + 1}`)
  assertSegments(rows.length)
  const loan_count = rows.reduce((sum, { count }) => sum + count, 0)
  return { scale, rows, on: rows[0]?.on, loan_count, ...book.asked }
}
