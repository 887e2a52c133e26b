import { and, eq, inArray, sql } from 'drizzle-orm'
import { recordEvent } from '../../../../db/audit.ts'
import { clientOf } from '../../../../db/client.ts'
import { owned, type TenantScope } from '../../../../db/scope.ts'
import { portfolios } from '../../../../db/tables/credit.ts'
import { defaultRates } from '../../../../db/tables/ratings.ts'
import { newId } from '../../../../lib/ids.ts'
import { type Book, defaulted, defaultedOn, openBook, segmentOf } from '../../book/queries.ts'
import { assertSegments, segmentsMax } from '../../book/rules.ts'
import type { BookQuery } from '../../book/schemas.ts'
import type { Basis } from '../rules.ts'
import type {
  DefaultRateComputation,
  DefaultRateComputed,
  DefaultRateFigures,
  DefaultRateFiguresQuery,
} from '../schemas.ts'
import { type Counted, type PeriodKind, periodRange, ratesOf, segmentName } from './rules.ts'

const formulaVersion = 1

type Asked = {
  period: PeriodKind
  basis: Basis
  by: string | undefined
  from: string | undefined
  to: string | undefined
  /** Where `from` and `to` were given. */
  part: '/querystring' | '/body'
}

/** Places of a share in an answer, and of one that is stored. */
const shownPlaces = 6
const storedPlaces = 8

/**
 * The default rates of a portfolio's loans, period by period.
 *
 * - opening performing: loans that were originated before the period and had neither defaulted nor left by its first day
 * - new defaults: those of them that defaulted in the period; a loan originated and defaulted in one period is in neither
 *   (the one-year default rate of EBA/GL/2017/16, and the static pools of Moody's and S&P default studies)
 * - a loan defaults once, on the day `defaultedOn` says, as in vintages; cures do not bring it back
 * - a loan without such a date leaves on `matures_on`, also one that was paid before, for a tape does not say when; without
 *   a maturity it stays
 * - a loan that is in default by the portfolio's definition but has no such date is left out, and counted as
 *   `undated_defaults`
 * - `count` counts loans, `balance` their original principal: what a loan owed at each opening is not known
 *
 * Rates: see `ratesOf`. Periods that have not ended by the reporting date, or today, are left out; without `from`, so are
 * those before anything performed.
 * @throws Problem `not_found`, `as_of_without_snapshots`, `too_many_segments`, `validation_failed`
 */
export async function defaultRateFigures(
  scope: TenantScope,
  portfolioId: string,
  { period = 'year', basis = 'count', by, from, to, ...query }: DefaultRateFiguresQuery,
): Promise<DefaultRateFigures> {
  return figures(scope, portfolioId, { period, basis, by, from, to, part: '/querystring' }, query, shownPlaces)
}

async function figures(scope: TenantScope, portfolioId: string, asked: Asked, query: BookQuery, places: number) {
  const { period, basis, by, from, to, part } = asked
  const book = await openBook(scope, portfolioId, query)
  const range = periodRange(period, book.on ?? new Date().toISOString().slice(0, 10), from, to, part)
  const { loan_count, undated_defaults } = await countLoans(scope, book)
  const rows = range === undefined ? [] : await countPeriods(scope, book, asked, range)
  const segments = Map.groupBy(rows, ({ segment }) => segment)
  assertSegments(segments.size)
  const empty = ({ opening_performing }: Counted) => Number(opening_performing) === 0
  const start = from === undefined ? firstWhere(segments.values(), (one) => !empty(one)) : 0
  return {
    portfolio_id: portfolioId,
    currency: book.portfolio.currency,
    ...{ period, basis, by: by ?? null, undated_defaults },
    ...book.asked,
    formula_version: formulaVersion,
    loan_count,
    computed_at: new Date().toISOString(),
    series: [...segments].map(([segment, counted]) => ({
      segment: segment === '' ? null : segment,
      periods: ratesOf(
        counted.slice(start).map(({ segment: _, ...one }) => one),
        period,
        places,
      ),
    })),
  }
}

/** The least index at which any of the lists has what is wanted; the end where none has. */
function firstWhere<T>(lists: Iterable<T[]>, wanted: (item: T) => boolean): number {
  const found = Array.from(lists, (items) => {
    const at = items.findIndex(wanted)
    return at === -1 ? items.length : at
  })
  return Math.min(...found)
}

const undated = (book: Book) => sql`(${defaulted(book)} and ${defaultedOn(book)} is null)`

async function countLoans({ db }: TenantScope, book: Book) {
  const [row] = await db.execute<{ loan_count: number; undated_defaults: number }>(sql`
    select count(*)::int as loan_count, (count(*) filter (where ${undated(book)}))::int as undated_defaults
    from ${book.loans} as loans`)
  return row as NonNullable<typeof row>
}

/** A segment without a name is ''. Values beyond this length are told apart by their beginning. */
const segmentLength = 300

/**
 * Opening and defaults of each segment and period, in order. Each loan is one step up after the period it came in, one
 * step down after the one it left in, and what performs at an opening is the sum of the steps until then: so the loans are
 * read once, whatever the number of periods.
 */
