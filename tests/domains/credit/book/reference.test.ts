import { describe, expect } from 'vitest'
import { type Answer, test as base, type Client } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { writeCsv } from '../../../helpers/csv.ts'
import { Fraction, greatest, least } from '../../../helpers/fraction.ts'
import { importCsv } from '../../../helpers/imports.ts'
import * as reference from '../../../helpers/reference-book.ts'
import { later, type Row, share } from '../../../helpers/reference-book.ts'

/** The same numbers in each run (mulberry32). */
function numbers(seed: number) {
  let state = seed
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const next = numbers(20_240_229)
const one = (...of: string[]) => of[next(of.length)] as string
const amount = () => one('', '0', '0.0001', '33.3333', '1000', `${next(1e6)}.${next(1e4)}`, '9999999999999999.9999')
const signed = () => (next(8) === 0 ? amount().replace(/^(?=\d)/, '-') : amount())
const part = () => one('', '0', '1', '0.00000001', `0.0${next(1e6)}`, `0.${next(1e8)}`)
const day = () =>
  one('2020-02-29', '2021-01-31', '2021-08-31', '2022-02-28', '2022-12-31', `2023-0${1 + next(9)}-1${next(9)}`)

/** A loan with every gap and contradiction that tapes have. */
const rowOf = (loan: number): Row => ({
  ...{ loan_number: `L${loan}`, borrower_name: `B${loan % 20}`, sector: one('', '11', '22', '33'), currency: 'USD' },
  ...{
    originated_on: day(),
    matures_on: one('', day(), '2024-03-30', '2027-01-31'),
    original_principal: amount() || '0',
  },
  ...{
    balance: signed(),
    commitment: amount(),
    interest_rate: part(),
    rate_type: one('', 'fixed', 'floating', 'mixed'),
  },
  status: one('current', 'current', 'current', 'delinquent', 'default', 'charged_off', 'paid', 'prepaid', 'sold'),
  days_past_due: one('', '0', '0', '0', '1', '29', '30', '31', '60', '61', '89', '90', '91', '400'),
  ...{ stage: one('', '', '1', '2', '3'), pd_12m: part(), pd_lifetime: part(), lgd: one(part(), '1.25'), ccf: part() },
  ...{ defaulted_on: one('', '', '', day()), charged_off_on: one('', '', '', day()) },
  ...{ charged_off_amount: one('', '', signed()), recovered_amount: one('', '', '', signed()) },
})

const tapeOf = (loans: number[]) => new Map(loans.map((loan) => [`L${loan}`, rowOf(loan)]))
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)
/** Two tapes of leap-year month ends; the second lacks some loans and has some more. */
const january = tapeOf(upTo(90))
const february = tapeOf(upTo(120).filter((loan) => loan % 9 !== 4))
const now = [...new Map([...january, ...february]).values()]
const [first, second] = ['2024-01-31', '2024-02-29']

async function load(owner: Client, id: string, tape: Map<string, Row>, as_of: string) {
  const rows = [...tape.values()]
  const file = writeCsv([Object.keys(rows[0]!), ...rows.map((row) => Object.values(row))])
  const { status, text } = await importCsv(owner, id, file, { as_of, mode: 'upsert' })
  expect(status, text).toBe(201)
  return new Date().toISOString()
}

type Book = { owner: Client; loadedFirst: string; get: (path: string) => Promise<Answer['body']>; path: string }
const test = base.extend<{ book: Book }>({
  book: [
    async ({ api }, use) => {
      const owner = await api.newOwner()
      const path = `/portfolios/${(await newPortfolio(owner)).id}`
      const id = path.slice('/portfolios/'.length)
      const loadedFirst = await load(owner, id, january, first)
      await load(owner, id, february, second)
      const get = async (what: string) => {
        const { status, body, text } = await owner.get(`${path}${what}`)
        expect(status, text).toBe(200)
        return body
      }
      await use({ owner, path, get, loadedFirst })
    },
    { scope: 'file' },
  ],
})

