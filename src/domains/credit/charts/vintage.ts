import { type ChartSpec, chart, emptyChart, type Heading, heads, pixels, textOf, zeroLine } from './style.ts'
import { count, distinct, percent } from './text.ts'

/** Loans that were originated together, and the share reached at each age; null where that is not known yet. */
export type Vintage = { cohort: string; count: number; points: { month: number; share: number | null }[] }

type Point = { month: number; share: number }
type Known = { cohort: string; count: number; points: Point[] }

const cohortsMax = 25
const pointsMax = 48
const rowPx = 15
const size = { width: 600, height: rowPx * cohortsMax }
const layout = { left: 64, right: 256, top: 32, bottom: 56, ...size }
/** Cohorts of fewer loans are drawn thin beside others: one loan more or less moves them by several per cent. */
const fewLoans = 30
const lineStyles = [
  [1, 0],
  [6, 3],
  [2, 2],
  [9, 3, 2, 3],
]
const lineGreys = ['#000000', '#707070', '#404040']
const shapes = ['circle', 'square', 'triangle-up', 'diamond', 'cross']
/** The table beside the plot: where a piece of each line stands again, and the right ends of the columns. */
const piece = { from: size.width + 26, to: size.width + 60 }
const columns = { cohort: size.width + 116, share: size.width + 170, loans: size.width + 232 }

/**
 * A line for each cohort, which leads to a table beside the plot: a piece of the line, the cohort, its last share, its
 * loans. Of more cohorts than fit the newest are drawn; of long lines every second, third … month.
 * @param what the measure, such as `Cumulative default rate`
 * @param of what its shares are shares of
 */
export function vintageChart(
  heading: Heading,
  { what, of }: { what: string; of: string },
  cohorts: readonly Vintage[],
  notes: string[] = [],
): ChartSpec {
  const title = `Vintages: ${what.toLowerCase()} by months on book`
  const known = cohorts.map(knownOf).filter(({ points }) => points.length > 0)
  if (known.length === 0) return emptyChart(title, heading, 'No cohort has a month on book yet: nothing to draw.')
  const shown = known.slice(-cohortsMax)
  const small = shown.filter((cohort) => cohort.count < fewLoans)
  const thin = small.length < shown.length ? small : []
  const own = [
    ...(known.length > shown.length ? [`The newest ${shown.length} of ${known.length} cohorts`] : []),
    ...(thin.length > 0 ? [`Thin lines: cohorts of fewer than ${fewLoans} loans`] : []),
  ]
  return chart(title, heading, layout, {
    notes: [...own, ...notes],
    layer: layersOf(`${what} (% of ${of})`, shown, thin),
  })
}

const knownOf = ({ points, ...cohort }: Vintage): Known => ({
  ...cohort,
  points: points.filter((point): point is Point => point.share !== null),
})

