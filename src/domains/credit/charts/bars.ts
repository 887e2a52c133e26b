import {
  black,
  type ChartSpec,
  chart,
  emptyChart,
  greys,
  type Heading,
  heads,
  noLoans,
  textOf,
  zeroLine,
} from './style.ts'
import { count, cut, distinct, percent, unitOf, widthOf } from './text.ts'

const labelMaxPx = 300
const barHeightPx = 24
const pictureWidthPx = 860
const ticks = 5
/** Widths of the columns beside the bars, from the end of one to that of the next. */
const columnPx = { share: 64, amount: 94, loans: 68 }
const marginPx = 24

/** A row of a chart of bars; `share` is that of the balance. One that is not `drawn` has its numbers and no bar. */
type Bar = {
  label: string
  balance: number
  share: number | null
  count: number
  fill: string
  apart?: boolean
  drawn?: boolean
}
type Bars = {
  /** What the bars stand for, such as `Ratings`, and what tells them apart. */
  what: string
  by: string
  axis: string
  bars: Bar[]
  notes: string[]
}

/**
 * Bars beneath each other, and beside each its share, its amount and its number of loans. Where no balance is known, the
 * bars and the shares are those of the loans.
 */
function barChart(heading: Heading, { what, by, axis, bars, notes }: Bars): ChartSpec {
  const drawn = bars.filter((bar) => bar.drawn !== false)
  const unit = unitOf(Math.max(...drawn.map(({ balance }) => Math.abs(balance))), heading.currency)
  const byBalance = bars.some(({ balance }) => balance !== 0)
  const labels = distinct(bars.map(({ label }) => cut(label, labelMaxPx)))
  const loans = bars.reduce((sum, bar) => sum + bar.count, 0)
  const values = bars.map(({ label: _, apart = false, fill, ...bar }, at) => {
    const share = byBalance ? shareOf(bar) : bar.count / loans
    const texts = { share_text: percent(share), amount_text: unit.text(bar.balance), loans_text: count(bar.count) }
    const length = bar.drawn === false ? 0 : byBalance ? bar.balance / unit.divisor : bar.count
    return { label: labels[at], balance: bar.balance, loans: bar.count, share, length, ...texts, fill, apart }
  })
  const besidePx = columnPx.share + (byBalance ? columnPx.amount : 0) + columnPx.loans
  const left = Math.max(110, 34 + Math.max(...[axis, ...labels].map((label) => widthOf(label))))
  const width = pictureWidthPx - left - besidePx - marginPx
  const layout = { left, right: besidePx + marginPx, top: 24, bottom: 56, width, height: barHeightPx * bars.length }
  const table = [
    { head: 'Share', field: 'share_text', at: width + columnPx.share },
    ...(byBalance ? [{ head: unit.name, field: 'amount_text', at: width + columnPx.share + columnPx.amount }] : []),
    { head: 'Loans', field: 'loans_text', at: width + besidePx },
  ]
  return chart(`${what}: ${byBalance ? 'balance' : 'loans'} by ${by}`, heading, layout, {
    notes: [...notes, ...(byBalance ? [] : ['No balance is known: the shares are those of the loans'])],
    layer: [
      heads([{ head: axis, at: -8 }, ...table], 12),
      { data: { values }, layer: barLayers(byBalance ? `Balance (${unit.name})` : 'Loans', labels, table) },
    ],
  })
}

/** Shares come rounded; what has a balance has some share of it. */
const shareOf = ({ share, balance }: Pick<Bar, 'share' | 'balance'>): number | null =>
  share === 0 ? Math.sign(balance) * Number.EPSILON : share

