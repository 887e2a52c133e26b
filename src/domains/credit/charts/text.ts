/** The size of a chart's labels and figures, in pixels. */
export const fontSize = 11

/**
 * One line that any XML reader can hold, with no control or formatting characters. Joiners stay, which words of Persian
 * and emoji are made with; of more than four marks on one letter, which would reach into other rows, the rest goes.
 */
export const plain = (text: string): string =>
  text
    .toWellFormed()
    .replace(/(?![\u200C\u200D])\p{Cf}/gu, '')
    .replace(/[\p{Cc}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .trim()

const marks = /\p{M}|[\u200C\u200D]/u
const widths: [RegExp, number][] = [
  [marks, 0],
  [/\p{Extended_Pictographic}/u, 1.4],
  [/[@MWm%—…]/, 1.02],
  [/[A-Zw#&+<=>^~−]/, 0.84],
  [/[ijl'|.,:;· fIrt()[\]!-]/, 0.42],
  [/[\u0020-\u024F]/, 0.64],
  [/[\u0370-\u052F]/, 0.9],
]
const otherWidth = 1.05

/**
 * Pixels that a text takes at most in common sans-serif fonts, of which DejaVu Sans is the widest; there is no font on a
 * server to measure it with.
 */
export const widthOf = (text: string, size = fontSize): number => {
  let ems = 0
  for (const character of text) ems += widths.find(([kind]) => kind.test(character))?.[1] ?? otherWidth
  return Math.ceil(ems * size)
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** The text in one line, at most so wide; the last character is an ellipsis where it was wider. */
export function cut(text: string, widthPx: number, size = fontSize): string {
  const line = plain(text)
  if (widthOf(line, size) <= widthPx) return line
  let kept = ''
  for (const { segment } of graphemes.segment(line)) {
    if (widthOf(`${kept}${segment}…`, size) > widthPx) break
    kept += segment
  }
  return `${kept.trimEnd()}…`
}

/** The text in as many lines as it takes; words that are wider than a line are cut. */
export function wrap(text: string, widthPx: number, size: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of plain(text).split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (widthOf(longer, size) <= widthPx) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    line = cut(word, widthPx, size)
  }
  return [...lines, line]
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

const wholes = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** What rounding would make nothing of is said to be less than the smallest number that is written. */
function written(value: number, format: Intl.NumberFormat, smallest: string): string {
  const text = format.format(value)
  if (value === 0) return text.replace('-', '')
  if (Number(text) === 0) return value > 0 ? `<${smallest}` : `>−${smallest}`
  return text.replace('-', '−')
}

/** `4,999` */
export const count = (value: number): string => wholes.format(value)

/** `4,999 loans`, `1 loan` */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** `12.3%`; `<0.1%` and `>99.9%` for what is not nothing, or not all of it; a dash where there is no share. */
export function percent(share: number | null): string {
  if (share === null) return '–'
  const text = written(share * 100, tenths, '0.1')
  return share < 1 && text === '100.0' ? '>99.9%' : `${text}%`
}

/**
 * The unit in which amounts up to `max` have two to five digits before the point: what to divide by, its name, and how an
 * amount is written in it.
 */
export function unitOf(max: number, currency: string) {
  const [divisor, word] = units.find(([size]) => max >= 10 * size) ?? [1, '']
  return {
    divisor,
    name: `${currency}${word && ` ${word}`}`,
    text: (amount: number) => (divisor === 1 ? written(amount, wholes, '1') : written(amount / divisor, tenths, '0.1')),
  }
}
const units = [
  [1e12, 'trillion'],
  [1e9, 'billion'],
  [1e6, 'million'],
  [1e3, 'thousand'],
] as const