async function countPeriods(
  { db }: TenantScope,
  book: Book,
  { period, basis, by }: Asked,
  { first, last, months }: { first: string; last: string; months: number },
) {
  const weight = basis === 'count' ? sql`1::numeric` : sql`loans.original_principal`
  const segment = by === undefined ? sql`''` : sql`coalesce(left(${segmentOf(by)}, ${segmentLength}::int), '')`
  const start = (date: ReturnType<typeof sql>) => sql`date_trunc(${period}, (${date})::timestamp)::date`
  const step = sql`make_interval(months => ${months}::int)`
  const next = (date: ReturnType<typeof sql>) => sql`greatest((${date} + ${step})::date, ${first}::date)`
  return db.execute<Counted & { segment: string }>(sql`
    with book as materialized (
      select ${segment} as segment, ${weight} as weight, ${start(sql`loans.originated_on`)} as came,
        ${start(sql`coalesce(${defaultedOn(book)}, loans.matures_on)`)} as went,
        ${defaultedOn(book)} is not null as failed, ${undated(book)} as undated
      from ${book.loans} as loans
    ), pool as (select * from book where not undated and (went is null or went > came)
    ), steps as (
      select segment, ${next(sql`came`)} as period, sum(weight) as opening, 0 as defaults from pool group by 1, 2
      union all
      select segment, ${next(sql`went`)}, -sum(weight), 0 from pool where went is not null group by 1, 2
      union all
      select segment, went, 0, sum(weight) from pool where failed and went >= ${first}::date group by 1, 2
    ), summed as (
      select segment, period, sum(opening) as opening, sum(defaults) as defaults from steps group by 1, 2
    ), segments as (${by === undefined ? sql`select '' as segment` : sql`select distinct segment from book limit ${segmentsMax + 1}::int`})
    select segment, period,
      (sum(coalesce(opening, 0)) over (partition by segment order by period))::numeric(30,4) as opening_performing,
      coalesce(defaults, 0)::numeric(30,4) as new_defaults
    from segments cross join (
      select day::date as period from generate_series(${first}::date, ${last}::date, ${step}) as day) as periods
    left join summed using (segment, period)
    order by segment, period`)
}

/**
 * Computes the default rates of all loans and stores them, in the place of those computed before for the same periods, basis
 * and field. What was entered or imported stays beside them.
 * @throws Problem as {@link defaultRateFigures}
 */
export const computeDefaultRates = (
  scope: TenantScope,
  portfolioId: string,
  { period, basis, by, from, to, as_of }: DefaultRateComputation,
): Promise<DefaultRateComputed> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    // Of two at once the second replaces what the first stored.
    const mine = and(owned(portfolios, scope), eq(portfolios.id, portfolioId))
    await db.select({ id: portfolios.id }).from(portfolios).where(mine).for('no key update')
    const asked: Asked = { period, basis, by, from, to, part: '/body' }
    const { series, ...said } = await figures(
      inside,
      portfolioId,
      asked,
      as_of === undefined ? {} : { as_of },
      storedPlaces,
    )
    const rows = series.flatMap(({ segment, periods }) =>
      periods.map((one) => ({ id: newId(), segment: segmentName(by, segment), ...one })),
    )
    const replaced = await removeComputed(inside, portfolioId, asked, rows)
    const stored = await storeComputed(inside, portfolioId, basis, rows)
    const told = { ...{ period, basis, by: by ?? null, as_of: as_of ?? null }, ...{ stored, replaced } }
    await recordEvent(inside, {
      action: 'default_rates.computed',
      subject_type: 'portfolio',
      subject_id: portfolioId,
      after: told,
    })
    return { ...said, segments: series.length, stored, replaced }
  })

type Computed = { id: string; segment: string; period: string }

/** All segments of the same field, also those into which no loan falls any more. */
async function removeComputed(
  { db, org_id }: TenantScope,
  portfolioId: string,
  { basis, by }: Asked,
  rows: readonly Computed[],
) {
  const periods = [...new Set(rows.map(({ period }) => period))]
  if (periods.length === 0) return 0
  const { segment } = defaultRates
  const { count } = await db
    .delete(defaultRates)
    .where(
      and(
        owned(defaultRates, { org_id }),
        eq(defaultRates.portfolio_id, portfolioId),
        eq(defaultRates.basis, basis),
        eq(defaultRates.source, 'computed'),
        by === undefined ? eq(segment, segmentName(by, null)) : sql`starts_with(${segment}, ${segmentName(by, null)})`,
        inArray(defaultRates.period, periods),
      ),
    )
  return count
}

async function storeComputed({ db, org_id }: TenantScope, portfolioId: string, basis: Basis, rows: Computed[]) {
  const { count } = await clientOf(db)`
    insert into default_rates (org_id, id, portfolio_id, segment, period, basis, source, opening_performing, new_defaults,
      marginal, cumulative, annualised, formula_version)
    select ${org_id}::uuid, id, ${portfolioId}::uuid, segment, period, ${basis}, 'computed', opening_performing, new_defaults,
      marginal, cumulative, annualised, ${formulaVersion}::int
    from jsonb_to_recordset(${rows as never}::jsonb) as row(id uuid, segment text, period text, opening_performing numeric,
      new_defaults numeric, marginal numeric, cumulative numeric, annualised numeric)`
  return count
}
