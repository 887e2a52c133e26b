import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import type { Answer } from '../../../helpers/api.ts'
import { report } from '../../../helpers/book.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { test as base } from '../../../helpers/sql.ts'

const [january, february, march] = ['2024-01-31', '2024-02-29', '2024-03-31']

/** What each of ten loans was reported as at three dates; no balance, no change of it. */
const histories: { balance: string; sector?: string; at: (object | null)[] }[] = [
  { balance: '1000', at: [{ days_past_due: 0 }, { days_past_due: 35 }, { days_past_due: 0 }] },
  { balance: '3000', at: [{}, {}, {}] },
  {
    balance: '500',
    at: [
      { status: 'delinquent', days_past_due: 30 },
      { status: 'delinquent', days_past_due: 60 },
      { status: 'delinquent', days_past_due: 95 },
    ],
  },
  { balance: '1500', at: [{ days_past_due: 59 }, { days_past_due: 0 }, { days_past_due: 1 }] },
  { balance: '200', at: [{ status: 'delinquent', days_past_due: 90 }, { status: 'charged_off' }, null] },
  { balance: '800', at: [{ status: 'default', days_past_due: 10 }, { status: 'default' }, { status: 'paid' }] },
  { balance: '0', at: [{ status: 'paid' }, null, null] },
  { balance: '100', at: [{ status: 'delinquent', days_past_due: null }, null, null] },
  { balance: '2000', sector: '22', at: [{ days_past_due: 45, sector: '11' }, { status: 'prepaid' }, null] },
  { balance: '700', sector: '11', at: [null, {}, {}] },
]

const test = base.extend<{ shared: { id: string; owner: object; roll: (query?: string) => Promise<Answer> } }>({
  shared: [
    async ({ api, sql }, use) => {
      const owner = await api.newOwner()
      const { id } = await newPortfolio(owner)
      const reports = histories.flatMap(({ at, ...loan }) => {
        const loan_id = randomUUID()
        return [january, february, march].flatMap((as_of, date) =>
          at[date] === null ? [] : [{ as_of: as_of as string, loan_id, days_past_due: 0, ...loan, ...at[date] }],
        )
      })
      await report(sql, owner, id, reports)
      await use({ id, owner, roll: (query = '') => owner.get(`/portfolios/${id}/roll-rates?${query}`) })
    },
    { scope: 'file' },
  ],
})

const states = [
  ...['0', '1-29', '30-59', '60-89', '90+', 'unknown', 'default'],
  ...['charged_off', 'paid', 'prepaid', 'sold', 'vanished'],
]

type Row = { state: string; loan_count: number; balance: string; [of: string]: unknown }
type Named = Record<string, [number, string, string | null, string | null]>

/** A row by the names of its targets, those without loans left out: count, balance and both shares. */
function named(row: Row): Named {
  const at = (name: string, index: number) => (row[name] as never[])[index] as never
  const cells = states.map((state, index): [string, Named[string]] => [
    state,
    [at('counts', index), at('balances', index), at('shares_by_count', index), at('shares_by_balance', index)],
  ])
  return Object.fromEntries(cells.filter(([, [count]]) => count > 0))
}
const rowOf = (rows: Row[], state: string) => rows.find((row) => row.state === state) as Row

