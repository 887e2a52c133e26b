import { black, type ChartSpec, chart, emptyChart, type Heading, heads } from './style.ts'
import { counted, percent, widthOf } from './text.ts'

/** What share of what was in `from` was in `to` at the end, and how many loans that were. */
export type RollRow = { from: string; to: string; share: number | null; count: number }

const cellPx = { gap: 12, widthMax: 92, height: 34 }
const plotWidthPx = 640
/** From this share on, white is read more easily than black. */
const darkFrom = 0.64

/**
 * States at the beginning × states at the end, with the share in each cell; the darker, the greater.
 * @param of what is counted, such as `balance`
 * @param states in the order of their severity
 */
export function rollRateChart(
  heading: Heading,
  { from, to, of, states }: { from: string; to: string; of: string; states: readonly string[] },
  rows: readonly RollRow[],
  notes: string[] = [],
): ChartSpec {
  const title = `Roll rates: ${of} from ${from} to ${to}`
  const loansIn = (state: string) => rows.reduce((sum, row) => sum + (row.from === state ? row.count : 0), 0)
  const begun = states.filter((state) => loansIn(state) > 0)
  if (begun.length === 0) return emptyChart(title, heading, `No loan was open on ${from}: nothing to draw.`, notes)
  const ended = states.filter((state) => begun.includes(state) || rows.some((row) => row.to === state && row.count > 0))
  const labelOf = (state: string) => `${state} (${counted(loansIn(state), 'loan')})`
  const labels = begun.map(labelOf)
  const cellWidth = Math.max(
    ...ended.map((state) => widthOf(state) + cellPx.gap),
    Math.min(cellPx.widthMax, Math.floor(plotWidthPx / ended.length)),
  )
  const head = `On ${from}`
  const layout = {
    left: 34 + Math.max(...[head, ...labels].map((label) => widthOf(label))),
    right: 32,
    top: 52,
    bottom: 20,
    width: cellWidth * ended.length,
    height: cellPx.height * begun.length,
  }
  const values = rows
    .filter((row) => begun.includes(row.from) && ended.includes(row.to))
    .map((row) => ({
      ...row,
      from: labelOf(row.from),
      text: row.share === 0 ? '–' : percent(row.share),
      stayed: row.from === row.to,
    }))
  return chart(title, heading, layout, {
    notes: [`Along a row: the share of its ${of} that went to each state. Outlined: what stayed`, ...notes],
    layer: [
      heads([{ head, at: -8 }], 14),
      heads([{ head: `On ${to}`, at: 0 }], 36, 'left'),
      { data: { values }, encoding: axesOf(labels, ended), layer: cells },
    ],
  })
}

function axesOf(rows: string[], columns: string[]) {
  const axis = { title: null, ticks: false, domain: false, labelPadding: 8 }
  const state = (field: string, domain: string[], more: object) => ({
    field,
    type: 'nominal',
    scale: { domain, padding: 0 },
    axis: { ...axis, ...more },
  })
  return { x: state('to', columns, { orient: 'top', labelAngle: 0 }), y: state('from', rows, {}) }
}

const cells = [
  {
    mark: { type: 'rect', stroke: '#bdbdbd', strokeWidth: 0.5 },
    encoding: {
      fill: {
        field: 'share',
        type: 'quantitative',
        scale: { domain: [0, 1], range: ['#ffffff', '#262626'] },
        legend: null,
      },
    },
  },
  {
    transform: [{ filter: 'datum.stayed' }],
    mark: { type: 'rect', fill: null, stroke: black, strokeWidth: 1.5 },
  },
  {
    mark: { type: 'text' },
    encoding: {
      text: { field: 'text' },
      color: { condition: { test: `datum.share > ${darkFrom}`, value: 'white' }, value: black },
    },
  },
]
