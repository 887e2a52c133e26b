import { getTableColumns, type SQL, sql } from 'drizzle-orm'
import { Problem } from '../lib/errors.ts'
import { newId } from '../lib/ids.ts'
import type { TenantScope } from './scope.ts'
import { loans, loanVersions } from './tables/credit.ts'

/**
 * Which state of a portfolio's loans is meant: today's or that of a reporting date (`as_of`, `YYYY-MM-DD`); as it is known
 * now, or as it was known at a time (`known_at`, ISO 8601).
 */
export type BookTime = { as_of?: string | undefined; known_at?: string | undefined }

/** The columns that a loan and every version of it have. */
export const bookColumns: readonly string[] = Object.keys(getTableColumns(loans)).filter(
  (name) => name in getTableColumns(loanVersions) && !['id', 'version'].includes(name),
)
const names = (of: readonly string[]) => sql.raw(of.map((name) => `"${name}"`).join(', '))

/**
 * The loans of a portfolio in that state, as a table expression: the columns of `loans`, `id` being the loan's and
 * `updated_at` the time since which this state was known. Use as `from ${bookOf(…)} as book`.
 *
 * Known at a time: what the database held then, by the start of the transactions that wrote it.
 */
export function bookOf({ org_id }: TenantScope, portfolioId: string, { as_of, known_at }: BookTime): SQL {
  const columns = names(bookColumns)
  const mine = sql`org_id = ${org_id}::uuid and portfolio_id = ${portfolioId}::uuid`
  const versions = (which: SQL) =>
    sql`select loan_id as id, version, known_from as updated_at, ${columns} from ${loanVersions} where ${mine} and ${which}`
  if (as_of) return sql`(${versions(sql`as_of = ${as_of}::date and ${knownAt(known_at)}`)})`
  const current = sql`select id, version, updated_at, ${columns} from ${loans} where ${mine}`
  if (!known_at) return sql`(${current})`
  return sql`(${current} and updated_at <= ${known_at}::timestamptz union all ${versions(sql`as_of is null and ${knownAt(known_at)}`)})`
}

/** Whether a version was known at that time, or is known now. */
export const knownAt = (known_at?: string | SQL): SQL =>
  known_at
    ? sql`known_from <= ${known_at}::timestamptz and (known_to is null or known_to > ${known_at}::timestamptz)`
    : sql`known_to is null`

/**
 * The loans of a portfolio as they were reported for each date up to `as_of` (every date without it), as a table
 * expression like that of {@link bookOf}, with the column `as_of` besides.
 */
export const snapshotsOf = ({ org_id }: TenantScope, portfolioId: string, { as_of, known_at }: BookTime): SQL =>
  sql`(select loan_id as id, version, as_of, ${names(bookColumns)} from ${loanVersions}
    where org_id = ${org_id}::uuid and portfolio_id = ${portfolioId}::uuid and as_of <= coalesce(${as_of ?? null}::date, 'infinity')
      and ${knownAt(known_at)})`

/** The dates of a portfolio's snapshots between two dates, ascending; one look into the index for each. */
export async function reportingDates(
  { db, org_id }: TenantScope,
  portfolioId: string,
  {
    from = '-infinity',
    to = 'infinity',
    known_at,
  }: { from?: string | undefined; to?: string | undefined; known_at?: string | undefined },
): Promise<string[]> {
  const first = (where: SQL) => sql`select min(as_of) as as_of from ${loanVersions}
    where org_id = ${org_id}::uuid and portfolio_id = ${portfolioId}::uuid and ${knownAt(known_at)}
      and ${where} and as_of <= ${to}::date`
  const rows = await db.execute<{ as_of: string }>(sql`
    with recursive dates as (
      (${first(sql`as_of >= ${from}::date`)})
      union all
      select later.as_of from dates cross join lateral (${first(sql`as_of > dates.as_of`)}) as later
      where dates.as_of is not null
    ) select as_of from dates where as_of is not null`)
  return rows.map(({ as_of }) => as_of)
}

/** @throws Problem `as_of_without_snapshots`, with the nearest dates, when nothing was reported for the date */
export async function assertReported(scope: TenantScope, portfolioId: string, { as_of, known_at }: BookTime) {
  if (as_of === undefined) return
  const mine = sql`org_id = ${scope.org_id}::uuid and portfolio_id = ${portfolioId}::uuid and as_of is not null and ${knownAt(known_at)}`
  const [found] = await scope.db.execute<{ there: boolean; before: string | null; after: string | null }>(sql`
    select exists (select from ${loanVersions} where ${mine} and as_of = ${as_of}::date) as there,
      (select max(as_of) from ${loanVersions} where ${mine} and as_of < ${as_of}::date) as before,
      (select min(as_of) from ${loanVersions} where ${mine} and as_of > ${as_of}::date) as after`)
  if (found?.there) return
  const nearest = [found?.before, found?.after].filter(Boolean).join(' and ')
  throw new Problem(
    'as_of_without_snapshots',
    `Nothing was reported for ${as_of}; ${nearest ? `the nearest reporting dates are ${nearest}` : 'import a tape with as_of first'}.`,
  )
}

/** What is archived changes no more. */
export const portfolioArchived = () =>
  new Problem('portfolio_archived', 'The portfolio is archived; POST /portfolios/{id}/unarchive opens it again.')

const kept = [...bookColumns, 'version']

/**
 * The CTE that keeps loans as they were before a change: rows of the CTE `from` (whole rows of `loans`) become versions
 * that were known until now, or until they were made where that is later: an import's now is when it began.
 * @param id of the version, for a single row; without it each row gets a random one
 */
export const keepVersions = (from: SQL, by: { user_id: string | null; import_id?: string }, id?: SQL): SQL => sql`
  insert into loan_versions (id, loan_id, ${names(kept)}, known_from, known_to, superseded_by_import, superseded_by_user)
  select ${id ?? sql`gen_random_uuid()`}, id, ${names(kept)}, updated_at, greatest(now(), updated_at), ${by.import_id ?? null}::uuid, ${by.user_id}::uuid
  from ${from}`

/** For a table whose rows have a past: the CTE that keeps it, else undefined. */
export const historyOf = (table: unknown, from: SQL, userId: string | null): SQL | undefined =>
  table === loans ? keepVersions(from, { user_id: userId }, sql`${newId()}::uuid`) : undefined
