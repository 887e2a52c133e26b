import { sql } from 'drizzle-orm'
import type { TenantScope } from '../../../db/scope.ts'
import { openBook } from '../book/queries.ts'
import { amount, ratio } from '../metrics/measures/queries.ts'
import { balancesBy, headOf } from '../metrics/queries.ts'
import { type Concentration, type ConcentrationQuery, exceedingMax } from './schemas.ts'

type Found = Omit<
  Concentration,
  'portfolio_id' | 'currency' | 'as_of' | 'known_at' | 'filter' | 'formula_version' | 'by' | 'limit'
> & {
  exceeded_by: number
  exceeding: NonNullable<Concentration['limit']>['segments']
}

/** Points of the Lorenz curve between its two ends, at equal distances where there are enough segments. */
const lorenzSteps = 20

/**
 * How much of a book stands with few names: the largest segments, HHI (Σ share²; Herfindahl–Hirschman, BCBS working paper
 * 15), the effective number (1 ÷ HHI), Gini and the Lorenz curve, and which names are above a limit (as Basel LEX10 limits
 * single names). One scan.
 *
 * A share is that of the segments whose balance is above 0; the others have none. Loans that do not state the field are the
 * segment null. Everything is null or empty where no balance is above 0.
 * @throws Problem `not_found`, `as_of_without_snapshots`
 */
export async function concentrationOf(
  scope: TenantScope,
  portfolioId: string,
  query: ConcentrationQuery,
): Promise<Concentration> {
  const { by = 'borrower', top = 10, limit_share, ...asked } = query
  const book = await openBook(scope, portfolioId, asked)
  const row = `'segment', segment, 'count', count, 'balance', ${amount('balance')}, 'share', ${ratio('balance', 'total')}`
  const [found] = await scope.db.execute<Found>(sql`
    with segments as materialized (${balancesBy(book, by)}), ranked as materialized (
      select *, sum(balance) over () as total, count(*) over () as n, row_number() over largest as rank,
        sum(balance) over (largest rows unbounded preceding) as cumulative
      from segments where balance > 0 window largest as (order by balance desc, count desc, segment)
    ), measures as (
      select count(*)::int as segment_count, sum(balance * balance) / nullif(sum(balance) * sum(balance), 0) as hhi,
        2 * sum((n + 1 - rank) * balance) / (count(*) * sum(balance)) - (count(*) + 1)::numeric / nullif(count(*), 0) as gini
      from ranked
    )
    select now() as computed_at, (select coalesce(sum(count), 0)::int from segments) as loan_count,
      (select ${sql.raw(amount('sum(balance)'))} from segments) as balance,
      segment_count, round(hhi, 6)::text as hhi, round(hhi * 10000, 6)::text as hhi_10000,
      round(1 / hhi, 6)::text as effective_number, round(gini, 6)::text as gini,
      (select coalesce(jsonb_agg(jsonb_build_object('rank', rank, ${sql.raw(row)},
        'cumulative_share', ${sql.raw(ratio('cumulative', 'total'))}) order by rank), '[]') from ranked where rank <= ${top}) as top,
      (select coalesce(jsonb_agg(jsonb_build_object('segments', round((n - rank)::numeric / n, 6)::text,
        'balance', round((total - cumulative) / total, 6)::text) order by rank desc), '[]') from ranked
        where n - rank in (select ceil(step * n / ${lorenzSteps}::numeric) from generate_series(0, ${lorenzSteps} - 1) as step)) as lorenz,
      (select count(*)::int from ranked where balance > ${limit_share ?? null}::numeric * total) as exceeded_by,
      (select coalesce(jsonb_agg(jsonb_build_object(${sql.raw(row)}) order by rank), '[]') from ranked
        where balance > ${limit_share ?? null}::numeric * total and rank <= ${exceedingMax}) as exceeding
    from measures`)
  const { exceeded_by, exceeding, lorenz, ...figures } = found!
  return {
    ...headOf(book),
    by,
    ...figures,
    lorenz: lorenz.length === 0 ? [] : [...lorenz, { segments: '1.000000', balance: '1.000000' }],
    limit: limit_share === undefined ? null : { share: limit_share, exceeded_by, segments: exceeding },
  }
}
