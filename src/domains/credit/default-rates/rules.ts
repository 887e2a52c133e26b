import type { defaultRateTerms } from '../../../db/tables/ratings.ts'

export type Basis = (typeof defaultRateTerms.basis)[number]

/** The figures of one period: numbers of loans or amounts, and shares of one; decimal strings. */
export type Figures = {
  opening_performing?: string | null | undefined
  new_defaults?: string | null | undefined
  marginal?: string | null | undefined
  cumulative?: string | null | undefined
  annualised?: string | null | undefined
}

/** How far two ways to the same rate may lie apart. */
const tolerance = 1e-6

/** The periods in a year of which this is one: `2024` 1, `2024-Q1` 4, `2024-01` 12. */
const periodsPerYear = (period: string): number => (period.includes('Q') ? 4 : period.includes('-') ? 12 : 1)

/**
 * A rate of one period as the rate of a year in which each period is as that one: 1 − (1 − marginal)^n.
 * @param perYear periods in a year, n
 */
const annualise = (marginal: number, perYear: number): number => 1 - (1 - marginal) ** perYear

/**
 * What contradicts what in the figures of a period; undefined where all fits. Loans are whole; defaults are some of those
 * that performed at the opening; marginal = defaults ÷ opening; the cumulative rate is no less than the marginal one; the
 * annualised follows from the marginal one. Rates may be off by 0.000001, the annualised by that much for each period of a
 * year, since it multiplies the rounding of the marginal one.
 */
export function inconsistency(
  row: Figures & { basis: Basis; period: string },
): { field: keyof Figures; message: string } | undefined {
  const [opening, defaults, marginal, cumulative, annualised] = [
    row.opening_performing,
    row.new_defaults,
    row.marginal,
    row.cumulative,
    row.annualised,
  ].map((text) => (text == null ? undefined : Number(text)))
  if (row.basis === 'count')
    for (const field of ['opening_performing', 'new_defaults'] as const)
      if (!Number.isInteger(Number(row[field] ?? 0))) return { field, message: 'must be a whole number of loans' }
  if (opening !== undefined && defaults !== undefined && defaults > opening)
    return { field: 'new_defaults', message: 'must not exceed opening_performing' }
  if (opening === 0 && marginal !== undefined)
    return { field: 'marginal', message: 'must be null where opening_performing is 0' }
  if (
    opening &&
    defaults !== undefined &&
    marginal !== undefined &&
    Math.abs(marginal - defaults / opening) > tolerance
  )
    return { field: 'marginal', message: 'must be new_defaults ÷ opening_performing' }
  if (marginal !== undefined && cumulative !== undefined && cumulative < marginal - tolerance)
    return { field: 'cumulative', message: 'must not be below marginal' }
  const perYear = periodsPerYear(row.period)
  if (
    marginal !== undefined &&
    annualised !== undefined &&
    Math.abs(annualised - annualise(marginal, perYear)) > tolerance * perYear
  )
    return { field: 'annualised', message: `must be 1 − (1 − marginal)^${perYear}` }
  return undefined
}
