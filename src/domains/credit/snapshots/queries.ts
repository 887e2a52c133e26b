import { and, eq, getTableColumns, isNull, type SQL, sql } from 'drizzle-orm'
import { recordEvent } from '../../../db/audit.ts'
import { knownAt } from '../../../db/book.ts'
import { clientOf } from '../../../db/client.ts'
import { withConstraints } from '../../../db/errors.ts'
import { compare, listPage } from '../../../db/list.ts'
import { owned, type TenantScope, unhurried } from '../../../db/scope.ts'
import { loans, loanVersions } from '../../../db/tables/credit.ts'
import { assertVersion, notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { newId } from '../../../lib/ids.ts'
import { cursorBinding, decodeCursor, encodeCursor, invalidCursor, type Page } from '../../../lib/page.ts'
import { portfolioOfLoan, problemOf } from '../loans/queries.ts'
import { derive, originationFault, termsFault } from '../loans/rules.ts'
import { LoanFields } from '../loans/schemas.ts'
import { getPortfolio, openTerms } from '../portfolios/queries.ts'
import type {
  ReportingDate,
  ReportingDateQuery,
  SnapshotFields,
  SnapshotParams,
  SnapshotQuery,
  SnapshotUpdate,
} from './schemas.ts'

type Row = typeof loanVersions.$inferSelect
type Snapshot = Row & { as_of: string }

const reported = sql`${loanVersions.as_of} is not null`

const list = {
  name: 'snapshots',
  table: loanVersions,
  where: reported,
  sorts: { as_of: loanVersions.as_of },
  filters: {
    loan_id: compare(loanVersions.loan_id),
    holds: (value: SQL) => sql`(${loanVersions.known_to} is null) = ${value}::boolean`,
    known_at: (value: SQL) => knownAt(value),
  },
}

/** What was reported of a loan, date by date. @throws Problem `not_found` */
export async function listSnapshots(scope: TenantScope, loanId: string, query: SnapshotQuery) {
  await portfolioOfLoan(scope, loanId)
  const now = query.known_at === undefined && { holds: true }
  return listPage(scope, list, { ...query, ...now, loan_id: loanId })
}

/**
 * The dates for which loans of a portfolio were reported. Each is looked for behind the one before it, so a page costs
 * what its own dates hold. @throws Problem `not_found`, `invalid_cursor`
 */
export async function listReportingDates(
  scope: TenantScope,
  portfolioId: string,
  { limit = 50, cursor, sort = '-as_of', total }: ReportingDateQuery,
): Promise<Page<ReportingDate>> {
  await getPortfolio(scope, portfolioId)
  const client = clientOf(scope.db)
  const binding = cursorBinding(scope.org_id, 'reporting_dates', sort, { portfolioId })
  const downwards = sort.startsWith('-')
  const start = cursor === undefined ? (downwards ? 'infinity' : '-infinity') : dateOf(binding, cursor)
  const mine = client`org_id = ${scope.org_id} and portfolio_id = ${portfolioId}`
  const holds = client`${mine} and as_of is not null and known_to is null`
  const next = (from: typeof mine) =>
    downwards
      ? client`select max(as_of) from loan_versions where ${holds} and as_of < ${from}`
      : client`select min(as_of) from loan_versions where ${holds} and as_of > ${from}`
  const rows = await client<ReportingDate[]>`
    with recursive dates (as_of) as (
      select (${next(client`${start}::date`)})
      union all select (${next(client`dates.as_of`)}) from dates where dates.as_of is not null)
    select dates.as_of, held.* from (select as_of from dates where as_of is not null limit ${limit + 1}) as dates
    cross join lateral (
      select count(*) filter (where known_to is null)::int as loan_count,
        coalesce(sum(balance) filter (where known_to is null), 0)::numeric(30,4) as balance,
        min(known_from) filter (where known_to is null) as first_known_at,
        max(known_from) filter (where known_to is null) as last_known_at,
        count(*) filter (where known_to is not null)::int as corrections
      from loan_versions where ${mine} and as_of = dates.as_of) as held
    order by dates.as_of ${downwards ? client`desc` : client`asc`}`
  const data = rows.slice(0, limit)
  const last = rows.length > limit ? data.at(-1) : undefined
  return {
    data,
    next_cursor: last ? encodeCursor(binding, { value: last.as_of, id: portfolioId }) : null,
    ...(total && { total: await countDates(scope, portfolioId) }),
  }
}

function dateOf(binding: string, cursor: string): string {
  const { value } = decodeCursor(binding, cursor)
  if (typeof value !== 'string' || !/^\d{4}-(0\d|1[0-2])-[0-2]\d$|^\d{4}-\d\d-3[01]$/.test(value)) throw invalidCursor()
  return value
}

async function countDates(scope: TenantScope, portfolioId: string): Promise<number> {
  const [row] = await scope.db
    .select({ count: sql<number>`count(distinct ${loanVersions.as_of})::int` })
    .from(loanVersions)
    .where(and(ofPortfolio(scope, portfolioId), reported, isNull(loanVersions.known_to)))
  return row?.count ?? 0
}

const ofPortfolio = (scope: TenantScope, id: string) =>
  and(owned(loanVersions, scope), eq(loanVersions.portfolio_id, id))

/**
 * Records what is to be known of a loan for a date from now on; what is left out is empty. The loan itself stays as it
 * is, and what was known before stays to be read by `known_at`.
 * @throws Problem `not_found`, `portfolio_archived`, `snapshot_before_origination`, `currency_mismatch`, `unknown_grade`
 */
export const recordSnapshot = (scope: TenantScope, at: SnapshotParams, fields: SnapshotFields, version?: number) =>
  write(scope, at, version, fields, () => derive({ ...blank, ...fields }))

/** Corrects fields of what was reported for a date. @throws Problem also `not_found` where nothing was */
export const correctSnapshot = (scope: TenantScope, at: SnapshotParams, patch: SnapshotUpdate, version?: number) =>
  write(scope, at, version, patch, (held) => {
    if (held === undefined) throw notFound()
    return patch
  })

const fieldNames = Object.keys(getTableColumns(loanVersions)).filter(
  (name) => name in LoanFields.properties && name !== 'loan_number',
)
const blank = Object.fromEntries(fieldNames.map((name) => [name, name === 'attributes' ? {} : null]))

/** @param given what is judged by the portfolio's terms @param stateOf the fields to be known, given what was */
function write(
  scope: TenantScope,
  { id, as_of }: SnapshotParams,
  version: number | undefined,
  given: SnapshotUpdate,
  stateOf: (held: Row | undefined) => SnapshotUpdate,
): Promise<Snapshot> {
  return withConstraints({ loan_versions_snapshot: writtenMeanwhile }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const loan = oneOr404(
        await db
          .select()
          .from(loans)
          .where(and(owned(loans, scope), eq(loans.id, id)))
          .for('share'),
      )
      const fault = termsFault(given, await openTerms(inside, loan.portfolio_id))
      if (fault !== undefined) throw problemOf(fault)
      const held = await supersede(inside, loan.portfolio_id, id, as_of)
      if (version !== undefined) assertVersion({ version: held?.version ?? 0 }, version)
      const made = await insertSnapshot(inside, as_of, loan, { ...held, ...stateOf(held) }, held?.version ?? 0)
      await recordEvent(inside, {
        action: held ? 'loan.snapshot_corrected' : 'loan.snapshot_recorded',
        subject_type: 'loan',
        subject_id: id,
        ...(held && { before: { as_of, ...differing(held, made) } }),
        after: { as_of, ...differing(made, held) },
      })
      return made
    }),
  )
}

