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
}

/**
 * Pixels around the plot, and its size; the picture's size is their sum, whatever fonts the reader has. `top` is what
 * stands between the title and the plot.
 */
export type Layout = { left: number; right: number; top: number; bottom: number; width: number; height: number }

const fontSize = 11
const marginPx = 16
const lineHeightPx = 16
const titlePx = 44

export const black = '#000000'
/** From pale to black; neighbours differ on any printer. */
export const greys = ['#e6e6e6', '#bdbdbd', '#8c8c8c', '#595959', '#1f1f1f'] as const

/**
 * Text that any XML reader and any line of a picture can hold: no control, formatting or unpaired characters, one line,
 * at most `max` characters, the last of them an ellipsis where it was longer.
 */
export function plain(text: string, max: number): string {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  const characters = [...line]
  return characters.length <= max ? line : `${characters.slice(0, max - 1).join('')}…`
}

/** The labels, each made unlike those before it, so that two rows never share a place on an axis. */
export function distinct(labels: readonly string[]): string[] {
  const seen = new Set<string>()
  return labels.map((label) => {
    let name = label
    for (let n = 2; seen.has(name); n++) name = `${label} (${n})`
    seen.add(name)
    return name
  })
}

/** Pixels that a text takes at most in common sans-serif fonts; there is no font on a server to measure it with. */
export const widthOf = (text: string, size = fontSize): number => {
  let ems = 0
  for (const character of text) ems += /[A-Z0-9%@&]/.test(character) ? 0.72 : character < '\u0250' ? 0.62 : 1
  return Math.ceil(ems * size)
}

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** `4,999` */
export const count = (value: number): string => numbers.format(value)

/** `12.3%`; a dash where there is no share. */
export const percent = (share: number | null): string => (share === null ? '–' : `${tenths.format(share * 100)}%`)

export const noLoans = 'No loan matches, so there is nothing to draw.'

/** `4,999 loans`, `1 loan` */
export const loansText = (loans: number): string => `${count(loans)} ${loans === 1 ? 'loan' : 'loans'}`

/**
 * The unit in which amounts up to `max` have two to five digits before the point: what to divide by, its name, and how an
 * amount is written in it.
 */
export function unitOf(max: number, currency: string) {
  const [divisor, word] = units.find(([size]) => max >= 10 * size) ?? [1, '']
  const format = divisor === 1 ? numbers : tenths
  return {
    divisor,
    name: `${currency}${word && ` ${word}`}`,
    text: (amount: number) => format.format(amount / divisor),
  }
}
const units = [
  [1e12, 'trillion'],
  [1e9, 'billion'],
  [1e6, 'million'],
  [1e3, 'thousand'],
] as const

/** A chart of what is drawn in `layer`, under a title that says what it is and of which loans. */
export function chart(
  title: string,
  heading: Heading,
  { left, right, top, bottom, width, height }: Layout,
  { layer, notes = [] }: { layer: object[]; notes?: string[] },
): ChartSpec {
  const lines = [stateOf(heading), ...filterOf(heading), ...notes].map((line) => plain(line, 120))
  const above = titlePx + lineHeightPx * lines.length + top
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: plain([title, ...lines].join('. '), 600),
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
      mark: { ...mark, fontSize: 12, color: '#333333' },
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

/** `SBA 7(a) loans · as of 2024-01-31 · 4,999 loans` */
const stateOf = ({ portfolio, on, known_at, loan_count }: Heading): string => {
  const known = known_at === null ? '' : ` as known at ${known_at}`
  return `${plain(portfolio, 60)} · as of ${on}${known} · ${loansText(loan_count)}`
}

const filterOf = ({ filter }: Heading): string[] => {
  const conditions = Object.entries(filter).map(([name, value]) => `${name} = ${plain(String(value), 40)}`)
  return conditions.length === 0 ? [] : [`Filter: ${conditions.join(', ')}`]
}

/** A chart of nothing, which says so. */
export function emptyChart(title: string, heading: Heading, message: string): ChartSpec {
  const layout = { left: marginPx, right: marginPx, top: 0, bottom: marginPx, width: 700, height: 120 }
  const mark = { type: 'text', fontSize: 14, align: 'center', color: '#404040' }
  const at = { x: { value: layout.width / 2 }, y: { value: layout.height / 2 } }
  return chart(title, heading, layout, {
    layer: [{ data: { values: [{ message }] }, mark, encoding: { ...at, text: { field: 'message' } } }],
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
