import { type SQL, sql } from 'drizzle-orm'
import type { TenantScope } from '../../../db/scope.ts'
import { type Book, dateOf, openBook, segmentOf } from '../book/queries.ts'
import { assertSegments, segmentsMax } from '../book/rules.ts'
import { amount, figures, measured, ratio, sums, sumsOfSums } from './measures/queries.ts'
import { bucketsOf, formulaVersion, noShare } from './rules.ts'
import type { MetricsQuery, PortfolioMetrics, SegmentMetrics, SegmentsQuery } from './schemas.ts'

type Found<T, Made extends keyof T> = Omit<
  T,
  'portfolio_id' | 'currency' | 'as_of' | 'known_at' | 'filter' | 'formula_version' | Made
>
type FoundBucket = Omit<PortfolioMetrics['delinquency'][number], 'name' | 'from' | 'to'> & { bucket: number | null }

const topDefault = 10

/** What every answer about a book begins with. */
export const headOf = ({ portfolio, asked }: Book) => ({
  portfolio_id: portfolio.id,
  currency: portfolio.currency,
  ...asked,
  formula_version: formulaVersion,
})

/**
 * The figures of a portfolio over the loans that were asked for, each as `formulas` in `rules.ts` has it, in one statement:
 * one scan for all that is added up, another by borrower, and a third where `hhi_by` asks for it.
 *
 * Every loan is in the portfolio's currency: one in another is refused where it would come in, so amounts can be added.
 * @throws Problem `not_found`, `as_of_without_snapshots`
 */
export async function portfolioMetrics(
  scope: TenantScope,
  portfolioId: string,
  query: MetricsQuery,
): Promise<PortfolioMetrics> {
  const { top = topDefault, hhi_by, ...asked } = query
  const book = await openBook(scope, portfolioId, asked)
  const [row] = await scope.db.execute<Found<PortfolioMetrics, 'delinquency'> & { delinquency: FoundBucket[] }>(sql`
    with groups as materialized (
      select status, stage, bucket, ${sums} from ${measured(book)} as loans group by status, stage, bucket
    ), total as (select ${sumsOfSums} from groups),
    statuses as (select status, ${sumsOfSums} from groups group by status),
    stages as (select stage, ${sumsOfSums} from groups group by stage),
    buckets as (select bucket, sum(loan_count)::int as count, sum(balance) as balance from groups group by bucket),
    borrowers as materialized (${balancesBy(book, 'borrower')}),
    shared as (select sum(balance) as balance from borrowers where balance > 0)
    select now() as computed_at, ${dateOf(book)} as reference_date, ${figures},
      (select coalesce(jsonb_object_agg(status, jsonb_build_object('count', loan_count,
        'original_principal', ${raw(amount('original_principal'))}, 'balance', ${raw(amount('balance'))})), '{}') from statuses) as by_status,
      (select coalesce(jsonb_agg(jsonb_build_object('stage', stage, 'count', loan_count, 'balance', ${raw(amount('balance'))},
        'ead', ${raw(amount('ead'))}, 'expected_loss', expected_loss::numeric(30,4)::text,
        'coverage', ${raw(ratio('expected_loss', 'balance'))}) order by stage nulls last), '[]') from stages) as by_stage,
      (select coalesce(jsonb_agg(jsonb_build_object('bucket', bucket, 'count', count, 'balance', ${raw(amount('balance'))},
        'share', ${raw(ratio('balance', '(select balance from total)'))})), '[]') from buckets) as delinquency,
      (select coalesce(jsonb_agg(jsonb_build_object('borrower', segment, 'count', count, 'balance', ${raw(amount('balance'))},
        'share', case when balance > 0 then ${raw(ratio('balance', '(select balance from shared)'))} end)
        order by balance desc, segment), '[]') from (select * from borrowers order by balance desc, segment limit ${top}) as top) as top_borrowers,
      jsonb_build_object('borrower', (select ${raw(hhiOf)} from borrowers where balance > 0)
        ${hhi_by === undefined ? sql`` : sql`, ${hhi_by}::text, (select ${raw(hhiOf)} from (${balancesBy(book, hhi_by)}) as segments where balance > 0)`}) as hhi
    from total`)
  const { delinquency, ...found } = row!
  const none = { count: 0, balance: '0.0000', share: noShare(found.balance) }
  return { ...headOf(book), ...found, delinquency: bucketsOf(book.portfolio.bucket_edges, delinquency, none) }
}

const raw = (text: string): SQL => sql.raw(text)

/** Σ share² of the rows' `balance`, in SQL. */
const hhiOf = ratio('sum(balance * balance)', '(sum(balance) * sum(balance))')

/** The loans and the balance of each value of a segment field, as a select of `segment`, `count` and `balance`. */
export const balancesBy = (book: Book, field: string): SQL => sql`
  select segment, count(*)::int as count, coalesce(sum(balance), 0) as balance
  from (select ${segmentOf(field)} as segment, loans.balance from ${book.loans} as loans) as loans group by segment`

/**
 * The same figures for each segment, the largest balance first, in one statement. Loans without the field are the segment
 * null. With `limit` what comes after so many is one row, `is_other`, the last.
 *
 * A first, light scan ranks the segments, so that the second adds up no more of them than are shown, and does not run at
 * all where they are too many: half a million segments would take what memory there is.
 * @throws Problem `not_found`, `as_of_without_snapshots`, `too_many_segments`
 */
export async function segmentMetrics(
  scope: TenantScope,
  portfolioId: string,
  query: SegmentsQuery,
): Promise<SegmentMetrics> {
  const { by, by2, limit, ...asked } = query
  const book = await openBook(scope, portfolioId, asked)
  const fields = sql`${segmentOf(by)} as segment, ${by2 === undefined ? sql`null::text` : segmentOf(by2)} as segment_2`
  const most = raw(String(limit ?? segmentsMax))
  const key = raw('jsonb_build_array(segment, segment_2)::text')
  const [row] = await scope.db.execute<Found<SegmentMetrics, 'by' | 'by2'>>(sql`
    with ranked as materialized (
      select segment, segment_2, count, row_number() over (order by balance desc, count desc, segment, segment_2) as place
      from (
        select segment, segment_2, count(*) as count, coalesce(sum(balance), 0) as balance
        from (select ${fields}, loans.balance from ${book.loans} as loans) as loans group by segment, segment_2
      ) as segments
    ), groups as materialized (
      select coalesce(((select jsonb_object_agg(${key}, place) from ranked where place <= ${most}) -> ${key})::int, ${most} + 1) as place, ${sums}
      from ${measured(book, sql`, ${fields}`)} as loans
      where ${limit !== undefined}::boolean or (select count(*) from ranked) <= ${segmentsMax}
      group by 1
    ), shown as (
      select place, segment, segment_2, place > ${most} as is_other,
        case when place > ${most} then (select count(*) from ranked) - ${most} else 1 end as segments,
        ${raw(ratio('balance', '(select sum(balance) from groups)'))} as balance_share, ${figures}
      from groups left join (select place, segment, segment_2 from ranked where place <= ${most}) as named using (place)
    )
    select now() as computed_at, ${dateOf(book)} as reference_date, (select count(*)::int from ranked) as segment_count,
      (select coalesce(sum(count), 0)::int from ranked) as loan_count,
      (select coalesce(jsonb_agg(to_jsonb(shown) - 'place' order by place), '[]') from shown) as segments`)
  if (limit === undefined) assertSegments(row!.segment_count)
  return { ...headOf(book), by, by2: by2 ?? null, ...row! }
}
