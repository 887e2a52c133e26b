import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { ImportTarget, OpenTarget, RowFault } from '../../../../db/import-target.ts'
import { owned, type TenantScope, unseen } from '../../../../db/scope.ts'
import { type Grade, loans, portfolios, ratingScales } from '../../../../db/tables/credit.ts'
import { ratingHistory } from '../../../../db/tables/ratings.ts'
import { oneOr404, Problem, type ProblemCode } from '../../../../lib/errors.ts'
import { assertOpen } from '../../portfolios/queries.ts'
import { followHeld, followRatings } from '../current/queries.ts'
import { checkGrade } from '../rules.ts'
import { RatingRow } from '../schemas.ts'

/** What the import engine needs to load ratings on the portfolio's scale from CSV. */
export const ratingTarget: ImportTarget = {
  name: 'rating_history',
  path: '/portfolios/:id/ratings/import',
  permission: 'credit:write',
  row: RatingRow,
  table: ratingHistory,
  parent: { table: portfolios, column: 'portfolio_id' },
  key: ['loan_number', 'effective_from'],
  reference: { field: 'loan_number', table: loans, column: 'loan_id', code: 'unknown_loan' },
  // Filled by `settle`, which sees the rows together; an upsert does not replace them by nothing.
  derived: ['action', 'effective_to', 'pd'],
  derive: () => undefined,
  open,
  settle,
  unsettle,
}

/** @throws Problem `not_found`, `portfolio_archived`, `rating_scale_missing` */
async function open(scope: TenantScope, portfolioId: string): Promise<OpenTarget> {
  const [portfolio] = await scope.db
    .select({ id: ratingScales.id, grades: ratingScales.grades, archived_at: portfolios.archived_at })
    .from(portfolios)
    .leftJoin(
      ratingScales,
      and(eq(ratingScales.org_id, portfolios.org_id), eq(ratingScales.id, portfolios.rating_scale_id)),
    )
    .where(and(owned(portfolios, scope), eq(portfolios.id, portfolioId)))
  const { id, grades, archived_at } = oneOr404(portfolio ? [portfolio] : [])
  assertOpen({ archived_at })
  if (id === null || grades === null)
    throw new Problem(
      'rating_scale_missing',
      'The portfolio has no rating scale; give it one first: PATCH /portfolios/{id} with rating_scale_id.',
    )
  return { constants: { scale_id: id }, judge: (row) => faultOf(row, grades) }
}

type Row = { grade?: string | null; action?: string | null; effective_from?: string; effective_to?: string | null }

function faultOf(row: Row, grades: readonly Grade[]): RowFault | undefined {
  const { grade, action, effective_from = '', effective_to } = row
  if (effective_to != null && effective_to <= effective_from)
    return { field: 'effective_to', code: 'after', message: 'must be after effective_from' }
  try {
    checkGrade(grade ?? null, action ?? undefined, grades)
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { field: 'grade', code: error.code, message: error.message }
  }
  return undefined
}

/** The faults a history can have, in the order in which they are told, each with what it says of the loans. */
const faults: [ProblemCode, string][] = [
  ['rating_before_origination', 'Ratings begin before the loan was originated'],
  ['rating_overlap', 'Ratings end after the next one begins'],
  ['rating_after_default', 'Something other than a withdrawal follows the grade that means default'],
  ['rating_action_mismatch', 'The stated action is not what follows from the rating before'],
]
const loansToldMax = 20

/**
 * Completes the ratings an import loaded, and those beside them, by the rules of `rules.ts`: each holds until the next
 * begins, unless it ends before; actions and PDs follow. Then `rating` of the loans does.
 *
 * What the file states of a rating that is new must fit. Of one that was there before, an upsert may have kept an end or an
 * action of then: those follow the history.
 * @throws Problem `rating_before_origination`, `rating_overlap`, `rating_after_default` or `rating_action_mismatch`, with
 * the numbers of the first loans
 */
async function settle(scope: TenantScope, portfolioId: string, importId: string): Promise<void> {
  const ours = sql`h.import_id is not distinct from ${importId}::uuid`
  await assertGrades(scope, portfolioId, importId)
  await chain(scope, portfolioId, importId, { stated: sql`(${ours} and h.version = 1)` })
  await refuseFaults(scope)
  await applyChain(scope, importId)
  const which = sql`r.import_id = ${importId}`
  await followRatings(scope, portfolioId, which, importId)
}

/**
 * Looks at the grades once more, and keeps them as they are until the transaction ends: while a file was read, a scale may
 * have lost some that nobody had yet.
 * @throws Problem `unknown_grade`
 */
async function assertGrades(scope: TenantScope, portfolioId: string, importId: string): Promise<void> {
  const imported = sql`rating_history h where h.org_id = ${unseen(scope)} and h.portfolio_id = ${portfolioId} and h.import_id = ${importId}`
  await scope.db.execute(sql`
    select from rating_scales where org_id = ${unseen(scope)} and id in (select scale_id from ${imported}) for share`)
  const [lost] = await scope.db.execute<{ grade: string }>(sql`
    select h.grade from ${imported} and h.grade is not null and not exists (
      select from rating_scales s, jsonb_array_elements(s.grades) g
      where s.org_id = h.org_id and s.id = h.scale_id and g ->> 'grade' = h.grade) limit 1`)
  if (lost !== undefined)
    throw new Problem(
      'unknown_grade',
      `The rating scale has lost the grade ${lost.grade} meanwhile; nothing was loaded.`,
    )
}

/**
 * Lets the ratings beside those of an import be as if it had not been, before its own are deleted: what it closed holds
 * again until the next one begins. A loan that has no other rating gets back what its tape said.
 * @throws Problem where what was entered since could not stand without the import's ratings
 */
