import { Fraction, greatest } from './fraction.ts'

/** A row of a tape; an empty cell is ''. */
export type Row = Record<string, string>

const { of, sum } = Fraction
const [zero, one] = [of(0), of(1)]
const has = (row: Row, ...fields: string[]) => fields.every((field) => row[field] !== '')
const given = (row: Row, field: string) => of(row[field] as string)
export const amount = (rows: Row[], field: string) => sum(rows.map((row) => given(row, field)))
export const share = (over: Fraction, under: Fraction) => over.by(under)?.shown(6) ?? null

/** The same day so many months later, or the last one of that month. */
export function later(day: string, months: number): string {
  const [year, month, date] = day.split('-').map(Number) as [number, number, number]
  const last = new Date(Date.UTC(year, month + months, 0))
  return `${last.toISOString().slice(0, 8)}${String(Math.min(date, last.getUTCDate())).padStart(2, '0')}`
}

/** By counting: how many months have passed from one day to another. */
function monthsPassed(from: string, to: string): number {
  let months = 0
  while (later(from, months + 1) <= to) months++
  return months
}

const days = (row: Row) => (has(row, 'days_past_due') ? Number(row.days_past_due) : -1)
export const isDefaulted = (row: Row) => ['default', 'charged_off'].includes(row.status as string) || days(row) >= 90
export const defaultDay = (row: Row) => row.defaulted_on || (isDefaulted(row) ? row.charged_off_on : '') || undefined
const stageOf = (row: Row) => row.stage || (isDefaulted(row) ? '3' : days(row) > 30 ? '2' : '1')

function exposure(row: Row): Fraction {
  const drawn = greatest(given(row, 'balance'), zero)
  const open = ['current', 'delinquent', 'default'].includes(row.status as string)
  const undrawn = open ? greatest(given(row, 'commitment').minus(drawn), zero) : zero
  return drawn.plus(undrawn.times(has(row, 'ccf') ? given(row, 'ccf') : one))
}

/** How a parameter of a loan (`pd_12m`, `pd_lifetime`, `lgd`) is changed before it is used. */
export type Change = (row: Row, field: string) => Fraction
export type Loss = 'el_12m' | 'el_lifetime' | 'expected_loss'

/** The expected loss of a loan; undefined where a parameter is unknown. */
function lossOf(row: Row, which: Loss, change: Change = given): Fraction | undefined {
  const year = which === 'el_12m' || (which === 'expected_loss' && stageOf(row) === '1')
  const field = year ? 'pd_12m' : 'pd_lifetime'
  const happened = !year && stageOf(row) === '3' && !has(row, field)
  if (!has(row, 'lgd') || !(has(row, field) || happened)) return undefined
  return exposure(row)
    .times(change(row, 'lgd'))
    .times(happened ? one : change(row, field))
}

export function losses(rows: Row[], which: Loss, change?: Change): string | null {
  const known = rows.map((row) => lossOf(row, which, change)).filter((loss) => loss !== undefined)
  return known.length === 0 ? null : sum(known).shown(4)
}

/** Σ balance × value ÷ Σ balance, over the loans that have a value. */
function weighed(rows: Row[], field: string, measure: (row: Row) => Fraction = (row) => given(row, field)) {
  const known = rows.filter((row) => has(row, field))
  return share(sum(known.map((row) => given(row, 'balance').times(measure(row)))), amount(known, 'balance'))
}

/** The figures of a book or a segment by their names on the wire, by adding up its rows one after the other. */
export function figuresOf(rows: Row[], on: string) {
  const balance = amount(rows, 'balance')
  const principal = amount(rows, 'original_principal')
  const bad = rows.filter(isDefaulted)
  const behind = (limit: number) =>
    share(
      amount(
        rows.filter((row) => days(row) > limit),
        'balance',
      ),
      balance,
    )
  const nonPerforming = amount(
    rows.filter((row) => isDefaulted(row) || row.stage === '3'),
    'balance',
  )
  const covered = rows.filter((row) => lossOf(row, 'expected_loss') !== undefined)
  const [lost, recovered] = [amount(rows, 'charged_off_amount'), amount(rows, 'recovered_amount')]
  const ead = sum(rows.map(exposure))
  return {
    loan_count: rows.length,
    balance: balance.shown(4),
    original_principal: principal.shown(4),
    commitment: amount(rows, 'commitment').shown(4),
    charged_off_amount: lost.shown(4),
    recovered_amount: recovered.shown(4),
    ead: ead.shown(4),
    el_12m: losses(rows, 'el_12m'),
    el_lifetime: losses(rows, 'el_lifetime'),
    expected_loss: losses(rows, 'expected_loss'),
    expected_loss_ead_share: share(sum(covered.map(exposure)), ead),
    weighted_average_rate: weighed(rows, 'interest_rate'),
    weighted_average_pd_12m: weighed(rows, 'pd_12m'),
    weighted_average_pd_lifetime: weighed(rows, 'pd_lifetime'),
    weighted_average_lgd: weighed(rows, 'lgd'),
    weighted_average_age_months: weighed(rows, 'originated_on', (row) => of(monthsPassed(row.originated_on!, on))),
    weighted_average_remaining_months: weighed(rows, 'matures_on', (row) => of(monthsPassed(on, row.matures_on!))),
    par_30: behind(30),
    par_60: behind(60),
    par_90: behind(90),
    npl_balance: nonPerforming.shown(4),
    npl_ratio: share(nonPerforming, balance),
    default_rate: {
      by_count: share(of(bad.length), of(rows.length)),
      by_balance: share(amount(bad, 'balance'), balance),
      by_original_principal: share(amount(bad, 'original_principal'), principal),
    },
    loss_rate: share(lost.minus(recovered), principal),
    recovery_rate: share(recovered, lost),
  }
}

const bucketNames = ['0', '1-29', '30-59', '60-89', '90+']
export const bucketOf = (row: Row) =>
  has(row, 'days_past_due') ? bucketNames[[1, 30, 60, 90].filter((edge) => days(row) >= edge).length]! : 'unknown'

const decided = ['default', 'charged_off', 'paid', 'prepaid', 'sold']
export const rollState = (row: Row) => (decided.includes(row.status as string) ? (row.status as string) : bucketOf(row))
