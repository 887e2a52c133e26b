import type { Grade } from '../../../db/tables/credit.ts'
import type { ratingTerms } from '../../../db/tables/ratings.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'

type RatingAction = (typeof ratingTerms.action)[number]

/**
 * One rating of a loan on a scale. It holds from `effective_from` until the day before `effective_to` (null: until further
 * notice); dates are `YYYY-MM-DD`. A withdrawal has no grade.
 */
export type RatingState = {
  id: string
  grade: string | null
  action: RatingAction | null
  effective_from: string
  effective_to: string | null
}

/** A rating to be put into a history; without `effective_to` it holds until the next one begins. */
export type NewRating = {
  id: string
  grade: string | null
  effective_from: string
  effective_to?: string | null | undefined
}

/**
 * What a rating without a statement of its action is, after the one before it:
 *
 * - no grade: `withdraw`;
 * - nothing before, or what was before was withdrawn or had run out: `assign`;
 * - otherwise by the ordinals of the two grades: `upgrade` (less risk), `downgrade` or `affirm`.
 *
 * The words are those of the rating agencies' transition studies (Moody's and S&P, “Rating Symbols and Definitions”).
 */
function actionAfter(
  before: Pick<RatingState, 'grade' | 'effective_to'> | undefined,
  rating: Pick<RatingState, 'grade' | 'effective_from'>,
  grades: readonly Grade[],
): RatingAction {
  if (rating.grade === null) return 'withdraw'
  if (before?.grade == null) return 'assign'
  if (before.effective_to !== null && before.effective_to < rating.effective_from) return 'assign'
  const worse = ordinalOf(rating.grade, grades) - ordinalOf(before.grade, grades)
  return worse > 0 ? 'downgrade' : worse < 0 ? 'upgrade' : 'affirm'
}

const gradeOf = (grade: string | null, grades: readonly Grade[]) => grades.find((one) => one.grade === grade)
const ordinalOf = (grade: string, grades: readonly Grade[]) => gradeOf(grade, grades)?.ordinal ?? 0

/** The PD of a rating that states none: its grade's. */
export const pdOf = (grade: string | null, grades: readonly Grade[]): string | null =>
  gradeOf(grade, grades)?.pd ?? null

/** @throws Problem `unknown_grade`, or `rating_action_mismatch` where grade and withdrawal contradict each other */
export function checkGrade(grade: string | null, action: string | undefined, grades: readonly Grade[]): void {
  if (grade === null && action !== 'withdraw')
    throw mismatch('A rating without a grade is a withdrawal: give a grade, or say "action": "withdraw".')
  if (grade === null) return
  if (action === 'withdraw') throw mismatch('A withdrawal has no grade; leave the grade out.')
  if (gradeOf(grade, grades) === undefined)
    throw new Problem(
      'unknown_grade',
      `The scale has no grade ${grade}; it has ${grades.map((one) => one.grade).join(', ')}.`,
    )
}

/**
 * Puts a rating into the history of a loan on a scale. It closes the one before it on its first day; one that is backdated
 * holds until the next begins, unless it says how long. What it interrupts does not go on after it.
 * @param history in the order of `effective_from`
 * @returns the history with it
 * @throws Problem `rating_overlap` when one begins on the same day, or the stated end lies behind the next one's beginning;
 * `rating_after_default` or `rating_action_mismatch` as {@link judged}
 */
export function placed(history: readonly RatingState[], rating: NewRating, grades: readonly Grade[]): RatingState[] {
  const { effective_from, effective_to, ...rest } = rating
  if (effective_to != null && effective_to <= effective_from)
    throw invalidField('/body/effective_to', 'after', 'must be after effective_from')
  if (history.some((one) => one.effective_from === effective_from))
    throw overlap(`Another rating of the loan begins on ${effective_from}; correct that one instead.`)
  const before = history.filter((one) => one.effective_from < effective_from)
  const after = history.filter((one) => one.effective_from > effective_from)
  const next = after[0]?.effective_from ?? null
  if (effective_to != null && next !== null && effective_to > next)
    throw overlap(`The next rating begins on ${next}, before ${effective_to}; end this one there at the latest.`)
  const closed = before.map((one, index) =>
    index === before.length - 1 && (one.effective_to === null || one.effective_to > effective_from)
      ? { ...one, effective_to: effective_from }
      : one,
  )
  return judged(
    [...closed, { ...rest, action: null, effective_from, effective_to: effective_to ?? next }, ...after],
    grades,
  )
}