function layersOf(yTitle: string, cohorts: Known[], thin: Known[]): object[] {
  const points = cohorts.flatMap((cohort) => cohort.points)
  const lastMonth = Math.max(1, ...points.map(({ month }) => month))
  const shares = points.map(({ share }) => share)
  const [lowest, highest] = [Math.min(0, ...shares), Math.max(0.01, ...shares) * 1.05]
  const names = distinct(cohorts.map(({ cohort }) => cohort))
  const atX = (month: number) => (size.width * month) / lastMonth
  const atY = (share: number) => (size.height * (highest - share)) / (highest - lowest)

  const ends = cohorts.map(({ points }) => points.at(-1) as Point)
  const rows = spread(
    ends.map(({ share }) => atY(share)),
    rowPx,
    size.height,
  )
  const labels = cohorts.map((cohort, at) => {
    const { month, share } = ends[at] as Point
    const texts = { name: names[at], share_text: percent(share), loans_text: count(cohort.count) }
    return {
      cohort: names[at],
      month,
      share,
      loans: cohort.count,
      thin: thin.includes(cohort),
      ...texts,
      row: rows[at],
    }
  })
  const step = Math.ceil((lastMonth + 1) / pointsMax)
  const lines = cohorts.flatMap((cohort, at) =>
    every(step, cohort.points).map((one) => ({ cohort: names[at], thin: thin.includes(cohort), ...one })),
  )
  const leaders = ends.flatMap(({ month, share }, at) => [
    { cohort: names[at], x: atX(month), y: atY(share) },
    { cohort: names[at], x: size.width, y: atY(share) },
    { cohort: names[at], x: piece.from - 3, y: rows[at] },
  ])

  const x = axis('month', 'Months on book', [0, lastMonth], { grid: false, values: ticksOf(lastMonth) })
  const format = highest - lowest < 0.045 ? '.1%' : '.0%'
  const y = axis('share', null, [lowest, highest], { format, tickCount: 6, domain: false })
  const by = (range: unknown[]) => cycle(names, range)
  const strokeWidth = { condition: { test: 'datum.thin', value: 0.75 }, value: 1.75 }
  const line = { strokeDash: by(lineStyles), stroke: by(lineGreys), strokeWidth }
  const marker = { type: 'point', filled: false, fill: 'white', size: 44, strokeWidth: 1.25, opacity: 1 }
  const marked = { shape: by(shapes), stroke: by(lineGreys) }
  const row = pixels('row')
  return [
    {
      data: { values: leaders },
      mark: { type: 'line', stroke: '#b3b3b3', strokeWidth: 0.6 },
      encoding: { x: pixels('x'), y: pixels('y'), detail: { field: 'cohort' } },
    },
    ...(lowest < 0 ? [zeroLine('y', y)] : []),
    { data: { values: lines }, mark: 'line', encoding: { x, y, ...line } },
    {
      data: { values: labels },
      layer: [
        { mark: marker, encoding: { x, y, ...marked } },
        { mark: 'rule', encoding: { x: { value: piece.from }, x2: { value: piece.to }, y: row, ...line } },
        { mark: marker, encoding: { x: { value: (piece.from + piece.to) / 2 }, y: row, ...marked } },
        column('name', columns.cohort, row),
        column('share_text', columns.share, row),
        column('loans_text', columns.loans, row),
      ],
    },
    heads([{ head: yTitle, at: 16 - layout.left }], 18, 'left'),
    heads(
      [
        { head: 'Cohort', at: columns.cohort },
        { head: 'Latest', at: columns.share },
        { head: 'Loans', at: columns.loans },
      ],
      18,
    ),
  ]
}

/** Every `step`th month and the last one, which the label tells. */
const every = (step: number, points: Point[]) =>
  points.filter(({ month }, at) => month % step === 0 || at === points.length - 1)

/** Months, quarters, years or several years, so that a dozen ticks or fewer are left. */
function ticksOf(lastMonth: number): number[] {
  const step = [1, 3, 6, 12, 24, 60].find((months) => lastMonth / months <= 12) ?? 120
  return Array.from({ length: Math.floor(lastMonth / step) + 1 }, (_, at) => at * step)
}

const axis = (field: string, title: string | null, domain: number[], more: object) => ({
  field,
  type: 'quantitative',
  scale: { domain, nice: false },
  axis: { title, titlePadding: 10, ...more },
})

/** Gives each cohort the next value of the range, which begins anew at its end. */
const cycle = (names: string[], range: unknown[]) => ({
  field: 'cohort',
  type: 'nominal',
  scale: { domain: names, range: names.map((_, at) => range[at % range.length]) },
  legend: null,
})

const column = (field: string, x: number, y: object) => ({
  mark: { type: 'text', align: 'right' },
  encoding: { x: { value: x }, y, ...textOf(field) },
})

/**
 * Where labels go so that none lies on another: each as near as possible to where it would be, in the same order.
 * @param wanted in pixels from the top
 */
export function spread(wanted: readonly number[], gap: number, height: number): number[] {
  const order = wanted.map((_, at) => at).sort((a, b) => (wanted[a] as number) - (wanted[b] as number) || a - b)
  const placed: number[] = []
  let next = 0
  for (const at of order) {
    placed[at] = Math.max(next, wanted[at] as number)
    next = (placed[at] as number) + gap
  }
  let limit = height
  for (const at of order.reverse()) {
    placed[at] = Math.min(limit, placed[at] as number)
    limit = (placed[at] as number) - gap
  }
  return placed
}
