import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { newBook } from '../../../helpers/credit-book.ts'
import { test as base } from '../../../helpers/sql.ts'

const test = base.extend<{ book: Awaited<ReturnType<typeof newBook>> }>({
  book: async ({ owner }, use) => use(await newBook(owner)),
})

const metricsOf = async (owner: Person, portfolio: string, query = '') => {
  const { status, body } = await owner.get(`/portfolios/${portfolio}/metrics${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

describe('the metrics of a portfolio', () => {
  test('are what a hand computes', async ({ owner, book: { id } }) => {
    expect(await metricsOf(owner, id, '?hhi_by=sector&top=5')).toEqual({
      portfolio_id: id,
      currency: 'USD',
      reference_date: '2024-01-31',
      as_of: null,
      known_at: null,
      filter: {},
      formula_version: 2,
      computed_at: expect.stringMatching(/Z$/),
      loan_count: 8,
      // 1,000 + 500 + 0 + 500 + 3,000 + 1,000 + 100 + 400
      original_principal: '6500.0000',
      // 800 + 400 + 200 + 300 + 0 + 100; unknown for C and H
      balance: '1800.0000',
      commitment: '2800.0000',
      charged_off_amount: '1200.0000',
      recovered_amount: '300.0000',
      // A and B have a rate: (800 x 5% + 400 x 10%) / 1,200
      weighted_average_rate: '0.066667',
      // A, D and E have a maturity and a balance: (800 x 12 + 200 x 1 + 300 x 0) / 1,300
      weighted_average_remaining_months: '7.538462',
      // (800 x 12 + 400 x 6 + 200 x 24 + 300 x 48 + 100 x 1) / 1,800
      weighted_average_age_months: '17.388889',
      // A, B and E: (800 x 1% + 400 x 2% + 300 x 50%) / 1,500
      weighted_average_pd_12m: '0.110667',
      // A, B and D: (800 x 3% + 400 x 5% + 200 x 20%) / 1,400
      weighted_average_pd_lifetime: '0.060000',
      // (800 x 0.4 + 400 x 0.5 + 200 x 0.5 + 300 x 0.6 + 100 x 0.5) / 1,800
      weighted_average_lgd: '0.472222',
      // A 800; B 400 + 0.5 x 600; C 0 + 1 x 300; D 200; E 300; G 100; F and H are closed
      ead: '2400.0000',
      // A 800 x 1% x 0.4 = 3.2; B 700 x 2% x 0.5 = 7; C 300 x 10% x 1 = 30; E 300 x 50% x 0.6 = 90
      el_12m: '130.2000',
      // A 9.6; B 17.5; D 200 x 20% x 0.5 = 20; E, in default, 300 x 1 x 0.6 = 180
      el_lifetime: '227.1000',
      // stage 1: A 3.2, B 7, C 30 (presumed); stage 2: D 20; stage 3: E 180 (presumed)
      expected_loss: '240.2000',
      // all but G: 2,300 / 2,400
      expected_loss_ead_share: '0.958333',
      // of 1,800: D 200 and E 300 are more than 30 days past due, G is not; E is not more than 90
      par_30: '0.277778',
      par_60: '0.166667',
      par_90: '0.000000',
      // E by its days; F is charged off and in stage 3, but has no balance left
      npl_balance: '300.0000',
      npl_ratio: '0.166667',
      // E and F: 2 / 8; 300 / 1,800; 4,000 / 6,500
      default_rate: { by_count: '0.250000', by_balance: '0.166667', by_original_principal: '0.615385' },
      // (1,200 - 300) / 6,500 and 300 / 1,200
      loss_rate: '0.138462',
      recovery_rate: '0.250000',
      delinquency: [
        { name: '0', from: 0, to: 0, count: 2, balance: '800.0000', share: '0.444444' },
        { name: '1-29', from: 1, to: 29, count: 1, balance: '400.0000', share: '0.222222' },
        { name: '30-59', from: 30, to: 59, count: 2, balance: '300.0000', share: '0.166667' },
        { name: '60-89', from: 60, to: 89, count: 0, balance: '0.0000', share: '0.000000' },
        { name: '90+', from: 90, to: null, count: 1, balance: '300.0000', share: '0.166667' },
        { name: 'unknown', from: null, to: null, count: 2, balance: '0.0000', share: '0.000000' },
      ],
      by_status: {
        current: { count: 4, original_principal: '1600.0000', balance: '1300.0000' },
        delinquent: { count: 2, original_principal: '3500.0000', balance: '500.0000' },
        charged_off: { count: 1, original_principal: '1000.0000', balance: '0.0000' },
        paid: { count: 1, original_principal: '400.0000', balance: '0.0000' },
      },
      by_stage: [
        // A and B: 10.2 / 1,200
        { stage: 1, count: 2, balance: '1200.0000', ead: '1500.0000', expected_loss: '10.2000', coverage: '0.008500' },
        // D and G, of which only D's loss is known: 20 / 300
        { stage: 2, count: 2, balance: '300.0000', ead: '300.0000', expected_loss: '20.0000', coverage: '0.066667' },
        { stage: 3, count: 1, balance: '0.0000', ead: '0.0000', expected_loss: null, coverage: null },
        // C, E and H: 210 / 300
        {
          stage: null,
          count: 3,
          balance: '300.0000',
          ead: '600.0000',
          expected_loss: '210.0000',
          coverage: '0.700000',
        },
      ],
      // A and D are one group: 1,000 / 1,800
      top_borrowers: [
        { borrower: 'Group', count: 2, balance: '1000.0000', share: '0.555556' },
        { borrower: 'B Ltd', count: 1, balance: '400.0000', share: '0.222222' },
        { borrower: 'E Inc', count: 1, balance: '300.0000', share: '0.166667' },
        { borrower: 'G Co', count: 1, balance: '100.0000', share: '0.055556' },
        { borrower: 'C SA', count: 1, balance: '0.0000', share: null },
      ],
      // (1,000² + 400² + 300² + 100²) / 1,800²; by sector 1,200 in 11, 200 in 22 and 400 in none
      hhi: { borrower: '0.388889', sector: '0.506173' },
    })
  })

  test('are of the loans that the filters of the loan list let through, and say so', async ({
    owner,
    book: { id },
  }) => {
    expect(await metricsOf(owner, id, '?status_in=current,paid&sector=11&balance_gte=500')).toMatchObject({
      filter: { status_in: 'current,paid', sector: '11', balance_gte: '500' },
      ...{ loan_count: 1, balance: '800.0000', expected_loss: '3.2000', hhi: { borrower: '1.000000' } },
    })
    expect(await metricsOf(owner, id, '?stage=3')).toMatchObject({ loan_count: 1, ead: '0.0000', expected_loss: null })
    for (const query of [
      '?sector=',
      '?stage=4',
      '?top=0',
      '?top=101',
      '?hhi_by=pd_12m',
      '?colour=red',
      '?as_of=2024-02-30',
    ])
      expect([query, (await owner.get(`/portfolios/${id}/metrics${query}`)).status]).toEqual([query, 400])
  })

  test('follow the buckets of the portfolio', async ({ owner, book: { id } }) => {
    await owner.patch(`/portfolios/${id}`, { bucket_edges: [31, 90] })
    const { delinquency } = await metricsOf(owner, id)
    expect(delinquency.map(({ name, count }: { name: string; count: number }) => [name, count])).toEqual([
      ['0-30', 4],
      ['31-89', 1],
      ['90+', 1],
      ['unknown', 2],
    ])
  })

  test('follow the default definition of the portfolio', async ({ owner, book: { id } }) => {
    const define = async (statuses: string[], days_past_due_min: number | null) => {
      await owner.patch(`/portfolios/${id}`, { default_definition: { statuses, days_past_due_min } })
      const { default_rate, npl_balance, expected_loss } = await metricsOf(owner, id)
      return [default_rate.by_count, default_rate.by_original_principal, npl_balance, expected_loss]
    }
    // F stays in stage 3, but has no balance. Without days that mean default E is presumed to be in stage 2, where its
    // lifetime PD is unknown: 240.2 - 180.
    expect(await define(['delinquent'], null)).toEqual(['0.250000', '0.538462', '500.0000', '240.2000'])
    expect(await define([], 90)).toEqual(['0.125000', '0.461538', '300.0000', '240.2000'])
    expect(await define([], 91)).toEqual(['0.000000', '0.000000', '0.0000', '60.2000'])
    expect(await define([], null)).toEqual(['0.000000', '0.000000', '0.0000', '60.2000'])
  })

  test('of an empty portfolio are zero, and unknown where one would divide by zero', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { delinquency, ...metrics } = await metricsOf(owner, id)
    const shares = Object.entries(metrics).filter(([name]) =>
      /^(weighted|par_|npl_ratio|loss|recovery|el_|expected)/.test(name),
    )
    expect(shares).toHaveLength(16)
    expect(new Set(shares.map(([, value]) => value))).toEqual(new Set([null]))
    expect(metrics).toMatchObject({
      ...{ loan_count: 0, original_principal: '0.0000', balance: '0.0000', commitment: '0.0000', ead: '0.0000' },
      ...{ charged_off_amount: '0.0000', recovered_amount: '0.0000', npl_balance: '0.0000' },
      ...{ by_status: {}, by_stage: [], top_borrowers: [], hhi: { borrower: null } },
      default_rate: { by_count: null, by_balance: null, by_original_principal: null },
      reference_date: new Date().toISOString().slice(0, 10),
    })
    expect(delinquency.map(({ count, share }: { count: number; share: null }) => [count, share])).toEqual(
      Array.from({ length: 6 }, () => [0, null]),
    )
  })

  test('count months as terms do, also to the last day of a shorter month', async ({ owner }) => {
    const { id } = await newPortfolio(owner, { as_of: '2024-02-29' })
    const loan = await newLoan(owner, id, { originated_on: '2024-01-31', term_months: 13, balance: '100' })
    expect(loan.matures_on).toBe('2025-02-28')
    // One month since 31 January and twelve until 28 February are the thirteen of the term.
    const ages = { weighted_average_age_months: '1.000000', weighted_average_remaining_months: '12.000000' }
    expect(await metricsOf(owner, id)).toMatchObject(ages)
    await owner.patch(`/portfolios/${id}`, { as_of: '2024-02-28' })
    expect((await metricsOf(owner, id)).weighted_average_age_months).toBe('0.000000')
  })

  test('weigh by balance, so without one there is no average', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const rated = { interest_rate: '0.05', matures_on: '2099-01-01', pd_12m: '0.1', lgd: '0.5', stage: 1 }
    await newLoan(owner, id, { ...rated, borrower_name: 'X', balance: '10', original_principal: '0' })
    await newLoan(owner, id, { ...rated, borrower_name: 'Y', balance: '-10', original_principal: '0' })
    await newLoan(owner, id, { ...rated, borrower_name: 'Z', original_principal: '0' })
    expect(await metricsOf(owner, id)).toMatchObject({
      loan_count: 3,
      balance: '0.0000',
      default_rate: { by_count: '0.000000', by_balance: null, by_original_principal: null },
      loss_rate: null,
      weighted_average_rate: null,
      weighted_average_remaining_months: null,
      weighted_average_age_months: null,
      weighted_average_pd_12m: null,
      par_30: null,
      // A balance below 0 is no exposure, and no share of a borrower: 10 x 0.1 x 0.5
      ead: '10.0000',
      expected_loss: '0.5000',
      hhi: { borrower: '1.000000' },
    })
  })

  test('lose no digit of large amounts', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (let n = 0; n < 3; n++) await newLoan(owner, id, { original_principal: '9999999999999999.9999' })
    const { original_principal, by_status } = await metricsOf(owner, id)
    expect(original_principal).toBe('29999999999999999.9997')
    expect(by_status.current.original_principal).toBe('29999999999999999.9997')
  })

  test('count the loans of that portfolio only', async ({ api, owner, book: { id } }) => {
    await newLoan(owner, (await newPortfolio(owner)).id)
    const stranger = await api.newOwner()
    await newLoan(stranger, (await newPortfolio(stranger)).id)
    expect((await metricsOf(owner, id)).loan_count).toBe(8)
    for (const what of [
      'metrics',
      'metrics?as_of=2024-01-31',
      'metrics/segments?by=sector',
      'delinquency',
      'delinquency?series=true',
      'concentration',
    ])
      expect([what, (await stranger.get(`/portfolios/${id}/${what}`)).status]).toEqual([what, 404])
  })
})

test('the table of formulas names every figure, its unit and its source', async ({ owner, book: { id } }) => {
  const { formula_version, formulas } = (await owner.get('/metrics/formulas')).body
  expect(formula_version).toBe(2)
  const names = formulas.map(({ name }: { name: string }) => name)
  const figures = Object.keys(await metricsOf(owner, id)).filter(
    (name) =>
      !/^(portfolio_id|currency|as_of|known_at|filter|formula_version|loan_count|computed_at|reference_date|by_)/.test(
        name,
      ),
  )
  expect(names).toEqual(expect.arrayContaining(figures))
  for (const { formula, source, unit, version } of formulas)
    expect([formula.length > 3, source.length > 3, unit.length > 3, [1, 2].includes(version)]).toEqual([
      true,
      true,
      true,
      true,
    ])
})
