import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { missingReference } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { compare, type Filter, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { type Grade, loans, portfolios } from '../../../db/tables/credit.ts'
import { ratingHistory } from '../../../db/tables/ratings.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { assertVersion, notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { newId } from '../../../lib/ids.ts'
import type { Page } from '../../../lib/page.ts'
import { assertOpen } from '../portfolios/queries.ts'
import { holdRatingScale } from '../rating-scales/queries.ts'
import { followRating, holdsOn } from './current/queries.ts'
import { checkAction, checkGrade, corrected, differences, pdOf, placed, type RatingState, removed } from './rules.ts'
import type {
  LoanRating,
  LoanRatingQuery,
  Rating,
  RatingBulk,
  RatingCreate,
  RatingQuery,
  RatingUpdate,
} from './schemas.ts'

const holdsToday: Filter = (value) => sql`${holdsOn(sql`current_date`)} = ${value}::boolean`

const list = {
  name: 'ratings',
  table: ratingHistory,
  sorts: { created_at: ratingHistory.created_at, effective_from: ratingHistory.effective_from },
  filters: {
    portfolio_id: compare(ratingHistory.portfolio_id),
    loan_id: compare(ratingHistory.loan_id),
    scale_id: compare(ratingHistory.scale_id),
    grade: compare(ratingHistory.grade),
    action: compare(ratingHistory.action),
    effective_from_gte: compare(ratingHistory.effective_from, '>='),
    effective_from_lte: compare(ratingHistory.effective_from, '<='),
    current: holdsToday,
  },
}

export const listRatings = (scope: TenantScope, query: RatingQuery): Promise<Page<Rating>> =>
  listPage<typeof ratingHistory, Rating>(scope, list, query)

// What is committed has its action: the import that left it out has settled it.
export const getRating = async (scope: TenantScope, id: string) => (await getOwned(scope, ratingHistory, id)) as Rating

/** The ratings of a loan, on one scale or all. @throws Problem `not_found` */
export async function ratingsOfLoan(scope: TenantScope, loanId: string, scaleId?: string): Promise<Rating[]> {
  await getOwned(scope, loans, loanId)
  const mine = and(owned(ratingHistory, scope), eq(ratingHistory.loan_id, loanId))
  const rows = await scope.db
    .select()
    .from(ratingHistory)
    .where(and(mine, scaleId === undefined ? undefined : eq(ratingHistory.scale_id, scaleId)))
    .orderBy(asc(ratingHistory.scale_id), asc(ratingHistory.effective_from))
  return rows as Rating[]
}

/** The rating of a loan that held on a day. @throws Problem `not_found` for another organisation's loan */
export async function ratingOfLoan(scope: TenantScope, loanId: string, query: LoanRatingQuery): Promise<LoanRating> {
  const { portfolio_id } = await getOwned(scope, loans, loanId)
  const scale_id = query.scale_id ?? (await getOwned(scope, portfolios, portfolio_id)).rating_scale_id
  const on = query.on ?? new Date().toISOString().slice(0, 10)
  const [held] =
    scale_id === null
      ? []
      : await scope.db
          .select()
          .from(ratingHistory)
          .where(
            and(
              owned(ratingHistory, scope),
              eq(ratingHistory.loan_id, loanId),
              eq(ratingHistory.scale_id, scale_id),
              holdsOn(sql`${on}::date`),
            ),
          )
  const { id: rating_id = null, grade = null, action = null, outlook = null, watch = null, pd = null } = held ?? {}
  const { effective_from = null, effective_to = null } = held ?? {}
  return { loan_id: loanId, on, scale_id, rating_id, grade, action, outlook, watch, pd, effective_from, effective_to }
}

/** A loan whose ratings are to be changed, with what its history on one scale is now. */
type Rated = {
  loan: { id: string; portfolio_id: string; originated_on: string; rating: string | null }
  scale: { id: string; grades: Grade[]; followed: boolean }
  history: RatingState[]
}

/**
 * Holds the loan, so that changes of its ratings come one after the other, and the scale, so that its grades stay.
 * @param scaleId the portfolio's where it is undefined
 * @throws Problem `not_found`, `portfolio_archived`, `rating_scale_missing`
 */
async function hold(scope: TenantScope, loanId: string, scaleId: string | undefined): Promise<Rated> {
  const [loan] = await scope.db
    .select({
      id: loans.id,
      portfolio_id: loans.portfolio_id,
      originated_on: loans.originated_on,
      rating: loans.rating,
      scale: portfolios.rating_scale_id,
      archived_at: portfolios.archived_at,
    })
    .from(loans)
    .innerJoin(portfolios, and(eq(portfolios.org_id, loans.org_id), eq(portfolios.id, loans.portfolio_id)))
    .where(and(owned(loans, scope), eq(loans.id, loanId)))
    .for('no key update', { of: loans })
  if (loan === undefined) throw missingReference('/body/loan_id')()
  assertOpen(loan)
  const wanted = scaleId ?? loan.scale
  if (wanted === null)
    throw new Problem(
      'rating_scale_missing',
      'The portfolio has no rating scale: give it one (PATCH /portfolios/{id} with rating_scale_id), or say scale_id.',
    )
  const scale = await holdRatingScale(scope, wanted, 'share')
  if (scale === undefined) throw missingReference('/body/scale_id')()
  const { id, grade, action, effective_from, effective_to } = ratingHistory
  const history = await scope.db
    .select({ id, grade, action, effective_from, effective_to })
    .from(ratingHistory)
    .where(and(owned(ratingHistory, scope), eq(ratingHistory.loan_id, loanId), eq(ratingHistory.scale_id, wanted)))
    .orderBy(asc(effective_from))
  return { loan, scale: { id: wanted, grades: scale.grades, followed: wanted === loan.scale }, history }
}

function checkOrigination({ loan }: Rated, effectiveFrom: string) {
  if (effectiveFrom < loan.originated_on)
    throw new Problem(
      'rating_before_origination',
      `The loan was originated on ${loan.originated_on}; a rating cannot begin on ${effectiveFrom}.`,
    )
}

/** What its neighbours in the history become. */
async function applyTo(scope: TenantScope, { history }: Rated, after: RatingState[], except: string): Promise<void> {
  for (const { id, changed } of differences(history, after))
    if (id !== except) await updateAudited(scope, 'rating', ratingHistory, id, changed)
}

const follow = (scope: TenantScope, { loan, scale }: Rated) =>
  scale.followed ? followRating(scope, loan, scale.id) : undefined

/**
 * Gives a loan a rating. It closes the one before, and the action of the one that follows it is derived again.
 * @throws Problem `not_found`, `portfolio_archived`, `rating_scale_missing`, `unknown_grade`, `rating_before_origination`, `rating_overlap`,
 * `rating_after_default`, `rating_action_mismatch`
 */
export const createRating = (scope: TenantScope, { scale_id, action, ...body }: RatingCreate): Promise<Rating> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const rated = await hold(inside, body.loan_id, scale_id)
    const { loan, scale, history } = rated
    const { effective_from, effective_to, grade = null } = body
    checkGrade(grade, action, scale.grades)
    checkOrigination(rated, effective_from)
    const id = newId()
    const after = placed(history, { id, grade, effective_from, effective_to }, scale.grades)
    const at = after.findIndex((one) => one.id === id)
    const made = after[at] as RatingState
    checkAction(action, made, after[at - 1])
    await applyTo(inside, rated, after, id)
    const row = await insertAudited(inside, 'rating', ratingHistory, {
      ...body,
      ...made,
      portfolio_id: loan.portfolio_id,
      scale_id: scale.id,
      pd: body.pd ?? pdOf(grade, scale.grades),
      actor_id: scope.actor.user_id,
    })
    await follow(inside, rated)
    return row as Rating
  })