describe('roll rates', () => {
  test('are what a hand computes, by loans and by balance', async ({ shared }) => {
    const { status, body } = await shared.roll(`from=${january}&to=${february}`)
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({
      portfolio_id: shared.id,
      currency: 'USD',
      from: january,
      to: february,
      bucket_edges: [1, 30, 60, 90],
      states,
      as_of: february,
      known_at: null,
      filter: {},
      formula_version: 1,
      loan_count: 8,
    })
    const [{ rows, outside }] = body.periods
    expect(rows.map(({ state, loan_count, balance }: Row) => [state, loan_count, balance])).toEqual([
      ['0', 2, '4000.0000'],
      ['1-29', 0, '0.0000'],
      ['30-59', 3, '4000.0000'],
      ['60-89', 0, '0.0000'],
      ['90+', 1, '200.0000'],
      ['unknown', 1, '100.0000'],
      ['default', 1, '800.0000'],
    ])
    expect(named(rowOf(rows, '0'))).toEqual({
      0: [1, '3000.0000', '0.500000', '0.750000'],
      '30-59': [1, '1000.0000', '0.500000', '0.250000'],
    })
    expect(named(rowOf(rows, '30-59'))).toEqual({
      0: [1, '1500.0000', '0.333333', '0.375000'],
      '60-89': [1, '500.0000', '0.333333', '0.125000'],
      prepaid: [1, '2000.0000', '0.333333', '0.500000'],
    })
    expect(named(rowOf(rows, '90+'))).toEqual({ charged_off: [1, '200.0000', '1.000000', '1.000000'] })
    expect(named(rowOf(rows, 'unknown'))).toEqual({ vanished: [1, '100.0000', '1.000000', '1.000000'] })
    expect(named(rowOf(rows, 'default'))).toEqual({ default: [1, '800.0000', '1.000000', '1.000000'] })
    // Of nothing there is no share; of something that went elsewhere it is zero.
    expect(rowOf(rows, '1-29').shares_by_count).toEqual(states.map(() => null))
    expect((rowOf(rows, '90+').shares_by_count as string[])[0]).toBe('0.000000')
    expect(outside).toEqual({
      closed: { loan_count: 1, balance: '0.0000' },
      new: { loan_count: 1, balance: '700.0000' },
    })
    expect(body.average).toEqual(rows)
  })

  test('of a series are averaged by what each period began with', async ({ shared }) => {
    const { body } = await shared.roll('series=true')
    expect(body.periods.map(({ from, to }: Row) => [from, to])).toEqual([
      [january, february],
      [february, march],
    ])
    expect(named(rowOf(body.periods[1].rows, '0'))).toEqual({
      0: [2, '3700.0000', '0.666667', '0.711538'],
      '1-29': [1, '1500.0000', '0.333333', '0.288462'],
    })
    // 3 of 2 + 3 loans stayed current, and 6,700 of 4,000 + 5,200
    expect(named(rowOf(body.average, '0'))).toEqual({
      0: [3, '6700.0000', '0.600000', '0.728261'],
      '1-29': [1, '1500.0000', '0.200000', '0.163043'],
      '30-59': [1, '1000.0000', '0.200000', '0.108696'],
    })
    expect(named(rowOf(body.average, 'default'))).toMatchObject({ default: [1, '800.0000', '0.500000', '0.500000'] })
    expect(body.loan_count).toBe(14)
    const tail = await shared.roll(`series=true&from=${february}`)
    expect(tail.body.periods).toEqual([body.periods[1]])
  })

  test('without dates are those of the last two, and of a date alone those of the nearest', async ({ shared }) => {
    const dates = async (query: string) => {
      const { body } = await shared.roll(query)
      return [body.from, body.to]
    }
    expect(await dates('')).toEqual([february, march])
    expect(await dates(`from=${january}`)).toEqual([january, march])
    expect(await dates(`to=${february}`)).toEqual([january, february])
  })

  test('filter loans by what they were at the beginning, and new ones by what they are', async ({ shared }) => {
    const { body } = await shared.roll(`from=${january}&to=${february}&sector=11`)
    const [{ rows, outside }] = body.periods
    expect([body.loan_count, body.filter]).toEqual([1, { sector: '11' }])
    expect(named(rowOf(rows, '30-59'))).toEqual({ prepaid: [1, '2000.0000', '1.000000', '1.000000'] })
    expect(outside).toEqual({ new: { loan_count: 1, balance: '700.0000' } })
    const elsewhere = await shared.roll(`from=${january}&to=${february}&sector=22`)
    expect(elsewhere.body).toMatchObject({ loan_count: 0, periods: [{ outside: {} }] })
  })

  test('follow what was known at a time', async ({ api, sql }) => {
    const owner = await api.newOwner()
    const { id } = await newPortfolio(owner, { bucket_edges: [30, 31] })
    const [loan_id] = await report(sql, owner, id, [{ as_of: january as string, balance: '10', days_past_due: 0 }])
    await report(sql, owner, id, [
      {
        as_of: february as string,
        loan_id: loan_id as string,
        days_past_due: 30,
        known_from: '2024-03-01T00:00:00Z',
        known_to: '2024-04-01T00:00:00Z',
      },
      { as_of: february as string, loan_id: loan_id as string, days_past_due: 400, known_from: '2024-04-01T00:00:00Z' },
    ])
    const target = async (query: string) => {
      const { body } = await owner.get(`/portfolios/${id}/roll-rates?${query}`)
      return body.states[body.periods[0].rows[0].counts.indexOf(1)]
    }
    expect(await target('')).toBe('31+')
    expect(await target('known_at=2024-03-15T00:00:00Z')).toBe('30')
    expect((await owner.get(`/portfolios/${id}/roll-rates?known_at=2024-02-15T00:00:00Z`)).body).toMatchObject({
      status: 422,
      code: 'as_of_without_snapshots',
    })
  })

  test('need two dates in their order, of which something was reported', async ({ api, shared }) => {
    const code = async (query: string) => {
      const { body } = await shared.roll(query)
      return [body.status, body.code]
    }
    expect(await code(`from=${february}&to=${january}`)).toEqual([400, 'invalid_period'])
    expect(await code(`from=${february}&to=${february}`)).toEqual([400, 'invalid_period'])
    expect(await code(`from=${march}`)).toEqual([400, 'invalid_period'])
    expect(await code(`series=true&from=${march}&to=${january}`)).toEqual([400, 'invalid_period'])
    expect(await code(`from=${january}&to=2024-03-01`)).toEqual([422, 'as_of_without_snapshots'])
    expect((await shared.roll(`from=2024-02-01&to=${march}`)).body.detail).toContain(`${january} and ${february}`)
    expect(await code('from=2024-02-30')).toEqual([400, 'validation_failed'])
    const stranger = await api.newOwner()
    expect((await stranger.get(`/portfolios/${shared.id}/roll-rates`)).status).toBe(404)
    const { id } = await newPortfolio(stranger)
    for (const query of ['', 'series=true'])
      expect((await stranger.get(`/portfolios/${id}/roll-rates?${query}`)).body).toMatchObject({
        status: 422,
        code: 'as_of_without_snapshots',
      })
  })
})
