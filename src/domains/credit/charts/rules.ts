import { invalidField } from '../../../lib/errors.ts'
import type { ConcentrationRow, DelinquencyRow, RatingRow } from './bars.ts'
import type { RollRow } from './roll-rate.ts'
import { type ChartName, type ChartQuery, takenBy } from './schemas.ts'
import { count, counted, percent } from './text.ts'
import type { Vintage } from './vintage.ts'

/** @throws Problem `validation_failed` for a parameter of another chart */
export function assertTaken(name: ChartName, query: ChartQuery): void {
  const other = Object.keys(query).find((parameter) => !takenBy[name].includes(parameter))
  if (other !== undefined)
    throw invalidField(`/querystring/${other}`, 'unknown_field', `is not a parameter of the ${name} chart`)
}

const numberOf = (decimal: string | null): number | null => (decimal === null ? null : Number(decimal))

type Bucket = {
  from: number | null
  to: number | null
  count: number
  balance: string
  share_by_balance: string | null
}

export const delinquencyRows = (buckets: readonly Bucket[]): DelinquencyRow[] =>
  buckets.map(({ from, to, count: loans, balance, share_by_balance }) => ({
    bucket: bucketName(from, to),
    balance: Number(balance),
    share: numberOf(share_by_balance),
    count: loans,
    known: from !== null,
  }))

function bucketName(from: number | null, to: number | null): string {
  if (from === null) return 'Not stated'
  if (to === null) return `${from} and more`
  if (to === 0) return 'Not past due'
  return from === to ? `${from}` : `${from}–${to}`
}

/** A state of a roll rate, its bucket named as the delinquency chart names it. */
function stateName(state: string): string {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(state) ?? []
  if (from !== undefined) return bucketName(Number(from), Number(to))
  if (state.endsWith('+')) return bucketName(Number.parseInt(state, 10), null)
  if (state === 'unknown') return bucketName(null, null)
  return `${state.slice(0, 1).toUpperCase()}${state.slice(1).replaceAll('_', ' ')}`
}

type Par = { par_30: string | null; par_60: string | null; par_90: string | null }

/** `PAR30 15.0%, PAR60 10.0%, PAR90 6.0%: …`, and the share of which nobody knows. */
export function parNotes({ par_30, par_60, par_90, buckets }: Par & { buckets: readonly Bucket[] }): string[] {
  if (par_30 === null) return []
  const [par30, par60, par90] = [par_30, par_60, par_90].map((share) => percent(numberOf(share)))
  const unknown = numberOf(buckets.find(({ from }) => from === null)?.share_by_balance ?? null)
  const told = `PAR30 ${par30}, PAR60 ${par60}, PAR90 ${par90}: balance more than so many days past due`
  return [unknown ? `${told}; of ${percent(unknown)} the days are not stated` : told]
}

type Ranked = {
  segment: string | null
  count: number
  balance: string
  share: string | null
  cumulative_share: string | null
}
type Concentration = {
  top: readonly Ranked[]
  balance: string
  loan_count: number
  segment_count: number
  hhi: string | null
}

/** The largest segments, and all the others as one row. */
export function concentrationRows({ top, balance, loan_count, segment_count }: Concentration): ConcentrationRow[] {
  const rows = top.map(({ segment, share, balance: own, count: loans }): ConcentrationRow => {
    const [name, kind] = segment === null ? ['Not stated', 'none' as const] : [segment, 'segment' as const]
    return { segment: name, kind, balance: Number(own), share: numberOf(share), count: loans }
  })
  if (segment_count <= top.length) return rows
  const left = rows.reduce((sum, row) => sum - row.balance, Number(balance))
  const loans = rows.reduce((sum, row) => sum - row.count, loan_count)
  const share = 1 - Number(top.at(-1)?.cumulative_share ?? 0)
  return [...rows, { segment: 'All others', kind: 'others', balance: left, share, count: loans }]
}

/** `412 segments, HHI 0.0310; the largest 10 hold 41.2%` */
export function concentrationNotes({ top, segment_count, hhi }: Concentration): string[] {
  if (hhi === null) return []
  const segments = `${counted(segment_count, 'segment')}, HHI ${Number(hhi).toFixed(4)}`
  if (top.length >= segment_count) return [segments]
  const held = percent(numberOf(top.at(-1)?.cumulative_share ?? null))
  return [`${segments}; the largest ${top.length === 1 ? 'holds' : `${count(top.length)} hold`} ${held}`]
}

type Cohort = { cohort: string; loan_count: number; curve: readonly (string | null)[]; undated: number }

