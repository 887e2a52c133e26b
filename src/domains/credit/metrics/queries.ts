import { and, eq, sql } from 'drizzle-orm'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { loans } from '../../../db/tables/credit.ts'
import { getPortfolio } from '../portfolios/queries.ts'
import type { PortfolioMetrics } from './schemas.ts'

type Totals = Omit<PortfolioMetrics, 'portfolio_id' | 'currency' | 'formula_version' | 'default_rate'> & {
  default_rate_by_count: string | null
  default_rate_by_original_principal: string | null
}

const formulaVersion = 1

/**
 * The figures of a portfolio over all its loans, in one scan.
 *
 * - sums: unknown amounts count as 0
 * - default rate: loans that meet the portfolio's default definition ÷ all loans, by count and by original principal
 * - loss rate: (Σ charged off − Σ recovered) ÷ Σ original principal
 * - weighted averages (WAC, WAM as in ABS reporting): Σ balance × value ÷ Σ balance over the loans that state the value;
 *   remaining months run from the portfolio's `as_of` (today without one) to maturity, in whole months, never below 0
 *
 * Amounts have 4 places, shares 6; a share whose denominator is 0 is null.
 */
export async function portfolioMetrics(scope: TenantScope, portfolioId: string): Promise<PortfolioMetrics> {
  const { id, currency, as_of, default_definition } = await getPortfolio(scope, portfolioId)
  const { statuses, days_past_due_min } = default_definition
  const remaining = sql`age(matures_on, coalesce(${as_of}::date, current_date))`
  const rows = await scope.db.execute<Totals>(sql`
    with book as (
      select status, original_principal, coalesce(balance, 0) as balance, interest_rate, charged_off_amount, recovered_amount,
        case when matures_on is not null
          then greatest(0, extract(year from ${remaining}) * 12 + extract(month from ${remaining})) end as remaining_months,
        status = any(string_to_array(${statuses.join(',')}, ',')) or coalesce(days_past_due >= ${days_past_due_min}::int, false) as defaulted
      from ${loans} where ${and(owned(loans, scope), eq(loans.portfolio_id, portfolioId))}
    ), statuses as (
      select status, count(*) as count, sum(original_principal) as original_principal, sum(balance)::numeric(30,4) as balance
      from book group by status
    )
    select now() as computed_at, count(*)::int as loan_count,
      coalesce(sum(original_principal), 0)::numeric(30,4) as original_principal,
      coalesce(sum(balance), 0)::numeric(30,4) as balance,
      coalesce(sum(charged_off_amount), 0)::numeric(30,4) as charged_off_amount,
      coalesce(sum(recovered_amount), 0)::numeric(30,4) as recovered_amount,
      (select coalesce(jsonb_object_agg(status, jsonb_build_object(
        'count', count, 'original_principal', original_principal::text, 'balance', balance::text)), '{}') from statuses) as by_status,
      round(count(*) filter (where defaulted)::numeric / nullif(count(*), 0), 6) as default_rate_by_count,
      round(coalesce(sum(original_principal) filter (where defaulted), 0) / nullif(sum(original_principal), 0), 6) as default_rate_by_original_principal,
      round((coalesce(sum(charged_off_amount), 0) - coalesce(sum(recovered_amount), 0)) / nullif(sum(original_principal), 0), 6) as loss_rate,
      round(sum(balance * interest_rate) / nullif(sum(balance) filter (where interest_rate is not null), 0), 6) as weighted_average_rate,
      round(sum(balance * remaining_months) / nullif(sum(balance) filter (where remaining_months is not null), 0), 6) as weighted_average_remaining_months
    from book`)
  const {
    default_rate_by_count: by_count,
    default_rate_by_original_principal: by_original_principal,
    ...totals
  } = rows[0]!
  return {
    portfolio_id: id,
    currency,
    formula_version: formulaVersion,
    ...totals,
    default_rate: { by_count, by_original_principal },
  }
}
