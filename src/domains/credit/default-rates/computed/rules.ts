import { invalidField } from '../../../../lib/errors.ts'

export const periodKinds = ['month', 'quarter', 'year'] as const
export type PeriodKind = (typeof periodKinds)[number]

const monthsIn = { month: 1, quarter: 3, year: 12 } as const

/** Twenty years of months. */
const periodsMax = 240
const yearsByDefault = 10

/** Months since the year 0, to count with. */
const monthOf = (date: string) => Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1
const pad = (value: number, length: number) => String(value).padStart(length, '0')
const isLastOfMonth = (date: string) =>
  new Date(Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)), 0)).getUTCDate() === Number(date.slice(8, 10))
const firstDay = (month: number) => `${pad(Math.floor(month / 12), 4)}-${pad((month % 12) + 1, 2)}-01`

/** The name of the period that begins on a day: `2024`, `2024-Q1` or `2024-01`. */
export function periodName(kind: PeriodKind, start: string): string {
  if (kind === 'year') return start.slice(0, 4)
  return kind === 'month' ? start.slice(0, 7) : `${start.slice(0, 4)}-Q${Math.ceil(Number(start.slice(5, 7)) / 3)}`
}

/**
 * The first days of the first and the last period that are asked for: those `from` and `to` lie in, ten years by default.
 * A period that has not ended by `on` is left out, for its defaults are not all known.
 * @param on the last day the book tells of, `YYYY-MM-DD`
 * @returns undefined where no period is left
 * @throws Problem `validation_failed` for more than 240 periods
 */
export function periodRange(
  kind: PeriodKind,
  on: string,
  from: string | undefined,
  to: string | undefined,
  part = '/querystring',
) {
  const step = monthsIn[kind]
  const startOf = (month: number) => month - (month % step)
  const complete = startOf(monthOf(on) + (isLastOfMonth(on) ? 1 : 0)) - step
  const last = Math.min(complete, to === undefined ? complete : startOf(monthOf(to)))
  const first = Math.max(12, from === undefined ? last - (yearsByDefault * 12 - step) : startOf(monthOf(from)))
  if ((last - first) / step >= periodsMax)
    throw invalidField(`${part}/from`, 'range', `and to span more than ${periodsMax} periods; ask for fewer`)
  return first > last ? undefined : { first: firstDay(first), last: firstDay(last), months: step }
}

/** What the loans say of one period. */
export type Counted = { period: string; opening_performing: string; new_defaults: string }

/** Shares are whole numbers of 10^-24; as floats 3 of 640 were 0.004687, and the same in the database 0.004688. */
const one = 10n ** 24n
/** More than what hundreds of divisions cut off, so that the middle between two shares is still rounded up. */
const dust = 10n ** 6n

function shareOf(value: bigint, places: number): string {
  const unit = one / 10n ** BigInt(places)
  const digits = String((value + dust + unit / 2n) / unit).padStart(places + 1, '0')
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`
}

/** A decimal in units of its last place. */
const unitsOf = (decimal: string): bigint => BigInt(decimal.replace('.', ''))

/**
 * The rates of consecutive periods of one segment.
 *
 * - marginal = new defaults ÷ opening performing
 * - cumulative = 1 − Π (1 − marginal), from the first period asked for: the marginal rates chained, as rating agencies
 *   chain the hazard rates of a static pool (Moody's and S&P, annual default studies)
 * - annualised = 1 − (1 − marginal)^n, n periods in a year
 *
 * Where nothing performed at the opening all three are null, and the cumulative rate goes on from before.
 * @param counted decimals with one number of places
 * @param places after the point of a share
 */
export function ratesOf(counted: readonly Counted[], kind: PeriodKind, places = 6) {
  const perYear = 12n / BigInt(monthsIn[kind])
  let surviving = one
  return counted.map((row) => {
    const opening = unitsOf(row.opening_performing)
    const marginal = opening === 0n ? null : (unitsOf(row.new_defaults) * one) / opening
    surviving = (surviving * (one - (marginal ?? 0n))) / one
    const named = { ...row, period: periodName(kind, row.period) }
    if (marginal === null) return { ...named, marginal, cumulative: null, annualised: null }
    return {
      ...named,
      marginal: shareOf(marginal, places),
      cumulative: shareOf(one - surviving, places),
      annualised: shareOf(one - (one - marginal) ** perYear / one ** (perYear - 1n), places),
    }
  })
}

/** The segment of a stored series: `all`, or `<field>=<value>`, the value left out where the loans have none. */
export const segmentName = (by: string | undefined, value: string | null): string =>
  by === undefined ? 'all' : `${by}=${value ?? ''}`
