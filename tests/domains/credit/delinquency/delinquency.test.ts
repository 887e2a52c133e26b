import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { newBook, report } from '../../../helpers/credit-book.ts'
import { test } from '../../../helpers/sql.ts'

const delinquencyOf = async (owner: Person, id: string, query = '') => {
  const { status, body } = await owner.get(`/portfolios/${id}/delinquency${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

describe('the delinquency of a portfolio', () => {
  test('is what a hand computes', async ({ owner }) => {
    const { id, loans } = await newBook(owner)
    for (const [name, past_due_amount] of [
      ['D', '60'],
      ['E', '250.5'],
      ['G', '9.5'],
    ] as const)
      await owner.patch(`/loans/${loans[name]}`, { past_due_amount })
    expect(await delinquencyOf(owner, id)).toEqual({
      ...{
        portfolio_id: id,
        currency: 'USD',
        as_of: null,
        known_at: null,
        filter: {},
        formula_version: 2,
        loan_count: 8,
      },
      computed_at: expect.stringMatching(/Z$/),
      dates: [
        {
          as_of: null,
          loan_count: 8,
          balance: '1800.0000',
          past_due_amount: '320.0000',
          // D and E of 1,800, E alone, none
          ...{ par_30: '0.277778', par_60: '0.166667', par_90: '0.000000' },
          buckets: [
            // A and H
            bucket('0', 0, 0, 2, '800.0000', '0.0000', '0.250000', '0.444444'),
            bucket('1-29', 1, 29, 1, '400.0000', '0.0000', '0.125000', '0.222222'),
            // D and G
            bucket('30-59', 30, 59, 2, '300.0000', '69.5000', '0.250000', '0.166667'),
            bucket('60-89', 60, 89, 0, '0.0000', '0.0000', '0.000000', '0.000000'),
            bucket('90+', 90, null, 1, '300.0000', '250.5000', '0.125000', '0.166667'),
            // C and F
            bucket('unknown', null, null, 2, '0.0000', '0.0000', '0.250000', '0.000000'),
          ],
        },
      ],
    })
  })

  test('can be had for every date that was reported, under filters and as known at a time', async ({ owner, sql }) => {
    const { id } = await newBook(owner)
    await report(sql, id, '2023-12-31', {}, { from: '2024-01-05T00:00:00Z' })
    await report(sql, id, '2023-10-31', {}, { from: '2023-11-05T00:00:00Z', only: 'ABD' })
    await report(
      sql,
      id,
      '2023-11-30',
      { days_past_due: 100 },
      { from: '2023-12-05T00:00:00Z', to: '2024-01-01T00:00:00Z', only: 'AB' },
    )
    await report(sql, id, '2023-11-30', { days_past_due: 50 }, { from: '2024-01-01T00:00:00Z', only: 'AB' })
    const series = async (query = '') =>
      (await delinquencyOf(owner, id, `?series=true${query}`)).dates.map((date: Record<string, unknown>) =>
        ['as_of', 'loan_count', 'balance', 'par_30', 'par_90'].map((name) => date[name]),
      )
    expect(await series()).toEqual([
      // D of A, B and D: 200 / 1,400
      ['2023-10-31', 3, '1400.0000', '0.142857', '0.000000'],
      ['2023-11-30', 2, '1200.0000', '1.000000', '0.000000'],
      ['2023-12-31', 8, '1800.0000', '0.277778', '0.000000'],
    ])
    expect(await series('&known_at=2023-12-31T00:00:00Z&sector=11')).toEqual([
      ['2023-10-31', 2, '1200.0000', '0.000000', '0.000000'],
      ['2023-11-30', 2, '1200.0000', '1.000000', '1.000000'],
    ])
    expect(await series('&as_of=2023-10-31')).toHaveLength(1)
    const { dates, loan_count } = await delinquencyOf(owner, id, '?series=true')
    expect([loan_count, dates[0].buckets.length]).toEqual([13, 6])
    expect((await delinquencyOf(owner, id, '?as_of=2023-12-31')).dates).toEqual([dates[2]])
  })

  test('of no loan at a reporting date still says which', async ({ owner, sql }) => {
    const { id } = await newBook(owner)
    await report(sql, id, '2023-10-31')
    const { dates } = await delinquencyOf(owner, id, '?as_of=2023-10-31&sector=99')
    expect(dates).toMatchObject([{ as_of: '2023-10-31', loan_count: 0, par_30: null }])
  })

  test('of an empty portfolio has empty buckets, and a series of it is empty', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { loan_count, dates } = await delinquencyOf(owner, id)
    expect(loan_count).toBe(0)
    expect(dates).toMatchObject([{ as_of: null, loan_count: 0, balance: '0.0000', par_30: null }])
    expect(dates[0].buckets).toHaveLength(6)
    expect((await delinquencyOf(owner, id, '?series=true')).dates).toEqual([])
  })
})

function bucket(
  name: string,
  from: number | null,
  to: number | null,
  count: number,
  balance: string,
  past_due_amount: string,
  share_by_count: string | null,
  share_by_balance: string | null,
) {
  return { name, from, to, count, balance, past_due_amount, share_by_count, share_by_balance }
}