describe('a separate computation over random loans agrees with', () => {
  test('the metrics of the loans as they are, of both dates, and as known in between', async ({ book }) => {
    for (const [query, rows, on] of [
      ['', now, second],
      [`?as_of=${second}`, [...february.values()], second],
      [`?as_of=${first}`, [...january.values()], first],
      [`?as_of=${first}&known_at=${book.loadedFirst}`, [...january.values()], first],
    ] as const)
      expect(await book.get(`/metrics${query}`), query).toMatchObject(reference.figuresOf([...rows], on))
  })

  test('the metrics of segments and the delinquency buckets, which add up to the whole', async ({ book }) => {
    const { segments } = await book.get('/metrics/segments?by=sector')
    const sectors = Map.groupBy(now, ({ sector }) => sector || null)
    expect(segments).toHaveLength(sectors.size)
    for (const { segment, ...figures } of segments)
      expect(figures).toMatchObject(reference.figuresOf(sectors.get(segment ?? null) ?? [], second))
    const { dates } = await book.get('/delinquency')
    const [{ buckets }] = dates
    for (const { name, count, balance } of buckets) {
      const rows = now.filter((row) => reference.bucketOf(row) === name)
      expect([name, count, balance]).toEqual([name, rows.length, reference.amount(rows, 'balance').shown(4)])
    }
    const whole = await book.get('/metrics')
    for (const parts of [segments, buckets] as { balance: string }[][])
      expect(Fraction.sum(parts.map(({ balance }) => Fraction.of(balance))).shown(4)).toBe(whole.balance)
  })

  test('vintages: curves never fall, and are null from where the youngest loan has not been', async ({ book }) => {
    const { cohorts, months } = await book.get('/vintages?cohort=quarter&months_max=48')
    for (const { cohort, curve } of cohorts) {
      const rows = now.filter(
        ({ originated_on: on = '' }) => cohort === `${on.slice(0, 4)}-Q${Math.ceil(Number(on.slice(5, 7)) / 3)}`,
      )
      const expected = months.map((age: number) => {
        if (rows.some((row) => later(row.originated_on!, age) > second)) return null
        const bad = rows.filter((row) => (reference.defaultDay(row) ?? '9999') <= later(row.originated_on!, age))
        return share(Fraction.of(bad.length), Fraction.of(rows.length))
      })
      expect([cohort, curve]).toEqual([cohort, expected])
      const shown = curve.filter((cell: string | null) => cell !== null)
      expect(shown).toEqual(shown.toSorted())
    }
  })

  test('roll rates, whose rows are whole', async ({ book }) => {
    const { states, periods } = await book.get('/roll-rates')
    const [{ rows, outside }] = periods
    const closed = ['charged_off', 'paid', 'prepaid', 'sold']
    for (const { state, counts, shares_by_balance } of rows) {
      const began = [...january.values()].filter((row) => reference.rollState(row) === state)
      const ended = Map.groupBy(began, ({ loan_number }) => {
        const row = february.get(loan_number!)
        return row ? reference.rollState(row) : 'vanished'
      })
      const at: Row[][] = states.map((name: string) => ended.get(name) ?? [])
      expect([state, counts]).toEqual([state, at.map(({ length }) => length)])
      const whole = reference.amount(began, 'balance')
      expect(shares_by_balance).toEqual(at.map((rows) => share(reference.amount(rows, 'balance'), whole)))
    }
    expect(outside).toMatchObject({
      new: { loan_count: [...february.keys()].filter((loan) => !january.has(loan)).length },
      closed: { loan_count: [...january.values()].filter(({ status }) => closed.includes(status!)).length },
    })
  })

  test('default rates, year by year', async ({ book }) => {
    const { series, undated_defaults } = await book.get('/default-rates?from=2021-01-01')
    const dated = now.filter((row) => !reference.isDefaulted(row) || reference.defaultDay(row))
    expect(undated_defaults).toBe(now.length - dated.length)
    let surviving = Fraction.of(1)
    const expected = ['2021', '2022', '2023'].map((period) => {
      const left = (row: Row) => reference.defaultDay(row) ?? (row.matures_on || '9999')
      const opening = dated.filter((row) => row.originated_on! < period && left(row) > period)
      const bad = opening.filter((row) => reference.defaultDay(row)?.startsWith(period))
      const marginal = Fraction.of(bad.length).by(Fraction.of(opening.length))!
      surviving = surviving.times(Fraction.of(1).minus(marginal))
      const cumulative = Fraction.of(1).minus(surviving).shown(6)
      return { period, opening_performing: `${opening.length}.0000`, marginal: marginal.shown(6), cumulative }
    })
    expect(series).toMatchObject([{ periods: expected }])
  })

  test('a stress test, and shocks of nothing change nothing', async ({ book: { owner, path } }) => {
    const run = async (shocks: object) => (await owner.post(`${path}/stress`, { name: 'Shocked', shocks })).body.result
    const none = await run({ pd_shift: '0' })
    expect(none.stressed).toEqual(none.baseline)
    const shocked = (row: Row, field: string) => {
      const own = Fraction.of(row[field] as string)
      const [multiplier, shift] = field === 'lgd' ? ['1.5', '-0.1'] : ['3', '0.01']
      const moved = own.times(Fraction.of(multiplier)).plus(Fraction.of(shift))
      return least(greatest(Fraction.of(1), own), greatest(Fraction.of(0), moved))
    }
    const names = ['el_12m', 'el_lifetime', 'expected_loss'] as const
    const { baseline, stressed } = await run({
      pd_multiplier: '3',
      pd_shift: '0.01',
      lgd_multiplier: '1.5',
      lgd_shift: '-0.1',
    })
    const told = (figures: Record<string, string>) => names.map((name) => figures[name])
    expect(told(baseline)).toEqual(names.map((name) => reference.losses(now, name)))
    expect(told(stressed)).toEqual(names.map((name) => reference.losses(now, name, shocked)))
  })
})
