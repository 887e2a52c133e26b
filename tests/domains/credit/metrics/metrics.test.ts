import { describe, expect } from 'vitest'
import { type Person, test } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'

const metricsOf = async (owner: Person, portfolio: string) => {
  const { status, body } = await owner.get(`/portfolios/${portfolio}/metrics`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

/** Five loans whose figures a reader can compute by hand. */
async function smallBook(owner: Person, more: object = {}): Promise<string> {
  const { id } = await newPortfolio(owner, { as_of: '2024-01-31', ...more })
  for (const loan of [
    { original_principal: '1000', balance: '800', interest_rate: '0.05', matures_on: '2025-01-31' },
    { original_principal: '2000', balance: '0', interest_rate: '0.1', matures_on: '2023-06-30', status: 'default' },
    { original_principal: '3000', interest_rate: '0.2', status: 'delinquent', days_past_due: 95 },
    {
      original_principal: '4000',
      balance: '0',
      matures_on: '2024-07-31',
      status: 'charged_off',
      charged_off_amount: '3500',
      recovered_amount: '500',
    },
    { original_principal: '500', balance: '200', matures_on: '2024-03-15', status: 'delinquent', days_past_due: 89 },
  ])
    await newLoan(owner, id, loan)
  return id
}

describe('the metrics of a portfolio', () => {
  test('are what a hand computes', async ({ owner }) => {
    const id = await smallBook(owner)
    expect(await metricsOf(owner, id)).toEqual({
      portfolio_id: id,
      currency: 'USD',
      formula_version: 1,
      computed_at: expect.stringMatching(/Z$/),
      loan_count: 5,
      original_principal: '10500.0000',
      balance: '1000.0000',
      charged_off_amount: '3500.0000',
      recovered_amount: '500.0000',
      by_status: {
        current: { count: 1, original_principal: '1000.0000', balance: '800.0000' },
        default: { count: 1, original_principal: '2000.0000', balance: '0.0000' },
        delinquent: { count: 2, original_principal: '3500.0000', balance: '200.0000' },
        charged_off: { count: 1, original_principal: '4000.0000', balance: '0.0000' },
      },
      // In default: status default, 95 days past due, charged off; 3 of 5, and 9,000 of 10,500.
      default_rate: { by_count: '0.600000', by_original_principal: '0.857143' },
      // (3,500 - 500) of 10,500
      loss_rate: '0.285714',
      // 800 at 5% is all that has both a balance and a rate.
      weighted_average_rate: '0.050000',
      // (800 x 12 months + 200 x 1 month) / 1,000
      weighted_average_remaining_months: '9.800000',
    })
  })

  test('follow the default definition of the portfolio', async ({ owner }) => {
    const byStatus = { statuses: ['delinquent'], days_past_due_min: null }
    const id = await smallBook(owner, { default_definition: byStatus })
    const rates = async () => (await metricsOf(owner, id)).default_rate
    expect(await rates()).toEqual({ by_count: '0.400000', by_original_principal: '0.333333' })
    const define = (statuses: string[], days_past_due_min: number | null) =>
      owner.patch(`/portfolios/${id}`, { default_definition: { statuses, days_past_due_min } })
    await define([], 90)
    expect(await rates()).toEqual({ by_count: '0.200000', by_original_principal: '0.285714' })
    await define([], 89)
    expect((await rates()).by_count).toBe('0.400000')
    await define([], null)
    expect(await rates()).toEqual({ by_count: '0.000000', by_original_principal: '0.000000' })
  })

  test('of an empty portfolio are zero, and unknown where one would divide by zero', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    expect(await metricsOf(owner, id)).toMatchObject({
      loan_count: 0,
      original_principal: '0.0000',
      balance: '0.0000',
      charged_off_amount: '0.0000',
      recovered_amount: '0.0000',
      by_status: {},
      default_rate: { by_count: null, by_original_principal: null },
      loss_rate: null,
      weighted_average_rate: null,
      weighted_average_remaining_months: null,
    })
  })

  test('weigh by balance, so without one there is no average', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const rated = { interest_rate: '0.05', matures_on: '2099-01-01' }
    await newLoan(owner, id, { ...rated, balance: '10', original_principal: '0' })
    await newLoan(owner, id, { ...rated, balance: '-10', original_principal: '0' })
    await newLoan(owner, id, { ...rated, original_principal: '0' })
    expect(await metricsOf(owner, id)).toMatchObject({
      loan_count: 3,
      balance: '0.0000',
      default_rate: { by_count: '0.000000', by_original_principal: null },
      loss_rate: null,
      weighted_average_rate: null,
      weighted_average_remaining_months: null,
    })
  })

  test('lose no digit of large amounts', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (let n = 0; n < 3; n++) await newLoan(owner, id, { original_principal: '9999999999999999.9999' })
    const { original_principal, by_status } = await metricsOf(owner, id)
    expect(original_principal).toBe('29999999999999999.9997')
    expect(by_status.current.original_principal).toBe('29999999999999999.9997')
  })

  test('count the loans of that portfolio only', async ({ api, owner }) => {
    const id = await smallBook(owner)
    await newLoan(owner, (await newPortfolio(owner)).id)
    const stranger = await api.newOwner()
    await newLoan(stranger, (await newPortfolio(stranger)).id)
    expect((await metricsOf(owner, id)).loan_count).toBe(5)
    expect((await stranger.get(`/portfolios/${id}/metrics`)).status).toBe(404)
  })
})
