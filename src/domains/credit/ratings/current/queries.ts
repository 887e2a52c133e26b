import { and, eq, type SQL, sql } from 'drizzle-orm'
import { recordEvent, updateAudited } from '../../../../db/audit.ts'
import { keepVersions } from '../../../../db/book.ts'
import type { Db } from '../../../../db/client.ts'
import { owned, type TenantScope, unseen } from '../../../../db/scope.ts'
import { loans } from '../../../../db/tables/credit.ts'
import { ratingHistory } from '../../../../db/tables/ratings.ts'

/** Whether a rating holds on a day. */
export const holdsOn = (day: SQL): SQL<boolean> =>
  sql`(${ratingHistory.effective_from} <= ${day} and (${ratingHistory.effective_to} is null or ${ratingHistory.effective_to} > ${day}))`

const today = sql`current_date`

/** The grade that holds today, of the ratings a statement groups; null where none does, or a withdrawal. */
const gradeToday = sql<string | null>`max(${ratingHistory.grade}) filter (where ${holdsOn(today)})`

/**
 * Keeps `rating` of a loan in step with its history, after that has changed: the grade that holds today on the portfolio's
 * scale. A change of it is the loan's own: a version and an event.
 * @param loan held by the caller
 */
export async function followRating(scope: TenantScope, loan: { id: string; rating: string | null }, scaleId: string) {
  const [held] = await scope.db
    .select({ grade: gradeToday })
    .from(ratingHistory)
    .where(and(owned(ratingHistory, scope), eq(ratingHistory.loan_id, loan.id), eq(ratingHistory.scale_id, scaleId)))
  const rating = held?.grade ?? null
  if (rating !== loan.rating) await updateAudited(scope, 'loan', loans, loan.id, { rating })
}

/**
 * The same for many loans of a portfolio at once, in the caller's transaction; loans without a rating on the portfolio's
 * scale keep what their tape said.
 * @param which narrows the loans down, by what a rating of theirs (`r`) is
 * @param importId of the import that is the cause
 */
export const followRatings = (scope: TenantScope, portfolioId: string, which: SQL = sql`true`, importId?: string) =>
  followHeld(
    scope,
    portfolioId,
    sql`
      select rating_history.loan_id, ${gradeToday} as grade from rating_history
      join portfolios p on (p.org_id, p.id, p.rating_scale_id) = (rating_history.org_id, rating_history.portfolio_id, rating_history.scale_id)
      where rating_history.org_id = ${unseen(scope)} and rating_history.portfolio_id = ${portfolioId}
        and exists (select from rating_history r where (r.org_id, r.loan_id, r.scale_id) = (rating_history.org_id, rating_history.loan_id, rating_history.scale_id) and ${which})
      group by rating_history.loan_id`,
    importId,
  )

/**
 * Gives loans of a portfolio these grades where they have others. Each of them has its version, and all of them one event.
 * @param held a query of `loan_id` and `grade`
 */
export async function followHeld(scope: TenantScope, portfolioId: string, held: SQL, importId?: string): Promise<void> {
  const by = { user_id: scope.actor.user_id, ...(importId !== undefined && { import_id: importId }) }
  const [changed] = await scope.db.execute<{ loans: number }>(sql`
    with held as materialized (${held}),
    before as (
      select loans.* from loans join held on held.loan_id = loans.id
      where loans.org_id = ${unseen(scope)} and loans.rating is distinct from held.grade
      order by loans.id for update of loans),
    change as (
      update loans set rating = held.grade, version = loans.version + 1, updated_at = now()
      from before join held on held.loan_id = before.id where loans.org_id = ${unseen(scope)} and loans.id = before.id),
    past as (${keepVersions(sql`before`, by)})
    select count(*)::int as loans from before`)
  if (!changed?.loans) return
  const event = { subject_type: 'portfolio', subject_id: portfolioId, after: { loans: changed.loans } }
  await recordEvent(scope, { action: 'portfolio.ratings_followed', ...event })
}

/** How long the service may have stood still without a rating's first or last day being missed. */
const daysBack = 31

/**
 * Lets `rating` of loans follow what began or ended with a day: run again and again, since days pass without a request.
 * @returns the portfolios looked at
 */
export async function followCalendar(db: Db): Promise<number> {
  const turned = (r: SQL, column: string) =>
    sql`${r}.${sql.raw(column)} between current_date - ${daysBack}::int and current_date`
  const due = (r: SQL) => sql`(${turned(r, 'effective_from')} or ${turned(r, 'effective_to')})`
  const portfolios = await db.execute<{ org_id: string; portfolio_id: string }>(
    sql`select distinct org_id, portfolio_id from rating_history as h where ${due(sql`h`)}`,
  )
  const actor = { user_id: null, principal: 'system', request_id: 'follow ratings', ip: '' }
  for (const { org_id, portfolio_id } of portfolios)
    await db.transaction((tx) => followRatings({ db: tx, org_id, actor }, portfolio_id, due(sql`r`)))
  return portfolios.length
}
