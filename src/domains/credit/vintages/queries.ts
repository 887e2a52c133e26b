import { type SQL, sql } from 'drizzle-orm'
import { snapshotsOf } from '../../../db/book.ts'
import type { TenantScope } from '../../../db/scope.ts'
import {
  type Book,
  calendarMonths,
  defaulted,
  defaultedOn,
  monthsBetween,
  openBook,
  segmentOf,
} from '../book/queries.ts'
import { assertSegments } from '../book/rules.ts'
import { agesOf, assertCohorts, cohortsMax, curvesOf, type Step } from './rules.ts'
import type { VintageQuery, Vintages } from './schemas.ts'

const formulaVersion = 1

const labels = { year: 'YYYY', quarter: 'YYYY-"Q"Q', month: 'YYYY-MM' } as const

type Row = Omit<Vintages['cohorts'][number], 'curve' | 'marginal'> & { measurable: boolean; steps: Step[] }

/** When something happened to a loan and how much it weighs; no weight where it did not happen. */
type Measure = { on: SQL; weight: SQL; join?: SQL }

/**
 * The vintages of a portfolio: its loans by when they were originated (cohorts), and which share of each had defaulted,
 * was lost or was prepaid by an age, in one scan (static pool analysis as in ABS prospectuses, Regulation AB item 1105;
 * Breeden, Reinventing Retail Lending Analytics).
 *
 * - age: a loan is m months old on the day m calendar months after origination (31 January + 1 month is the last of
 *   February), and what happened on that day or before counts at m; what happened on the day of origination or, in dirty
 *   data, before it (`before_origination`) counts at 0
 * - cell at m: Σ weight of what happened by age m ÷ the whole cohort, in loans or in original principal
 * - immature: null unless even the youngest loan of the cohort was m months old on the observation date (`as_of`, else the
 *   portfolio's, else today); so a date in the future never counts
 * - default: a loan in default by the portfolio's definition, or one that states `defaulted_on`; on the day `defaultedOn` says
 * - loss: `charged_off_amount` − `recovered_amount` of any loan, on `charged_off_on`, else `defaulted_on`; recoveries have
 *   no date of their own, so they count with their loss. By count: loans that lost more than nothing. A charge-off above the
 *   principal is taken as it is, so a share may pass 1.
 * - prepayment: loans of status `prepaid`, on the first reporting date that says so: a loan has no date for it
 * - a loan whose date is unknown is in the denominator and in `undated`, in no cell; its date is not invented
 *
 * A cohort without principal has null shares by balance. The term plays no part: a term of 0 changes nothing.
 * @throws Problem `not_found`, `as_of_without_snapshots`, `too_many_segments`
 */
export async function vintages(scope: TenantScope, portfolioId: string, query: VintageQuery): Promise<Vintages> {
  const { cohort = 'year', measure = 'default', months_max = 120, step = 1, by, basis: asked, ...bookQuery } = query
  const basis = asked ?? (measure === 'loss' ? 'balance' : 'count')
  const book = await openBook(scope, portfolioId, bookQuery)
  const observedOn = book.on ?? new Date().toISOString().slice(0, 10)
  const observed = sql`${observedOn}::date`
  const { on, weight, join = sql`` } = measures[measure](basis, book, scope, observedOn)
  const size = basis === 'count' ? sql`loan_count` : sql`principal`
  const rows = await scope.db.execute<Row>(sql`
    with events as (
      select date_trunc(${cohort}, loans.originated_on::timestamp) as cohort, ${by ? segmentOf(by) : sql`null::text`} as segment,
        loans.originated_on, loans.original_principal, ${weight} as weight, ${on} as happened_on
      from ${book.loans} as loans ${join}
    ), aged as (
      select *, case when weight is not null and happened_on is not null then ceil(greatest(0, ${ageOf(sql`originated_on`, sql`happened_on`)})::numeric / ${step}::int) * ${step}::int end as age
      from events
    ), cells as (
      select cohort, segment, age, count(*) as loan_count, sum(original_principal) as principal, max(originated_on) as youngest,
        count(weight) as event_count, count(weight) filter (where happened_on is null) as undated,
        count(weight) filter (where happened_on < originated_on) as before_origination,
        sum(weight) filter (where happened_on is not null) as weight
      from aged group by cohort, segment, age
    ), curves as (
      select *, sum(weight) over (partition by cohort, segment order by age) as cumulative,
        nullif(sum(${size}) over (partition by cohort, segment), 0) as size
      from cells
    )
    select to_char(cohort, ${labels[cohort]}) as cohort, segment, sum(loan_count)::int as loan_count,
      sum(principal)::numeric(30,4) as original_principal, sum(event_count)::int as event_count,
      sum(undated)::int as undated, sum(before_origination)::int as before_origination,
      case when max(youngest) <= ${observed} then ${monthsBetween(sql`max(youngest)`, observed)} end as months_observed, bool_and(size is not null) as measurable,
      coalesce(jsonb_agg(jsonb_build_array(age, round(cumulative / size, 6)::text, round(weight / size, 6)::text) order by age)
        filter (where age <= ${months_max}::int), '[]') as steps
    from curves group by cohort, segment order by 1, 2 limit ${cohortsMax + 1}`)
  const months = agesOf(months_max, step)
  assertSegments(new Set(rows.map(({ segment }) => segment)).size)
  assertCohorts(rows.length, months.length)
  return {
    portfolio_id: portfolioId,
    currency: book.portfolio.currency,
    cohort,
    measure,
    basis,
    by: by ?? null,
    observed_on: observedOn,
    months,
    cohorts: rows.map(({ segment, steps, measurable, ...row }) => ({
      ...row,
      ...(by !== undefined && { segment: segment ?? null }),
      ...curvesOf(steps, months, measurable ? row.months_observed : null),
    })),
    ...book.asked,
    formula_version: formulaVersion,
    loan_count: rows.reduce((total, { loan_count }) => total + loan_count, 0),
    computed_at: new Date().toISOString(),
  }
}

type Basis = Vintages['basis']

const weightOf = (basis: Basis) => (basis === 'count' ? sql`1` : sql`loans.original_principal`)

const measures: Record<
  Vintages['measure'],
  (basis: Basis, book: Book, scope: TenantScope, observedOn: string) => Measure
> = {
  default: (basis, book) => ({
    on: defaultedOn(book),
    weight: sql`case when loans.defaulted_on is not null or ${defaulted(book)} then ${weightOf(basis)} end`,
  }),
  loss: (basis) => {
    const net = sql`(coalesce(loans.charged_off_amount, 0) - coalesce(loans.recovered_amount, 0))`
    return {
      on: sql`coalesce(loans.charged_off_on, loans.defaulted_on)`,
      weight: basis === 'count' ? sql`case when ${net} > 0 then 1 end` : sql`nullif(${net}, 0)`,
    }
  },
  prepayment: (basis, { portfolio, asked }, scope, observedOn) => ({
    on: sql`prepaid.first_on`,
    weight: sql`case when loans.status = 'prepaid' then ${weightOf(basis)} end`,
    join: sql`left join (
      select id, min(as_of) as first_on from ${snapshotsOf(scope, portfolio.id, { as_of: observedOn, known_at: asked.known_at ?? undefined })} as reports
      where status = 'prepaid' group by id) as prepaid on prepaid.id = loans.id`,
  }),
}

/** The age in months at which a loan had seen a day: the smallest m with origination + m months ≥ the day. */
const ageOf = (originated: SQL, day: SQL) =>
  sql`(${calendarMonths(originated, day)} + (date_part('day', ${day}) > date_part('day', ${originated}))::int)`
