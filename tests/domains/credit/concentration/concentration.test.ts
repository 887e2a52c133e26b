import { describe, expect } from 'vitest'
import { type Person, test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { newBook } from '../../../helpers/credit-book.ts'
import { importCsv } from '../../../helpers/imports.ts'

const concentrationOf = async (owner: Person, id: string, query = '') => {
  const { status, body } = await owner.get(`/portfolios/${id}/concentration${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

describe('the concentration of a portfolio', () => {
  test('is what a hand computes', async ({ owner }) => {
    const { id } = await newBook(owner)
    // Group 1,000 (A and D), B Ltd 400, E Inc 300, G Co 100; three have nothing.
    const group = { segment: 'Group', count: 2, balance: '1000.0000', share: '0.555556' }
    const bLtd = { segment: 'B Ltd', count: 1, balance: '400.0000', share: '0.222222' }
    expect(await concentrationOf(owner, id, '?top=2&limit_share=0.2')).toEqual({
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
      ...{ by: 'borrower', balance: '1800.0000', segment_count: 4 },
      top: [
        { rank: 1, ...group, cumulative_share: '0.555556' },
        { rank: 2, ...bLtd, cumulative_share: '0.777778' },
      ],
      // (1,000² + 400² + 300² + 100²) / 1,800² = 1,260,000 / 3,240,000
      ...{ hhi: '0.388889', hhi_10000: '3888.888889', effective_number: '2.571429' },
      // 2 x (1 x 100 + 2 x 300 + 3 x 400 + 4 x 1,000) / (4 x 1,800) - 5 / 4
      gini: '0.388889',
      lorenz: [
        { segments: '0.000000', balance: '0.000000' },
        { segments: '0.250000', balance: '0.055556' },
        { segments: '0.500000', balance: '0.222222' },
        { segments: '0.750000', balance: '0.444444' },
        { segments: '1.000000', balance: '1.000000' },
      ],
      limit: { share: '0.2', exceeded_by: 2, segments: [group, bLtd] },
    })
    // 1,200 in 11, 400 in none, 200 in 22: 1,640,000 / 3,240,000; 2 x (200 + 2 x 400 + 3 x 1,200) / (3 x 1,800) - 4 / 3
    expect(await concentrationOf(owner, id, '?by=sector')).toMatchObject({
      ...{ by: 'sector', segment_count: 3, hhi: '0.506173', gini: '0.370370', limit: null },
      top: [
        { segment: '11', cumulative_share: '0.666667' },
        { segment: null, cumulative_share: '0.888889' },
        { segment: '22', cumulative_share: '1.000000' },
      ],
    })
    // One name alone: no limit below its share is kept, and one that equals it is not exceeded.
    expect(await concentrationOf(owner, id, '?sector=22&limit_share=1')).toMatchObject({
      ...{
        segment_count: 1,
        hhi: '1.000000',
        effective_number: '1.000000',
        gini: '0.000000',
        filter: { sector: '22' },
      },
      lorenz: [{ segments: '0.000000' }, { segments: '1.000000' }],
      limit: { exceeded_by: 0, segments: [] },
    })
  })

  test('of many names is summed up in at most 21 points, and lists at most 100 above a limit', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const rows = Array.from({ length: 150 }, (_, n) => `L-${n},B${n},USD,2020-01-31,100,10,current\n`)
    const header = 'loan_number,borrower_name,currency,originated_on,original_principal,balance,status\n'
    expect((await importCsv(owner, id, header + rows.join(''))).status).toBe(201)
    const { lorenz, limit, top, ...figures } = await concentrationOf(owner, id, '?limit_share=0.001&top=100')
    // All alike: 150 x (1/150)², and the curve is the diagonal.
    expect(figures).toMatchObject({ hhi: '0.006667', effective_number: '150.000000', gini: '0.000000' })
    expect(lorenz).toHaveLength(21)
    for (const { segments, balance } of lorenz) expect(balance).toBe(segments)
    expect([limit.exceeded_by, limit.segments.length, top.length]).toEqual([150, 100, 100])
  })

  test('of an empty portfolio is unknown', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    expect(await concentrationOf(owner, id, '?limit_share=0.1')).toMatchObject({
      ...{ loan_count: 0, balance: '0.0000', segment_count: 0, top: [], lorenz: [] },
      ...{ hhi: null, hhi_10000: null, effective_number: null, gini: null, limit: { exceeded_by: 0, segments: [] } },
    })
  })

  test('asks for a field that tells loans apart, and a limit from 0 to 1', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const query of ['by=balance', 'limit_share=1.1', 'limit_share=-0.1', 'limit_share=', 'top=0', 'top=101'])
      expect([query, (await owner.get(`/portfolios/${id}/concentration?${query}`)).status]).toEqual([query, 400])
  })
})