async function unsettle(scope: TenantScope, portfolioId: string, importId: string): Promise<void> {
  const others = sql`h.import_id is distinct from ${importId}::uuid`
  const closed = sql`exists (
    select from rating_history n where (n.org_id, n.loan_id, n.scale_id, n.effective_from, n.import_id) =
      (h.org_id, h.loan_id, h.scale_id, h.effective_to, ${importId}::uuid))`
  const effectiveTo = sql`case when not ${closed} then h.effective_to end`
  await chain(scope, portfolioId, importId, { stated: sql`false`, only: others, effectiveTo })
  await refuseFaults(scope)
  await applyChain(scope, importId)
  const held = sql`
    select h.loan_id, case when bool_or(${others})
      then max(h.grade) filter (where ${others} and h.effective_from <= current_date and (h.effective_to is null or h.effective_to > current_date))
      else (coalesce((select array[v.rating] from loan_versions v
        where v.org_id = ${unseen(scope)} and v.loan_id = h.loan_id and v.superseded_by_import = ${importId}::uuid and v.as_of is null
        order by v.known_from limit 1), (select array[l.rating] from loans l where l.org_id = ${unseen(scope)} and l.id = h.loan_id)))[1] end as grade
    from rating_history h join portfolios p on (p.org_id, p.id, p.rating_scale_id) = (h.org_id, h.portfolio_id, h.scale_id)
    where h.org_id = ${unseen(scope)} and h.portfolio_id = ${portfolioId} and h.loan_id in (${loansOf(scope, portfolioId, importId)})
    group by h.loan_id`
  await followHeld(scope, portfolioId, held)
}

const loansOf = (scope: TenantScope, portfolioId: string, importId: string) => sql`
  select loan_id from rating_history
  where org_id = ${unseen(scope)} and portfolio_id = ${portfolioId} and import_id = ${importId}`

type Chained = {
  /** Whether what a rating (`h`) says of its end and its action must fit. */
  stated: SQL
  /** Those that count; all without it. */
  only?: SQL
  /** When each ends as far as it goes by itself. */
  effectiveTo?: SQL
}

/**
 * Holds the loans an import rated, and makes the temporary table `rating_chain` of their whole histories: each rating with
 * what it is after the one before it.
 */
async function chain(
  scope: TenantScope,
  portfolioId: string,
  importId: string,
  { stated, only = sql`true`, effectiveTo = sql`h.effective_to` }: Chained,
): Promise<void> {
  const { db } = scope
  const touched = loansOf(scope, portfolioId, importId)
  await db.execute(
    sql`select from loans where org_id = ${unseen(scope)} and id in (${touched}) order by id for no key update`,
  )
  await db.execute(sql`
    create temp table rating_chain on commit drop as
    with grades as (
      select s.id as scale_id, g.* from rating_scales s,
        jsonb_to_recordset(s.grades) as g(grade text, ordinal int, pd numeric, is_default boolean)
      where s.org_id = ${unseen(scope)}
    ), rated as (
      select h.id, h.loan_id, h.scale_id, h.grade, h.action, h.effective_from, ${effectiveTo} as effective_to, h.pd,
        ${stated} as stated, g.ordinal, g.pd as grade_pd, g.is_default
      from rating_history h left join grades g on g.scale_id = h.scale_id and g.grade = h.grade
      where h.org_id = ${unseen(scope)} and h.loan_id in (${touched}) and ${only}
    ), chained as (
      select *, lag(grade) over history as old_grade, lag(ordinal) over history as old_ordinal,
        coalesce(lag(is_default) over history, false) as old_default,
        coalesce(lag(effective_to) over history < effective_from, false) as lapsed,
        lead(effective_from) over history as next_from
      from rated window history as (partition by loan_id, scale_id order by effective_from)
    )
    select *, least(effective_to, next_from) as until, coalesce(pd, grade_pd) as settled_pd,
      case when grade is null then 'withdraw' when old_grade is null or lapsed then 'assign'
        when ordinal > old_ordinal then 'downgrade' when ordinal < old_ordinal then 'upgrade' else 'affirm' end as settled
    from chained`)
}

/** Writes what follows from the chain, and drops it. The import's own rows keep their version. */
async function applyChain(scope: TenantScope, importId: string): Promise<void> {
  const { db } = scope
  await db.execute(sql`
    update rating_history h set effective_to = c.until, action = c.settled, pd = c.settled_pd, updated_at = now(),
      version = h.version + (h.import_id is distinct from ${importId}::uuid)::int
    from rating_chain c
    where h.org_id = ${unseen(scope)} and h.id = c.id
      and (h.effective_to, h.action, h.pd) is distinct from (c.until, c.settled, c.settled_pd)`)
  await db.execute(sql`drop table rating_chain`)
}

async function refuseFaults(scope: TenantScope): Promise<void> {
  const rows = await scope.db.execute<{ fault: number; loans: string[]; count: number }>(sql`
    with judged as (
      select loan_number, case
        when stated and effective_from < originated_on then 0
        when stated and effective_to > next_from then 1
        when old_default and grade is not null then 2
        when grade is null and old_grade is null or stated and action <> settled then 3 end as fault
      from rating_chain c join loans l on l.org_id = ${unseen(scope)} and l.id = c.loan_id)
    select fault, (array_agg(distinct loan_number order by loan_number))[:${loansToldMax}::int] as loans,
      count(distinct loan_number)::int as count
    from judged where fault is not null group by fault order by fault limit 1`)
  const [found] = rows
  if (found === undefined) return
  const [code, what] = faults[found.fault] as [ProblemCode, string]
  const more = found.count > found.loans.length ? ` and ${found.count - found.loans.length} more` : ''
  throw new Problem(code, `${what}, so nothing was loaded. Loans: ${found.loans.join(', ')}${more}.`)
}