async function insertSnapshot(
  { db }: TenantScope,
  asOf: string,
  { org_id, id: loan_id, portfolio_id, loan_number, created_at }: typeof loans.$inferSelect,
  state: Partial<Row>,
  corrected: number,
): Promise<Snapshot> {
  const fields = Object.fromEntries(fieldNames.map((name) => [name, state[name as keyof Row]])) as SnapshotFields
  const fault = originationFault(fields.originated_on, asOf)
  if (fault !== undefined) throw problemOf(fault)
  const keys = { org_id, id: newId(), loan_id, portfolio_id, loan_number, created_at }
  const row = { ...fields, ...keys, as_of: asOf, version: corrected + 1 }
  const made = oneOr404(await db.insert(loanVersions).values(row).returning())
  return { ...made, as_of: asOf }
}

const writtenMeanwhile = () =>
  new Problem('resource_busy', 'This snapshot was written at the same moment; read it again and repeat the change.')

/** Closes what is known of the loan for the date. @returns what that was */
async function supersede(scope: TenantScope, portfolioId: string, loanId: string, asOf: string) {
  const one = and(eq(loanVersions.loan_id, loanId), eq(loanVersions.as_of, asOf), isNull(loanVersions.known_to))
  const [held] = await scope.db
    .update(loanVersions)
    .set(superseded(scope))
    .where(and(ofPortfolio(scope, portfolioId), one))
    .returning()
  return held
}

const superseded = ({ actor }: TenantScope) => ({
  known_to: sql<string>`now()`,
  superseded_by_user: actor.user_id,
})

/** The fields of one state that differ from another's. */
function differing(of: Row, other: Row | undefined): Record<string, unknown> {
  const text = (row: Row | undefined, name: string) => JSON.stringify(row?.[name as keyof Row] ?? null)
  const names = fieldNames.filter((name) => text(of, name) !== text(other, name))
  return Object.fromEntries(names.map((name) => [name, of[name as keyof Row]]))
}

/** Takes back all that was reported for a date; `known_at` still reads it. @throws Problem `not_found`, `portfolio_archived` */
export function deleteSnapshots(scope: TenantScope, { id, as_of }: SnapshotParams): Promise<void> {
  return scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    await openTerms(inside, id)
    await db.execute(unhurried)
    const { count } = await db
      .update(loanVersions)
      .set(superseded(scope))
      .where(and(ofPortfolio(scope, id), eq(loanVersions.as_of, as_of), isNull(loanVersions.known_to)))
    if (count === 0) throw notFound()
    const before = { as_of, loans: count }
    const action = 'portfolio.snapshots_deleted'
    await recordEvent(inside, { action, subject_type: 'portfolio', subject_id: id, before })
  })
}