/**
 * Takes a rating out of a history. The one before it, where it lasted until this one began, then lasts as long as this one
 * did.
 * @throws Problem as {@link judged}, where what is left cannot stand
 */
export const removed = (history: readonly RatingState[], id: string, grades: readonly Grade[]): RatingState[] =>
  judged(without(history, id), grades)

function without(history: readonly RatingState[], id: string): RatingState[] {
  const at = history.findIndex((one) => one.id === id)
  const gone = history[at]
  return history
    .map((one, index) =>
      index === at - 1 && one.effective_to === gone?.effective_from
        ? { ...one, effective_to: gone?.effective_to ?? null }
        : one,
    )
    .filter((one) => one.id !== id)
}

/**
 * Corrects the grade or the first day of a rating: it is taken out and put in again. An end that was its own stays, one
 * that came from the next rating's beginning is found anew.
 * @throws Problem as {@link placed}
 */
export function corrected(
  history: readonly RatingState[],
  id: string,
  correction: { grade?: string | undefined; effective_from?: string | undefined },
  grades: readonly Grade[],
): RatingState[] {
  const at = history.findIndex((one) => one.id === id)
  const { grade, effective_from, effective_to } = history[at] as RatingState
  const ownEnd = effective_to !== null && effective_to !== history[at + 1]?.effective_from
  const rating = {
    id,
    grade: correction.grade ?? grade,
    effective_from: correction.effective_from ?? effective_from,
    ...(ownEnd && { effective_to }),
  }
  return placed(without(history, id), rating, grades)
}

/**
 * The history with the actions that follow from it.
 * @throws Problem `rating_after_default` when anything but a withdrawal follows the grade that means default, which is
 * absorbing; `rating_action_mismatch` when a withdrawal finds nothing to withdraw
 */
function judged(history: readonly RatingState[], grades: readonly Grade[]): RatingState[] {
  return history.map((rating, index) => {
    const before = history[index - 1]
    if (rating.grade !== null && gradeOf(before?.grade ?? null, grades)?.is_default)
      throw new Problem(
        'rating_after_default',
        `The loan has the grade ${before?.grade} since ${before?.effective_from}, which means default: nothing but a withdrawal can follow it, not ${rating.grade} on ${rating.effective_from}.`,
      )
    if (rating.grade === null && before?.grade == null)
      throw mismatch(`There is no rating before ${rating.effective_from} that could be withdrawn.`)
    return { ...rating, action: actionAfter(before, rating, grades) }
  })
}

/** @throws Problem `rating_action_mismatch` when the stated action is not what follows from the history */
export function checkAction(stated: string | undefined, rating: RatingState, before: RatingState | undefined): void {
  if (stated === undefined || stated === rating.action) return
  const after = before === undefined ? 'as the first rating' : `after ${before.grade ?? 'a withdrawal'}`
  throw mismatch(`${rating.grade ?? 'No grade'} ${after} is "${rating.action}", not "${stated}"; leave the action out.`)
}

const mismatch = (detail: string) => new Problem('rating_action_mismatch', detail)
const overlap = (detail: string) => new Problem('rating_overlap', detail)

/** The ratings of `before` that are different in `after`, each with what differs; those that came or went are not told. */
export function differences(before: readonly RatingState[], after: readonly RatingState[]) {
  return after.flatMap((now) => {
    const was = before.find(({ id }) => id === now.id)
    if (was === undefined) return []
    const { action, effective_to } = now
    const changed = {
      ...(action !== was.action && { action }),
      ...(effective_to !== was.effective_to && { effective_to }),
    }
    return Object.keys(changed).length === 0 ? [] : [{ id: now.id, changed }]
  })
}
