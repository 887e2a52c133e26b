import { Problem } from '../../../lib/errors.ts'

/** An age at which something happened: months, the cumulative share up to it and the share since the age before. */
export type Step = [months: number, cumulative: string | null, marginal: string | null]

const zero = '0.000000'

/** The ages of the curves: 0, one step, two steps …, none beyond the last. */
export const agesOf = (monthsMax: number, step: number): number[] =>
  Array.from({ length: Math.floor(monthsMax / step) + 1 }, (_, at) => at * step)

/**
 * Lays the ages at which something happened onto all ages: between them a cumulative curve stays where it was.
 * @param steps ascending
 * @param observed months that the whole cohort has behind it; later cells are immature, thus null
 */
export function curvesOf(steps: readonly Step[], ages: readonly number[], observed: number | null) {
  const curve: (string | null)[] = []
  const marginal: (string | null)[] = []
  let reached: string | null = zero
  let next = 0
  for (const age of ages) {
    const step = steps[next]?.[0] === age ? steps[next++] : undefined
    if (step !== undefined) reached = step[1]
    const mature = observed !== null && age <= observed
    curve.push(mature ? reached : null)
    marginal.push(mature ? (step === undefined ? zero : step[2]) : null)
  }
  return { curve, marginal }
}

export const cohortsMax = 2_000
const cellsMax = 250_000

/** @throws Problem `too_many_segments` when the answer would have more cohorts or cells than anyone can read */
export function assertCohorts(cohorts: number, ages: number): void {
  if (cohorts > cohortsMax || cohorts * ages > cellsMax)
    throw new Problem(
      'too_many_segments',
      `That is more than ${cohortsMax} cohorts or ${cellsMax} cells; choose longer cohorts, a larger step, a smaller months_max or a field with fewer values.`,
    )
}
