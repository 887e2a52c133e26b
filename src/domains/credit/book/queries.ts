import { and, type SQL, sql } from 'drizzle-orm'
import { assertReported, bookOf, snapshotsOf } from '../../../db/book.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { loans } from '../../../db/tables/credit.ts'
import { loanFilters } from '../loans/queries.ts'
import { getPortfolio } from '../portfolios/queries.ts'
import type { BookQuery } from './schemas.ts'

type Portfolio = Awaited<ReturnType<typeof getPortfolio>>

/** The loans that a figure is made of. */
export type Book = {
  portfolio: Portfolio
  /** A table expression with the columns of `loans`; use as `from ${book.loans} as loans`. */
  loans: SQL
  /** For the answer: what was asked for. */
  asked: { as_of: string | null; known_at: string | null; filter: Filter }
  /**
   * The date from which ages and remaining times are counted: the reporting date, else the portfolio's, but none after
   * `known_at`; null for today.
   */
  on: string | null
}

/**
 * The loans of a portfolio in the state and under the filters that were asked for.
 * @throws Problem `not_found`, `as_of_without_snapshots`
 */
export async function openBook(scope: TenantScope, portfolioId: string, query: BookQuery): Promise<Book> {
  const book = await open(scope, portfolioId, query, bookOf)
  await assertReported(scope, portfolioId, query)
  return book
}

/**
 * The loans of a portfolio at every reporting date up to `as_of`; its `loans` have the column `as_of` besides.
 * @throws Problem `not_found`
 */
export const openSeries = (scope: TenantScope, portfolioId: string, query: BookQuery): Promise<Book> =>
  open(scope, portfolioId, query, snapshotsOf)

async function open(scope: TenantScope, portfolioId: string, query: BookQuery, read: typeof bookOf): Promise<Book> {
  const portfolio = await getPortfolio(scope, portfolioId)
  const { as_of, known_at, ...given } = query
  const filter = filterOf(given)
  return {
    portfolio,
    loans: sql`(select * from ${read(scope, portfolioId, query)} as loans where ${matches(filter)})`,
    asked: { as_of: as_of ?? null, known_at: known_at ?? null, filter },
    on: as_of ?? earlier(portfolio.as_of, known_at),
  }
}

/** The portfolio may have newer tapes by now: what was known on a day grows no older than it was then. */
function earlier(date: string | null, knownAt: string | undefined): string | null {
  const day = knownAt?.slice(0, 10) ?? null
  return date === null || (day !== null && day < date) ? day : date
}

/** What was reported of a portfolio's loans at one date after another. */
export type Reports = {
  portfolio: Portfolio
  /** A table expression with the columns of `loans` and `as_of`, unfiltered; use as `from ${reports.loans} as loans`. */
  loans: SQL
  /** Whether a row of it passes the filters that were asked for. */
  matches: SQL
  asked: { known_at: string | null; filter: Filter }
}

/**
 * The snapshots of a portfolio. They are not filtered, so that a loan that has left a filter can be told from one that
 * has left the book.
 * @throws Problem `not_found`
 */
export async function openReports(
  scope: TenantScope,
  portfolioId: string,
  { known_at, ...given }: Omit<BookQuery, 'as_of'>,
): Promise<Reports> {
  const portfolio = await getPortfolio(scope, portfolioId)
  const filter = filterOf(given)
  return {
    portfolio,
    loans: snapshotsOf(scope, portfolioId, { known_at }),
    matches: matches(filter),
    asked: { known_at: known_at ?? null, filter },
  }
}

type Filter = Record<string, string | number>

const filterOf = (given: Record<string, string | number | undefined>): Filter =>
  Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  )

/** The filters of the loan list on a table expression that is called `loans`. */
function matches(filter: Filter): SQL {
  const conditions = Object.entries(filter).map(([name, value]) => {
    const condition = loanFilters[name as keyof typeof loanFilters]
    return condition(sql`${value}`)
  })
  return and(...conditions) ?? sql`true`
}

/** The date from which a book counts, in SQL. */
export const dateOf = ({ on }: Pick<Book, 'on'>): SQL => sql`coalesce(${on}::date, current_date)`

