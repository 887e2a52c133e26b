import { describe, expect, test } from 'vitest'
import { concentrationChart, delinquencyChart, ratingChart } from '../../../../src/domains/credit/charts/bars.ts'
import { svgOf } from '../../../../src/domains/credit/charts/render.ts'
import { rollRateChart } from '../../../../src/domains/credit/charts/roll-rate.ts'
import {
  concentrationNotes,
  concentrationRows,
  parNotes,
  ratingRows,
  stateNames,
} from '../../../../src/domains/credit/charts/rules.ts'
import type { ChartSpec } from '../../../../src/domains/credit/charts/style.ts'
import { cut } from '../../../../src/domains/credit/charts/text.ts'
import { spread, type Vintage, vintageChart } from '../../../../src/domains/credit/charts/vintage.ts'

const heading = { portfolio: 'Book', currency: 'USD', on: '2024-01-31', known_at: null, filter: {}, loan_count: 3 }
const vintageWords = { what: 'Cumulative default rate', of: 'loans' }

/** The texts of a picture, in the order in which they are drawn. */
const textsOf = (svg: string) => Array.from(svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g), ([, text]) => text)

/** The elements and the names of the attributes of a picture. */
const markupOf = (svg: string) => {
  const tags = Array.from(svg.matchAll(/<([^\s/>]+)([^>]*)>/g), ([, name, attributes]) => [name, attributes] as const)
  const attributes = tags.flatMap(([, text]) =>
    Array.from((text as string).matchAll(/([\w:-]+)="[^"]*"/g), ([, name]) => name),
  )
  return { elements: [...new Set(tags.map(([name]) => name))].sort(), attributes: [...new Set(attributes)] }
}

type Encoding = { [channel in 'strokeDash' | 'stroke' | 'shape']: { scale: { range: unknown[] } } }
/** The encoding of the layer that has such a channel. */
const encodingWith = (spec: ChartSpec, channel: keyof Encoding): Encoding => {
  type Layer = { encoding?: Encoding; layer?: Layer[] }
  const flat = (layers: Layer[]): Layer[] => layers.flatMap((one) => [one, ...flat(one.layer ?? [])])
  return flat(spec.layer as Layer[]).find(({ encoding }) => encoding?.[channel])?.encoding as Encoding
}

/** So many cohorts of 20 years, the largest that is ever drawn. */
const cohortsOf = (cohorts: number): Vintage[] =>
  Array.from({ length: cohorts }, (_, n) => ({
    cohort: String(1990 + n),
    count: 10 + n,
    points: Array.from({ length: 241 }, (_, month) => ({ month, share: (month * (n + 1)) / 10_000 })),
  }))

describe('labels beside the lines', () => {
  test('lie where their lines end, and move only as far as they must', () => {
    expect(spread([50, 10], 15, 100)).toEqual([50, 10])
    // The second is moved down to keep 15 pixels, the last two up from the edge.
    expect(spread([10, 12, 95, 99], 15, 100)).toEqual([10, 25, 85, 100])
  })
})

describe('the rows of a chart', () => {
  test('of concentration end with all that is not among the largest', () => {
    const row = (segment: string | null, balance: string, share: string, cumulative_share: string) => ({
      ...{ segment, balance, share, cumulative_share, count: 2 },
    })
    const top = [row('A', '600.0000', '0.600000', '0.600000'), row(null, '250.0000', '0.250000', '0.850000')]
    const found = { top, balance: '1000.0000', loan_count: 9, segment_count: 5, hhi: '0.43' }
    expect(concentrationRows(found)).toEqual([
      { segment: 'A', kind: 'segment', balance: 600, share: 0.6, count: 2 },
      { segment: 'Not stated', kind: 'none', balance: 250, share: 0.25, count: 2 },
      { segment: 'All others', kind: 'others', balance: 150, share: expect.closeTo(0.15), count: 5 },
    ])
    expect(concentrationRows({ ...found, segment_count: 2 })).toHaveLength(2)
  })

  test('of ratings follow the scale, then what is not on it, then what is not rated', () => {
    const found = ['Baa1', 'D', null, 'A'].map((rating) => ({ rating, count: 1, balance: '5', share: '0.25' }))
    const scale = ['D', 'B', 'A'].map((grade, at) => ({ grade, ordinal: 3 - at, is_default: grade === 'D' }))
    const rows = ratingRows(found, scale)
    expect(rows.map(({ grade, kind, count }) => [grade, kind, count])).toEqual([
      ['A', 'grade', 1],
      ['B', 'grade', 0],
      ['D', 'default', 1],
      ['Baa1', 'off_scale', 1],
      ['Not rated', 'unrated', 1],
    ])
    expect(ratingRows(found, null).map(({ grade }) => grade)).toEqual(['A', 'Baa1', 'D', 'Not rated'])
  })

  test('of very many ratings off the scale are folded', () => {
    const found = Array.from({ length: 40 }, (_, n) => ({ rating: `R${n}`, count: 1, balance: '1', share: '0.025' }))
    const rows = ratingRows(found, [])
    expect(rows).toHaveLength(13)
    expect(rows.at(-1)).toMatchObject({ grade: '28 others', count: 28, balance: 28 })
  })
})

describe('the notes of a chart', () => {
  test('of what is past due tell how much of the balance nobody knows it of', () => {
    const par = { par_30: '0.100000', par_60: '0.000000', par_90: '0.000000' }
    const bucket = (from: number | null, share_by_balance: string) => ({
      ...{ from, to: null, count: 1, balance: '1', share_by_balance },
    })
    const told = 'PAR30 10.0%, PAR60 0.0%, PAR90 0.0%: balance more than so many days past due'
    expect(parNotes({ ...par, buckets: [bucket(0, '1.000000'), bucket(null, '0.000000')] })).toEqual([told])
    expect(parNotes({ ...par, buckets: [bucket(0, '0.600000'), bucket(null, '0.400000')] })).toEqual([
      `${told}; of 40.0% the days are not stated`,
    ])
  })

  test('of concentration say what the largest hold, unless they are all', () => {
    const top = ['0.400000', '0.700000'].map((cumulative_share) => ({
      ...{ segment: 'A', count: 1, balance: '1', share: '0.400000', cumulative_share },
    }))
    const found = { top, balance: '1', loan_count: 3, segment_count: 3, hhi: '0.25' }
    expect(concentrationNotes(found)).toEqual(['3 segments, HHI 0.2500; the largest 2 hold 70.0%'])
    expect(concentrationNotes({ ...found, top: top.slice(0, 1) })[0]).toMatch(/; the largest holds 40.0%$/)
    expect(concentrationNotes({ ...found, segment_count: 2 })).toEqual(['2 segments, HHI 0.2500'])
  })

  test('and the states of a roll rate have the names that the delinquency chart gives them', () => {
    expect(stateNames(['0', '1-29', '30', '31+', 'unknown', 'charged_off'])).toEqual([
      ...['Not past due', '1–29', '30', '31 and more', 'Not stated', 'Charged off'],
    ])
  })
})

describe('a picture', () => {
  const segment = (name: string) => ({
    ...{ segment: name, kind: 'segment' as const, balance: 1, share: 0.5, count: 1 },
  })

  test('shows names as they are, however hostile, and runs and loads nothing', async () => {
    const names = [
      '<script>alert(1)</script>',
      '"><image href="http://evil/x"/>',
      "A & B's",
      ']]>',
      '=1+1',
      'x'.repeat(99),
    ]
    const spec = concentrationChart({ ...heading, portfolio: '<b>&amp;' }, 'attributes.<i>', names.map(segment))
    const svg = await svgOf(spec)
    const { elements, attributes } = markupOf(svg)
    expect(elements).toEqual(['g', 'line', 'path', 'rect', 'svg', 'text'])
    expect(attributes.filter((name) => /href|style|^on|src/i.test(name as string))).toEqual([])
    expect(svg).not.toContain('url(')
    const texts = textsOf(svg)
    for (const shown of [
      '&lt;script&gt;alert(1)&lt;/script&gt;',
      "A &amp; B's",
      ']]&gt;',
      '=1+1',
      cut('x'.repeat(99), 300),
    ])
      expect(texts).toContain(shown)
    expect(texts).toContain('Concentration: balance by &lt;i&gt;')
    expect(texts).toContain('&lt;b&gt;&amp;amp; · as of 2024-01-31 · 3 loans')
  })

  test('never takes a name for an expression', async () => {
    const name = "datum['label'] + ' ' + 1"
    expect(textsOf(await svgOf(concentrationChart(heading, 'sector', [segment(name)])))).toContain(name)
  })

  test('is the same to the byte for the same figures', async () => {
    const spec = () => vintageChart(heading, vintageWords, cohortsOf(3))
    const first = await svgOf(spec())
    await svgOf(concentrationChart(heading, 'sector', [segment('A')]))
    expect(await svgOf(spec())).toBe(first)
  })

  test('of what is past due says each share, amount and number of loans, also where a bar would be too small', async () => {
    const row = (bucket: string, balance: number, share: number, count: number, known = true) => ({
      ...{ bucket, balance, share, count, known },
    })
    const rows = [
      row('Not past due', 95_000, 0.95, 1_200),
      row('90 and more', 0, 0, 0),
      row('Not stated', 5_000, 0.05, 1, false),
    ]
    const texts = textsOf(await svgOf(delinquencyChart(heading, rows)))
    for (const shown of ['95.0%', '95.0', '1,200', '0.0%', '5.0%', '5.0', 'Balance (USD thousand)'])
      expect(texts).toContain(shown)
  })

  test('of the largest segments is not dwarfed by all the others, which have their numbers', async () => {
    const others = { ...segment('All others'), kind: 'others' as const, balance: 5_000_000 }
    const spec = concentrationChart(heading, 'sector', [{ ...segment('A'), balance: 20_000 }, others])
    const texts = textsOf(await svgOf(spec))
    expect(texts).toEqual(expect.arrayContaining(['Balance (USD thousand)', '20.0', 'All others', '5,000.0']))
    expect(texts).not.toContain('5,000')
  })

  test('of balances too small for a bar says that they are there', async () => {
    const rows = [987_654_321_098_765, 1].map((balance, at) => ({
      ...{ ...segment(`S${at}`), balance, share: at === 0 ? 1 : 0 },
    }))
    const texts = textsOf(await svgOf(concentrationChart(heading, 'sector', rows)))
    expect(texts).toEqual(expect.arrayContaining(['987.7', '&lt;0.1', '&lt;0.1%']))
  })

  test('says every condition of its filter, in as many lines as that takes', async () => {
    const filter = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`condition_${n}`, 'of some length']))
    const texts = textsOf(await svgOf(delinquencyChart({ ...heading, filter }, []))).join(' ')
    for (const name of Object.keys(filter)) expect(texts).toContain(`${name} = of some length`)
  })

  test('without any balance is of the loans, and says so', async () => {
    const rows = [3, 1].map((count, at) => ({ bucket: `B${at}`, balance: 0, share: null, count, known: true }))
    const texts = textsOf(await svgOf(delinquencyChart(heading, rows)))
    expect(texts).toEqual(expect.arrayContaining(['Delinquency: loans by days past due', '75.0%', '25.0%']))
    expect(texts).toContain('No balance is known: the shares are those of the loans')
  })

  test('of 30 vintages draws the newest 25, each with a look of its own and a place for its name', async () => {
    const spec = vintageChart(heading, vintageWords, cohortsOf(30))
    const svg = await svgOf(spec)
    const texts = textsOf(svg)
    expect(texts).toContain('The newest 25 of 30 cohorts')
    expect(texts).not.toContain('1994')
    expect(texts).toContain('1995')
    expect(texts).toContain('2019')
    const { strokeDash, stroke } = encodingWith(spec, 'strokeDash')
    const { shape } = encodingWith(spec, 'shape')
    const looks = strokeDash.scale.range.map((dash, at) =>
      String([dash, stroke.scale.range[at], shape.scale.range[at]]),
    )
    expect(new Set(looks).size).toBe(25)
  })

  test('tells cohorts of few loans, which one loan moves, from the others', async () => {
    const [small, large] = cohortsOf(2).map((cohort, at) => ({ ...cohort, count: at === 0 ? 29 : 30 }))
    const widths = async (cohorts: Vintage[]) => {
      const svg = await svgOf(vintageChart(heading, vintageWords, cohorts))
      return [svg.includes('stroke-width="0.75"'), textsOf(svg).includes('Thin lines: cohorts of fewer than 30 loans')]
    }
    expect(await widths([small, large] as Vintage[])).toEqual([true, true])
    expect(await widths([small] as Vintage[])).toEqual([false, false])
  })

  test('ends a line where its cohort is no longer mature', async () => {
    const points = [0, 1, 2].map((month) => ({ month, share: month === 2 ? null : month / 10 }))
    const spec = vintageChart(heading, vintageWords, [{ cohort: '2023', count: 4, points }])
    expect(JSON.stringify(spec)).not.toContain('"month":2')
    expect(textsOf(await svgOf(spec))).toEqual(expect.arrayContaining(['2023', '10.0%', '4']))
  })

  test('of roll rates has a cell for each state there was, and leaves out those there was none of', async () => {
    const row = (from: string, to: string, share: number | null, count: number) => ({ from, to, share, count })
    const rows = [
      row('ok', 'ok', 0.9, 9),
      row('ok', 'late', 0.1, 1),
      row('late', 'ok', null, 0),
      row('ok', 'sold', 0, 0),
    ]
    const asked = { from: '2024-01-31', to: '2024-02-29', of: 'loans', states: ['ok', 'late', 'sold'] }
    const texts = textsOf(await svgOf(rollRateChart(heading, asked, rows)))
    expect(texts).toEqual(expect.arrayContaining(['90.0%', '10.0%', 'ok (10 loans)', 'late']))
    expect(texts).not.toContain('sold')
  })

  test.each<[string, ChartSpec]>([
    ['delinquency', delinquencyChart(heading, [])],
    ['concentration', concentrationChart(heading, 'sector', [])],
    ['ratings', ratingChart(heading, [])],
    ['vintages', vintageChart(heading, vintageWords, [])],
    ['roll rates', rollRateChart(heading, { from: '2024-01-31', to: '2024-02-29', of: 'loans', states: [] }, [])],
  ])('of no %s says that there is nothing to draw', async (_what, spec) => {
    expect(textsOf(await svgOf(spec)).join()).toMatch(/nothing to draw/)
  })

  test('of the largest size is drawn in less than a tenth of a second', async () => {
    const spec = vintageChart(heading, vintageWords, cohortsOf(25))
    const times: number[] = []
    for (let run = 0; run < 7; run++) {
      const start = performance.now()
      await svgOf(spec)
      times.push(performance.now() - start)
    }
    // The fastest, for the machine may be busy with other tests.
    expect(Math.min(...times)).toBeLessThan(100)
  })
})
