import { type SQL, sql } from 'drizzle-orm'
import { type Book, dateOf, defaulted, expectedLosses, exposure, monthsBetween, stageOf } from '../../book/queries.ts'

const months = (from: SQL, to: SQL): SQL => sql`greatest(0, ${monthsBetween(from, to)})`

/**
 * Each loan with what the figures are made of, as a table expression: its columns as they are but `balance`, 0 where it is
 * unknown, and besides
 *
 * - `remaining_months` (null without a maturity), `age_months`: whole months to and from the date of the book
 * - `bucket`: how many of the portfolio's `bucket_edges` its days past due have reached; null where they are unknown
 * - `defaulted` by the portfolio's definition, `ifrs_stage`, `ead`, `el_12m`, `el_lifetime` and `expected_loss`: as
 *   `stageOf`, `exposure` and `expectedLosses` say, which stress tests share
 *
 * @param more further columns, each with a comma before it
 */
export const measured = (book: Book, more: SQL = sql``): SQL => sql`(
  select *, ${losses.el_12m} as el_12m, ${losses.el_lifetime} as el_lifetime, ${losses.expected_loss} as expected_loss
  from (
    select loans.status, loans.stage, loans.original_principal, coalesce(loans.balance, 0) as balance, loans.commitment, loans.interest_rate,
      loans.pd_12m, loans.pd_lifetime, loans.lgd, loans.days_past_due, loans.past_due_amount, loans.charged_off_amount,
      loans.recovered_amount,
      case when loans.matures_on is not null then ${months(dateOf(book), sql`loans.matures_on`)} end as remaining_months,
      ${months(sql`loans.originated_on`, dateOf(book))} as age_months, ${bucketOf(book)} as bucket,
      ${defaulted(book)} as defaulted, ${stageOf(book)} as ifrs_stage, ${exposure} as ead ${more}
    from ${book.loans} as loans
  ) as exposed
)`

const losses = expectedLosses(
  { pd_12m: sql`pd_12m`, pd_lifetime: sql`pd_lifetime`, lgd: sql`lgd` },
  sql`ead`,
  sql`ifrs_stage`,
)

/** How many of the portfolio's bucket edges a loan's days past due have reached, in SQL. */
export const bucketOf = ({ portfolio }: Pick<Book, 'portfolio'>): SQL =>
  sql`width_bucket(days_past_due, ${`{${portfolio.bucket_edges.join(',')}}`}::int[])`

/** What is added up over loans, by name; sums of them can be added up again. */
const added = {
  loan_count: 'count(*)',
  original_principal: 'sum(original_principal)',
  balance: 'sum(balance)',
  commitment: 'sum(commitment)',
  charged_off_amount: 'sum(charged_off_amount)',
  recovered_amount: 'sum(recovered_amount)',
  rate_x: 'sum(balance * interest_rate)',
  rate_of: 'sum(balance) filter (where interest_rate is not null)',
  remaining_x: 'sum(balance * remaining_months)',
  remaining_of: 'sum(balance) filter (where remaining_months is not null)',
  age_x: 'sum(balance * age_months)',
  pd_12m_x: 'sum(balance * pd_12m)',
  pd_12m_of: 'sum(balance) filter (where pd_12m is not null)',
  pd_lifetime_x: 'sum(balance * pd_lifetime)',
  pd_lifetime_of: 'sum(balance) filter (where pd_lifetime is not null)',
  lgd_x: 'sum(balance * lgd)',
  lgd_of: 'sum(balance) filter (where lgd is not null)',
  ead: 'sum(ead)',
  el_12m: 'sum(el_12m)',
  el_lifetime: 'sum(el_lifetime)',
  expected_loss: 'sum(expected_loss)',
  expected_loss_ead: 'sum(ead) filter (where expected_loss is not null)',
  par_30: 'sum(balance) filter (where days_past_due > 30)',
  par_60: 'sum(balance) filter (where days_past_due > 60)',
  par_90: 'sum(balance) filter (where days_past_due > 90)',
  npl: 'sum(balance) filter (where defaulted or ifrs_stage = 3)',
  default_count: 'count(*) filter (where defaulted)',
  default_balance: 'sum(balance) filter (where defaulted)',
  default_principal: 'sum(original_principal) filter (where defaulted)',
}

/** The sums over rows of {@link measured}, as a select list. */
export const sums: SQL = sql.raw(
  Object.entries(added)
    .map(([name, of]) => `${of} as ${name}`)
    .join(', '),
)

/** The sums over rows of {@link sums}, as a select list. */
export const sumsOfSums: SQL = sql.raw(
  Object.keys(added)
    .map((name) => `sum(${name}) as ${name}`)
    .join(', '),
)

/** A sum as an amount of the wire: 0 where nothing was added up. */
export const amount = (sum: string): string => `coalesce(${sum}, 0)::numeric(30,4)::text`
/** The same, but null where nothing was added up. */
const known = (sum: string): string => `${sum}::numeric(30,4)::text`
/** A ratio as a share of the wire: null where the denominator is 0 or unknown. */
export const ratio = (of: string, to: string): string => `round(${of} / nullif(${to}, 0), 6)::text`
const part = (of: string, to: string): string => ratio(`coalesce(${of}, 0)`, to)

/** The figures of a row of {@link sums}, as a select list under their names on the wire; each as `formulas` has it. */
export const figures: SQL = sql.raw(
  [
    'loan_count::int as loan_count',
    ...['original_principal', 'balance', 'commitment', 'charged_off_amount', 'recovered_amount', 'ead'].map(
      (name) => `${amount(name)} as ${name}`,
    ),
    ...['el_12m', 'el_lifetime', 'expected_loss'].map((name) => `${known(name)} as ${name}`),
    `${part('expected_loss_ead', 'ead')} as expected_loss_ead_share`,
    `${ratio('rate_x', 'rate_of')} as weighted_average_rate`,
    `${ratio('remaining_x', 'remaining_of')} as weighted_average_remaining_months`,
    `${ratio('age_x', 'balance')} as weighted_average_age_months`,
    ...['pd_12m', 'pd_lifetime', 'lgd'].map(
      (name) => `${ratio(`${name}_x`, `${name}_of`)} as weighted_average_${name}`,
    ),
    ...['par_30', 'par_60', 'par_90'].map((name) => `${part(name, 'balance')} as ${name}`),
    `${amount('npl')} as npl_balance`,
    `${part('npl', 'balance')} as npl_ratio`,
    `jsonb_build_object('by_count', ${ratio('default_count::numeric', 'loan_count')},
      'by_balance', ${part('default_balance', 'balance')},
      'by_original_principal', ${part('default_principal', 'original_principal')}) as default_rate`,
    `${part('coalesce(charged_off_amount, 0) - coalesce(recovered_amount, 0)', 'original_principal')} as loss_rate`,
    `${part('recovered_amount', 'charged_off_amount')} as recovery_rate`,
  ].join(', '),
)