function barLayers(xTitle: string, labels: string[], table: { field: string; at: number }[]): object[] {
  const y = {
    field: 'label',
    type: 'nominal',
    title: null,
    axis: { ticks: false, domain: false, labelPadding: 8 },
    scale: { domain: labels, paddingInner: 0.3, paddingOuter: 0.15 },
  }
  const x = {
    field: 'length',
    type: 'quantitative',
    scale: { nice: ticks },
    axis: { title: xTitle, tickCount: ticks, tickMinStep: xTitle === 'Loans' ? 1 : 0, titlePadding: 10 },
  }
  const fill = { field: 'fill', type: 'nominal', scale: null }
  const strokeDash = { condition: { test: 'datum.apart', value: [3, 2] }, value: [1, 0] }
  return [
    {
      transform: [{ filter: 'datum.length !== 0' }],
      mark: { type: 'bar', stroke: black, strokeWidth: 0.75 },
      encoding: { y, x, fill, strokeDash },
    },
    zeroLine('x', x),
    ...table.map(({ field, at }) => ({
      mark: { type: 'text', align: 'right' },
      encoding: { y, x: { value: at }, ...textOf(field) },
    })),
  ]
}

/** Grey number `at` of `of`, from pale to black. */
const shade = (at: number, of: number): string =>
  greys[of <= 1 ? 0 : Math.round((at / (of - 1)) * (greys.length - 1))] as string

/** A bucket of days past due; the one of unknown days is not `known`. */
export type DelinquencyRow = { bucket: string; balance: number; share: number | null; count: number; known: boolean }

/** How far behind the loans are; what is not known comes last, dashed. */
export function delinquencyChart(heading: Heading, rows: readonly DelinquencyRow[], notes: string[] = []): ChartSpec {
  if (!rows.some((row) => row.count > 0)) return emptyChart('Delinquency by days past due', heading, noLoans)
  const known = rows.filter((row) => row.known).length
  const bars = rows.map(({ bucket, known: isKnown, ...row }, at) => ({
    ...row,
    label: bucket,
    fill: isKnown ? shade(at, known) : 'white',
    apart: !isKnown,
  }))
  return barChart(heading, { what: 'Delinquency', by: 'days past due', axis: 'Days past due', bars, notes })
}

/** A segment of its own, all that are not listed, or the loans that state none. */
export type ConcentrationRow = {
  segment: string
  balance: number
  share: number | null
  count: number
  kind: 'segment' | 'others' | 'none'
}

const noBalance = 'No balance is above 0, so there is nothing to draw.'

/**
 * The largest segments, what states none dashed. All the others have no bar: it would be so long that the rest were points.
 * @param field by which loans are told apart
 */
export function concentrationChart(
  heading: Heading,
  field: string,
  rows: readonly ConcentrationRow[],
  notes: string[] = [],
): ChartSpec {
  const by = cut(field.replace(/^attributes\./, '').replaceAll('_', ' '), labelMaxPx)
  if (rows.length === 0)
    return emptyChart(`Concentration by ${by}`, heading, heading.loan_count === 0 ? noLoans : noBalance)
  const bars = rows.map(({ segment, kind, ...row }) => ({
    ...row,
    label: segment,
    fill: kind === 'segment' ? greys[2] : 'white',
    apart: kind === 'none',
    drawn: kind !== 'others',
  }))
  const axis = `${by.slice(0, 1).toUpperCase()}${by.slice(1)}`
  return barChart(heading, { what: 'Concentration', by, axis, bars, notes })
}

/** A grade; `ordinal` is its place on the scale, null for what has none. */
export type RatingRow = {
  grade: string
  ordinal: number | null
  count: number
  balance: number
  share: number | null
  kind: 'grade' | 'default' | 'off_scale' | 'unrated'
}

/** The grades from the best to default; what has no place on the scale comes last, dashed. */
export function ratingChart(heading: Heading, rows: readonly RatingRow[], notes: string[] = []): ChartSpec {
  if (!rows.some((row) => row.count > 0)) return emptyChart('Ratings by grade', heading, noLoans)
  const fills = { grade: greys[1], default: greys[4], off_scale: 'white', unrated: 'white' }
  const bars = rows.map(({ grade, kind, ordinal: _, ...row }) => ({
    ...row,
    label: kind === 'off_scale' ? `${grade} (not on the scale)` : grade,
    fill: fills[kind],
    apart: kind === 'off_scale' || kind === 'unrated',
  }))
  return barChart(heading, { what: 'Ratings', by: 'grade', axis: 'Grade', bars, notes })
}