/** The months from one day's to another's, in SQL, whatever the days of the month. */
export const calendarMonths = (from: SQL, to: SQL): SQL =>
  sql`((date_part('year', ${to}) - date_part('year', ${from})) * 12 + date_part('month', ${to}) - date_part('month', ${from}))::int`

/**
 * Whole months from a day to a later one, in SQL: the largest m with `from` + m months ≤ `to`, so 31 January to the last of
 * February is one, as terms and maturities count. `age()` would say 28 days.
 */
export const monthsBetween = (from: SQL, to: SQL): SQL =>
  sql`(${calendarMonths(from, to)} - (date_part('day', ${from}) > date_part('day', ${to}) and date_part('day', ${to} + 1) <> 1)::int)`

/** Whether a loan is in default by the portfolio's definition, in SQL; never null. */
export function defaulted({ portfolio }: Pick<Book, 'portfolio'>): SQL<boolean> {
  const { statuses, days_past_due_min } = portfolio.default_definition
  return sql`(${loans.status} = any(string_to_array(${statuses.join(',')}, ',')) or coalesce(${loans.days_past_due} >= ${days_past_due_min}::int, false))`
}

/**
 * The day on which a loan defaulted, in SQL: `defaulted_on`, though it may have been cured since, else `charged_off_on` of
 * one that is in default; null where that is unknown, or it has not. A paid loan with a charge-off is no default.
 */
export const defaultedOn = (book: Pick<Book, 'portfolio'>): SQL =>
  sql`coalesce(loans.defaulted_on, case when ${defaulted(book)} then loans.charged_off_on end)`

/** The value of a segment field as text, in SQL; null where the loan has none. @param field of `SegmentField` */
export function segmentOf(field: string): SQL<string | null> {
  if (field === 'borrower') return sql`coalesce(loans.borrower_group, loans.borrower_name)`
  if (field.startsWith('attributes.')) return sql`loans.attributes ->> ${field.slice('attributes.'.length)}`
  if (field === 'origination_year') return sql`extract(year from loans.originated_on)::int::text`
  return sql`${sql.identifier('loans')}.${sql.identifier(field)}::text`
}

/** What is drawn of a loan, in SQL: its balance; a credit balance and an unknown one are 0. */
const drawn = sql`greatest(coalesce(loans.balance, 0), 0)`

/**
 * Exposure at default in SQL, never null: drawn + CCF × undrawn (Basel framework CRE32, CRE20). Undrawn is what the
 * commitment leaves of the balance, never below 0, and 0 for a loan that is closed; an unknown CCF is 1, the most cautious.
 */
export const exposure: SQL = sql`(${drawn} + case when loans.status in ('current', 'delinquent', 'default')
  then coalesce(loans.ccf, 1) * greatest(coalesce(loans.commitment, 0) - ${drawn}, 0) else 0 end)`

/** The IFRS 9 stage in SQL; where a loan states none, 3 in default, 2 when more than 30 days past due, else 1 (5.5.11, B5.5.37). */
export const stageOf = (book: Pick<Book, 'portfolio'>): SQL =>
  sql`coalesce(loans.stage, case when ${defaulted(book)} then 3 when loans.days_past_due > 30 then 2 else 1 end)`

/** PDs and LGD of a loan, as SQL. */
export type RiskParameters = { pd_12m: SQL; pd_lifetime: SQL; lgd: SQL }

/**
 * Expected losses in SQL: PD × LGD × EAD with the PD of 12 months, of the lifetime (unknown in stage 3 it is 1: the default
 * has happened), and of the stage (IFRS 9 5.5.3, 5.5.5). Null where PD or LGD is unknown; not discounted.
 * @param ead exposure, and `stage` the IFRS 9 stage, as columns
 */
export function expectedLosses({ pd_12m, pd_lifetime, lgd }: RiskParameters, ead: SQL, stage: SQL) {
  const untilEnd = sql`case when ${stage} = 3 then coalesce(${pd_lifetime}, 1) else ${pd_lifetime} end`
  return {
    el_12m: sql`${ead} * ${lgd} * ${pd_12m}`,
    el_lifetime: sql`${ead} * ${lgd} * (${untilEnd})`,
    expected_loss: sql`${ead} * ${lgd} * case when ${stage} = 1 then ${pd_12m} else ${untilEnd} end`,
  }
}
