import { counted, cut, fontSize, plain, wrap } from './text.ts'

/** A Vega-Lite specification with its data inside. */
export type ChartSpec = Record<string, unknown>

/** What every chart says of the loans it shows. */
export type Heading = {
  portfolio: string
  currency: string
  /** The date of the state, `YYYY-MM-DD`. */
  on: string
  known_at: string | null
  filter: Record<string, string | number>
  loan_count: number
  /** Which loans were counted, where that is not all that pass the filter, such as `open on 2024-02-29`. */
  which?: string
}

/**
 * Pixels around the plot, and its size; the picture's size is their sum, whatever fonts the reader has. `top` is what
 * stands between the title and the plot.
 */
export type Layout = { left: number; right: number; top: number; bottom: number; width: number; height: number }

const marginPx = 16
const lineHeightPx = 16
const lineSize = 12
const titlePx = 44
/** Titles are wider than a plot of two columns. */
const pictureWidthMinPx = 640

export const black = '#000000'
/** From pale to black; neighbours differ on any printer. */
export const greys = ['#e6e6e6', '#bdbdbd', '#8c8c8c', '#595959', '#1f1f1f'] as const

export const noLoans = 'No loan matches, so there is nothing to draw.'

/** A chart of what is drawn in `layer`, under a title that says what it is and of which loans. */
export function chart(
  title: string,
  heading: Heading,
  { left, right: least, top, bottom, width, height }: Layout,
  { layer, notes = [] }: { layer: object[]; notes?: string[] },
): ChartSpec {
  const right = Math.max(least, pictureWidthMinPx - left - width)
  const textWidth = left + width + right - 2 * marginPx
  const said = [stateOf(heading), ...filterOf(heading), ...notes]
  const lines = said.flatMap((line) => wrap(line, textWidth, lineSize))
  const above = titlePx + lineHeightPx * lines.length + top
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: [title, ...said].map(plain).join('. '),
    background: 'white',
    width,
    height,
    autosize: 'none',
    padding: { left, right, top: above, bottom },
    config,
    layer: [...titleLayers([title, ...lines], marginPx - left, -above), ...layer],
  }
}

/** Text at fixed places: a title of Vega's own moves with what else is drawn, and may then lie outside the picture. */
function titleLayers([title, ...lines]: string[], left: number, top: number): object[] {
  const at = (y: number, text: string | undefined) => ({ text, x: left, y: top + y })
  const encoding = { x: pixels('x'), y: pixels('y'), ...textOf('text') }
  const mark = { type: 'text', align: 'left' }
  return [
    { data: { values: [at(22, title)] }, mark: { ...mark, fontSize: 16, fontWeight: 'bold' }, encoding },
    {
      data: { values: lines.map((line, n) => at(titlePx + lineHeightPx * n, line)) },
      mark: { ...mark, fontSize: lineSize, color: '#333333' },
      encoding,
    },
  ]
}

/** A field that is written, and read aloud as it is written. */
export const textOf = (field: string) => ({ text: { field }, description: { field } })

/** A field that holds pixels. */
export const pixels = (field: string) => ({ field, type: 'quantitative', scale: null })

/** Names above columns, each where its column's text begins or ends. @param y pixels above the plot */
export const heads = (columns: { head: string; at: number }[], y: number, align: 'left' | 'right' = 'right') => ({
  data: { values: columns.map(({ head, at }) => ({ head, at })) },
  mark: { type: 'text', align, fontWeight: 'bold' },
  encoding: { x: pixels('at'), y: { value: -y }, ...textOf('head') },
})

/** The line from which bars and curves are to be measured, where the plot's edge is another one. */
export const zeroLine = (channel: 'x' | 'y', axis: object) => ({
  data: { values: [{ zero: 0 }] },
  mark: { type: 'rule', color: '#404040' },
  encoding: { [channel]: { ...axis, field: 'zero' } },
})

/** `SBA 7(a) loans · as of 2024-01-31 · 4,999 loans` */
const stateOf = ({ portfolio, on, known_at, loan_count, which }: Heading): string => {
  const known = known_at === null ? '' : ` as known at ${known_at}`
  const loans = counted(loan_count, 'loan') + (which === undefined ? '' : ` ${which}`)
  return `${cut(portfolio, 800, lineSize)} · as of ${on}${known} · ${loans}`
}

const filterOf = ({ filter }: Heading): string[] => {
  const conditions = Object.entries(filter).map(([name, value]) => `${name} = ${cut(String(value), 300, lineSize)}`)
  return conditions.length === 0 ? [] : [`Filter: ${conditions.join(', ')}`]
}

/** A chart of nothing, which says so. */
export function emptyChart(title: string, heading: Heading, message: string, notes: string[] = []): ChartSpec {
  const layout = { left: marginPx, right: marginPx, top: 0, bottom: marginPx, width: 700, height: 120 }
  const mark = { type: 'text', fontSize: 14, align: 'center', color: '#404040' }
  const at = { x: { value: layout.width / 2 }, y: { value: layout.height / 2 } }
  return chart(title, heading, layout, {
    notes,
    layer: [{ data: { values: [{ message }] }, mark, encoding: { ...at, ...textOf('message') } }],
  })
}

const config = {
  font: 'sans-serif',
  view: { stroke: null },
  axis: {
    labelColor: black,
    labelFontSize: fontSize,
    labelLimit: 0,
    labelFlush: false,
    titleColor: black,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titleLimit: 0,
    domainColor: '#404040',
    tickColor: '#404040',
    gridColor: '#dddddd',
  },
  text: { fontSize, color: black, baseline: 'middle' },
}
