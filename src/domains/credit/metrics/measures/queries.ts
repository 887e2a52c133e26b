import { type SQL, sql } from 'drizzle-orm'
import { type Book, dateOf, defaulted } from '../../book/queries.ts'

/** Whole months between two dates, never below 0, as `age` counts: from the 31st to the 28th is not yet a month. */
const months = (from: SQL, to: SQL): SQL => {
  const age = sql`age(${to}::timestamp, ${from}::timestamp)`
  return sql`greatest(0, date_part('year', ${age}) * 12 + date_part('month', ${age}))::int`
}

/** Loans in these states may still be drawn. */
const open = sql.raw(`('current', 'delinquent', 'default')`)

/**
 * Each loan with what the figures are made of, as a table expression: its columns as they are but `balance`, 0 where it is
 * unknown, and besides
 *
 * - `remaining_months` (null without a maturity), `age_months`: whole months to and from the date of the book
 * - `bucket`: how many of the portfolio's `bucket_edges` its days past due have reached; null where they are unknown
 * - `defaulted`, by the portfolio's definition, and `ifrs_stage`: the loan's stage, or where it states none 3 in default, 2
 *   when more than 30 days past due, else 1 (IFRS 9 5.5.11, B5.5.37)
 * - `ead`: drawn + CCF × undrawn (Basel CRE32, CRE20); drawn is the balance, never below 0; undrawn what the commitment
 *   leaves of it, never below 0, and 0 for a loan that is closed; an unknown CCF is 1
 * - `el_12m`, `el_lifetime`, `expected_loss`: PD × LGD × EAD with the 12-month PD, with that of the lifetime (unknown in
 *   stage 3 it is 1: the default has happened), and with that of its stage (IFRS 9 5.5.3, 5.5.5); null where PD or LGD is
 *   unknown; not discounted
 *
 * @param more further columns, each with a comma before it
 */
export const measured = (book: Book, more: SQL = sql``): SQL => sql`(
  select *, ead * lgd * pd_12m as el_12m, ead * lgd * pd_until_end as el_lifetime,
    ead * lgd * case when ifrs_stage = 1 then pd_12m else pd_until_end end as expected_loss
  from (
    select *, case when ifrs_stage = 3 then coalesce(pd_lifetime, 1) else pd_lifetime end as pd_until_end,
      drawn + case when status in ${open} then coalesce(ccf, 1) * greatest(coalesce(commitment, 0) - drawn, 0) else 0 end as ead
    from (
      select *, coalesce(stage, case when defaulted then 3 when days_past_due > 30 then 2 else 1 end) as ifrs_stage
      from (
        select status, stage, original_principal, coalesce(balance, 0) as balance, greatest(balance, 0) as drawn, commitment,
          interest_rate, pd_12m, pd_lifetime, lgd, ccf, days_past_due, past_due_amount, charged_off_amount, recovered_amount,
          case when matures_on is not null then ${months(dateOf(book), sql`matures_on`)} end as remaining_months,
          ${months(sql`originated_on`, dateOf(book))} as age_months,
          ${bucketOf(book)} as bucket, ${defaulted(book)} as defaulted ${more}
        from ${book.loans} as loans
      ) as stated
    ) as staged
  ) as exposed
)`

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
