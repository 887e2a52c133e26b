import { sql } from 'drizzle-orm'
import type { TenantScope } from '../../../db/scope.ts'
import { openBook, openSeries } from '../book/queries.ts'
import { amount, bucketOf, ratio } from '../metrics/measures/queries.ts'
import { headOf } from '../metrics/queries.ts'
import { bucketsOf, noShare } from '../metrics/rules.ts'
import { type Delinquency, type DelinquencyQuery, datesMax } from './schemas.ts'

type OnDate = Delinquency['dates'][number]
type Found = Omit<OnDate, 'buckets'> & {
  buckets: (Omit<OnDate['buckets'][number], 'name' | 'from' | 'to'> & { bucket: number | null })[]
}

const pars = ['par_30', 'par_60', 'par_90'] as const

/**
 * How far behind the loans are: buckets by days past due, and PAR30/60/90 (the whole balance of loans more than so many days
 * past due ÷ gross balance; CGAP, MIX), of the state that was asked for, or, as a series, of each reporting date. One scan.
 *
 * Unknown days past due are a bucket of their own, and not past due for PAR.
 * @throws Problem `not_found`, `as_of_without_snapshots` (not for a series, which may be empty)
 */
export async function delinquencyOf(
  scope: TenantScope,
  portfolioId: string,
  query: DelinquencyQuery,
): Promise<Delinquency> {
  const { series = false, ...asked } = query
  const book = await (series ? openSeries : openBook)(scope, portfolioId, asked)
  const date = series ? sql`loans.as_of` : sql`${asked.as_of ?? null}::date as as_of`
  const [row] = await scope.db.execute<{ computed_at: string; dates: Found[] }>(sql`
    with groups as materialized (
      select as_of, bucket, count(*) as count, coalesce(sum(balance), 0) as balance, sum(past_due_amount) as past_due_amount,
        ${sql.raw(pars.map((name) => `coalesce(sum(balance) filter (where days_past_due > ${name.slice(4)}), 0) as ${name}`).join(', '))}
      from (
        select ${date}, days_past_due, past_due_amount, balance, ${bucketOf(book)} as bucket from ${book.loans} as loans
      ) as loans
      group by as_of, bucket
    ), totals as (
      select as_of, sum(count) as loan_count, sum(balance) as balance, sum(past_due_amount) as past_due_amount,
        ${sql.raw(pars.map((name) => `sum(${name}) as ${name}`).join(', '))}
      from groups group by as_of order by as_of desc limit ${datesMax}
    ), dated as (
      select totals.as_of, loan_count::int as loan_count, ${sql.raw(amount('totals.balance'))} as balance,
        ${sql.raw(amount('totals.past_due_amount'))} as past_due_amount,
        ${sql.raw(pars.map((name) => `${ratio(`totals.${name}`, 'totals.balance')} as ${name}`).join(', '))},
        jsonb_agg(jsonb_build_object('bucket', bucket, 'count', count, 'balance', ${sql.raw(amount('groups.balance'))},
          'past_due_amount', ${sql.raw(amount('groups.past_due_amount'))},
          'share_by_count', ${sql.raw(ratio('count::numeric', 'loan_count'))},
          'share_by_balance', ${sql.raw(ratio('groups.balance', 'totals.balance'))})) as buckets
      from totals join groups on groups.as_of is not distinct from totals.as_of
      group by totals.as_of, loan_count, totals.balance, totals.past_due_amount, totals.par_30, totals.par_60, totals.par_90
    )
    select now() as computed_at, coalesce(jsonb_agg(to_jsonb(dated) order by as_of), '[]') as dates from dated`)
  const { computed_at, dates } = row!
  const edges = book.portfolio.bucket_edges
  const loan_count = dates.reduce((sum, { loan_count }) => sum + loan_count, 0)
  const shown = dates.length > 0 || series ? dates : [{ ...nothing, as_of: asked.as_of ?? null }]
  return {
    ...headOf(book),
    computed_at,
    loan_count,
    dates: shown.map(({ buckets, ...date }) => ({ ...date, buckets: bucketsOf(edges, buckets, emptyBucket(date)) })),
  }
}

const emptyBucket = ({ loan_count, balance }: Omit<Found, 'buckets'>) => ({
  ...{ count: 0, balance: '0.0000', past_due_amount: '0.0000' },
  ...{ share_by_count: noShare(loan_count), share_by_balance: noShare(balance) },
})

/** No loans. */
const nothing: Omit<Found, 'as_of'> = {
  ...{ loan_count: 0, balance: '0.0000', past_due_amount: '0.0000', buckets: [] },
  ...{ par_30: null, par_60: null, par_90: null },
}