export const vintagesOf = (cohorts: readonly Cohort[], months: readonly number[]): Vintage[] =>
  cohorts.map(({ cohort, loan_count, curve }) => ({
    cohort,
    count: loan_count,
    points: curve.map((share, at) => ({ month: months[at] as number, share: numberOf(share) })),
  }))

const events = { default: ['default'], loss: ['loss', 'losses'], prepayment: ['prepayment'] } as const

/** What a line cannot show: what happened on an unknown day. */
export function undatedNotes(cohorts: readonly Cohort[], measure: keyof typeof events): string[] {
  const undated = cohorts.reduce((sum, cohort) => sum + cohort.undated, 0)
  const [one, many] = events[measure]
  return undated === 0 ? [] : [`Not in the lines: ${counted(undated, one, many)} of unknown date`]
}

/** What a vintage curve shows, by measure and basis. */
export const vintageWords = (measure: 'default' | 'loss' | 'prepayment', basis: 'count' | 'balance') => ({
  what: `Cumulative ${measure} rate`,
  of: basis === 'count' ? 'loans' : 'original principal',
})

type Transition = {
  state: string
  loan_count: number
  counts: readonly number[]
  shares_by_count: readonly (string | null)[]
  shares_by_balance: readonly (string | null)[]
}

/** @param states at the end, in the order of the shares */
export const rollRows = (
  rows: readonly Transition[],
  states: readonly string[],
  basis: 'count' | 'balance',
): RollRow[] =>
  rows.flatMap(({ state, counts, shares_by_count, shares_by_balance }) =>
    states.map((to, at) => ({
      from: stateName(state),
      to: stateName(to),
      share: numberOf((basis === 'count' ? shares_by_count : shares_by_balance)[at] ?? null),
      count: counts[at] ?? 0,
    })),
  )

export const stateNames = (states: readonly string[]): string[] => states.map(stateName)

type Outside = { closed?: { loan_count: number }; new?: { loan_count: number } }

/** `Not in the rows: 12 loans closed by 2024-01-31, 3 loans new since` */
export function outsideNotes({ closed, new: added }: Outside, from: string): string[] {
  const said = [
    ...(closed ? [`${counted(closed.loan_count, 'loan')} closed by ${from}`] : []),
    ...(added ? [`${counted(added.loan_count, 'loan')} new since`] : []),
  ]
  return said.length === 0 ? [] : [`Not in the rows: ${said.join(', ')}`]
}

type Rated = { rating: string | null; count: number; balance: string; share: string | null }
type Grade = { grade: string; ordinal: number; is_default: boolean }

const offScaleMax = 12

/**
 * The loans by grade: those of the scale in its order, also where no loan has them; then, the most frequent first, what is
 * not on the scale; then the unrated. Without a scale the ratings are in alphabetical order.
 */
export function ratingRows(found: readonly Rated[], scale: readonly Grade[] | null): RatingRow[] {
  const given = found.filter((one): one is Rated & { rating: string } => one.rating !== null)
  const figures = (one: Omit<Rated, 'rating'> | undefined) => ({
    count: one?.count ?? 0,
    balance: Number(one?.balance ?? 0),
    share: numberOf(one === undefined ? null : one.share),
  })
  const unrated = found
    .filter(({ rating }) => rating === null)
    .map((one) => ({ grade: 'Not rated', ordinal: null, kind: 'unrated' as const, ...figures(one) }))
  if (scale === null) {
    const sorted = given.toSorted((a, b) => (a.rating < b.rating ? -1 : 1))
    const rows = sorted.map((one) => ({ grade: one.rating, ordinal: null, kind: 'grade' as const, ...figures(one) }))
    return [...rows, ...unrated]
  }
  const grades = scale
    .toSorted((a, b) => a.ordinal - b.ordinal)
    .map(({ grade, ordinal, is_default }) => {
      const kind = is_default ? ('default' as const) : ('grade' as const)
      return { grade, ordinal, kind, ...figures(given.find(({ rating }) => rating === grade)) }
    })
  const off = given
    .filter(({ rating }) => !scale.some(({ grade }) => grade === rating))
    .map((one) => ({ grade: one.rating, ordinal: null, kind: 'off_scale' as const, ...figures(one) }))
  return [...grades, ...off.slice(0, offScaleMax), ...folded(off.slice(offScaleMax)), ...unrated]
}

/** Many rows as one. */
function folded(rows: readonly RatingRow[]): RatingRow[] {
  if (rows.length === 0) return []
  const sum = (field: 'count' | 'balance') => rows.reduce((total, row) => total + row[field], 0)
  const share = rows.reduce((total, row) => total + (row.share ?? 0), 0)
  const named = { grade: `${rows.length} others`, ordinal: null, kind: 'off_scale' as const }
  return [{ ...named, count: sum('count'), balance: sum('balance'), share }]
}