/** Gives many ratings in turn, in one transaction; each that fails leaves nothing. */
export const createRatings = (scope: TenantScope, { items, atomic = false }: RatingBulk): Promise<BulkResult> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    // All loans at first and in one order, so that two such requests wait for each other instead of dying.
    const ids = [...new Set(items.map(({ loan_id }) => loan_id))]
    await db
      .select({ id: loans.id })
      .from(loans)
      .where(and(owned(loans, scope), inArray(loans.id, ids)))
      .orderBy(asc(loans.id))
      .for('no key update')
    return runBulk(items, atomic, async (item) => (await createRating(inside, item)).id)
  })

/** The rating as it is once nobody else changes its loan's. @throws Problem `not_found`, `version_mismatch` */
async function holdRating(scope: TenantScope, id: string, version: number | undefined) {
  const { loan_id, scale_id } = await getOwned(scope, ratingHistory, id)
  const rated = await hold(scope, loan_id, scale_id)
  const mine = and(owned(ratingHistory, scope), eq(ratingHistory.id, id))
  const rating = oneOr404(await scope.db.select().from(ratingHistory).where(mine))
  assertVersion(rating, version)
  return { rated, rating }
}

/**
 * Changes what is said of a rating, or corrects its grade or first day: then its neighbours, before and after, follow.
 * @throws Problem as {@link createRating}
 */
export const updateRating = (scope: TenantScope, id: string, patch: RatingUpdate, version?: number): Promise<Rating> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const { rated, rating } = await holdRating(inside, id, version)
    const { grade, effective_from } = patch
    const { grades } = rated.scale
    let changes: Partial<typeof rating> = patch
    if (grade !== undefined || effective_from !== undefined) {
      checkGrade(grade ?? rating.grade, rating.grade === null ? 'withdraw' : undefined, grades)
      checkOrigination(rated, effective_from ?? rating.effective_from)
      const after = corrected(rated.history, id, { grade, effective_from }, grades)
      const { action, effective_to } = after.find((one) => one.id === id) as RatingState
      await applyTo(inside, rated, after, id)
      const regraded = grade !== undefined && grade !== rating.grade && patch.pd === undefined
      changes = { ...patch, action, effective_to, ...(regraded && { pd: pdOf(grade, grades) }) }
    }
    const made = await updateAudited(inside, 'rating', ratingHistory, id, changes)
    await follow(inside, rated)
    return oneOr404(made ? [made as Rating] : [])
  })

/**
 * Deletes a rating; the one before it then holds as long as this one did.
 * @throws Problem `rating_after_default` or `rating_action_mismatch` where what follows could not stand without it
 */
export const deleteRating = (scope: TenantScope, id: string, version?: number): Promise<void> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const { rated } = await holdRating(inside, id, version)
    await applyTo(inside, rated, removed(rated.history, id, rated.scale.grades), id)
    if (!(await deleteAudited(inside, 'rating', ratingHistory, id))) throw notFound()
    await follow(inside, rated)
  })
