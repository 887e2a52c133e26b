import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { report } from '../../../helpers/book.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test as base } from '../../../helpers/sql.ts'

type Vintages = (query?: string) => Promise<{ status: number; body: Record<string, never> & { cohorts: never[] } }>

/** Seven loans of 2020 and one of the future, seen on the last of July 2021, when the youngest of 2020 is 7 months old. */
const book = [
  // 31 January + 1 month is 29 February: age 1.
  { originated_on: '2020-01-31', original_principal: '1000', status: 'default', defaulted_on: '2020-02-29' },
  // One day later: age 2.
  {
    originated_on: '2020-01-31',
    original_principal: '2000',
    status: 'charged_off',
    charged_off_on: '2020-03-01',
    charged_off_amount: '1500',
    recovered_amount: '500',
  },
  // Paid, yet charged off: no default, but a loss, three months after origination.
  {
    originated_on: '2020-06-30',
    original_principal: '3000',
    status: 'paid',
    charged_off_on: '2020-09-30',
    charged_off_amount: '300',
    term_months: 0,
  },
  { originated_on: '2020-12-31', original_principal: '4000', status: 'default', charged_off_amount: '100' },
  // Charged off before it was disbursed, and more than was disbursed.
  {
    originated_on: '2020-03-15',
    original_principal: '1000',
    status: 'charged_off',
    charged_off_on: '2020-03-01',
    charged_off_amount: '1200',
  },
  // Cured, but it has defaulted: six months and a day after origination.
  { originated_on: '2020-05-10', original_principal: '500', status: 'current', defaulted_on: '2020-11-11' },
  { originated_on: '2020-04-01', original_principal: '500', status: 'delinquent', days_past_due: 95 },
  { originated_on: '2021-08-01', original_principal: '900', status: 'default', defaulted_on: '2021-08-02' },
]

const test = base.extend<{ shared: { owner: Person; id: string; vintages: Vintages } }>({
  shared: [
    async ({ api }, use) => {
      const owner = await api.newOwner()
      const { id } = await newPortfolio(owner, { as_of: '2021-07-31' })
      for (const loan of book) await newLoan(owner, id, loan)
      const vintages = (query = '') => owner.get(`/portfolios/${id}/vintages?${query}`)
      await use({ owner, id, vintages: vintages as unknown as Vintages })
    },
    { scope: 'file' },
  ],
})

describe('the vintages of a portfolio', () => {
  test('are what a hand computes: cumulative defaults by cohort and age', async ({ shared }) => {
    const { body } = await shared.vintages('months_max=8')
    expect(body).toMatchObject({
      portfolio_id: shared.id,
      currency: 'USD',
      cohort: 'year',
      measure: 'default',
      basis: 'count',
      by: null,
      observed_on: '2021-07-31',
      months: [0, 1, 2, 3, 4, 5, 6, 7, 8],
      as_of: null,
      known_at: null,
      filter: {},
      formula_version: 1,
      loan_count: 8,
    })
    expect(body.cohorts).toEqual([
      {
        cohort: '2020',
        loan_count: 7,
        original_principal: '12000.0000',
        event_count: 6,
        undated: 2,
        before_origination: 1,
        months_observed: 7,
        // 1, 2, 3 and at last 4 of 7 loans
        curve: ['0.142857', '0.285714', '0.428571', '0.428571', '0.428571', '0.428571', '0.428571', '0.571429', null],
        marginal: [
          '0.142857',
          '0.142857',
          '0.142857',
          '0.000000',
          '0.000000',
          '0.000000',
          '0.000000',
          '0.142857',
          null,
        ],
      },
      {
        cohort: '2021',
        loan_count: 1,
        original_principal: '900.0000',
        event_count: 1,
        undated: 0,
        before_origination: 0,
        months_observed: null,
        curve: Array(9).fill(null),
        marginal: Array(9).fill(null),
      },
    ])
  })

  test('can be weighed by original principal, in steps of three months', async ({ shared }) => {
    const { body } = await shared.vintages(
      'basis=balance&step=3&months_max=10&status_in=default,charged_off,paid,current,delinquent',
    )
    expect(body.months).toEqual([0, 3, 6, 9])
    // 1,000, then 4,000 of 12,000
    expect(body.cohorts[0]).toMatchObject({
      curve: ['0.083333', '0.333333', '0.333333', null],
      marginal: ['0.083333', '0.250000', '0.000000', null],
    })
  })

  test('show net losses, also of paid loans and beyond the principal', async ({ shared }) => {
    const { body } = await shared.vintages('measure=loss&months_max=4')
    // 1,200; then 1,500 - 500; then 300, of 12,000; the 100 of a loan without a date are nowhere.
    expect(body.cohorts[0]).toMatchObject({
      event_count: 4,
      undated: 1,
      before_origination: 1,
      curve: ['0.100000', '0.100000', '0.183333', '0.208333', '0.208333'],
      marginal: ['0.100000', '0.000000', '0.083333', '0.025000', '0.000000'],
    })
    const byCount = await shared.vintages('measure=loss&basis=count&months_max=3')
    expect(byCount.body.cohorts[0]).toMatchObject({ curve: ['0.142857', '0.142857', '0.285714', '0.428571'] })
  })

  test('are told apart by quarter, month and segment', async ({ shared }) => {
    const quarters = await shared.vintages('cohort=quarter&months_max=1')
    expect(
      quarters.body.cohorts.map(({ cohort, loan_count, months_observed }) => [cohort, loan_count, months_observed]),
    ).toEqual([
      ['2020-Q1', 3, 16],
      ['2020-Q2', 3, 13],
      ['2020-Q4', 1, 7],
      ['2021-Q3', 1, null],
    ])
    const months = await shared.vintages('cohort=month&months_max=1&originated_on_lte=2020-04-30')
    expect(months.body.cohorts.map(({ cohort, curve }) => [cohort, curve])).toEqual([
      ['2020-01', ['0.000000', '0.500000']],
      ['2020-03', ['1.000000', '1.000000']],
      ['2020-04', ['0.000000', '0.000000']],
    ])
    const segments = await shared.vintages('by=term_months&months_max=1&originated_on_lte=2020-12-31')
    expect(segments.body.cohorts.map(({ segment, loan_count }) => [segment, loan_count])).toEqual([
      ['0', 1],
      [null, 6],
    ])
  })

  test('need no principal: by balance its shares are unknown', async ({ shared: { owner } }) => {
    const { id } = await newPortfolio(owner, { as_of: '2021-07-31' })
    expect((await owner.get(`/portfolios/${id}/vintages`)).body).toMatchObject({ cohorts: [], loan_count: 0 })
    await newLoan(owner, id, { original_principal: '0', status: 'default', defaulted_on: '2020-03-01' })
    const of = async (basis: string) =>
      (await owner.get(`/portfolios/${id}/vintages?months_max=2&basis=${basis}`)).body.cohorts[0].curve
    expect(await of('count')).toEqual(['0.000000', '0.000000', '1.000000'])
    expect(await of('balance')).toEqual([null, null, null])
  })

  test('date a prepayment by the first report of it, and follow as_of and known_at', async ({
    shared: { owner },
    sql,
  }) => {
    const { id } = await newPortfolio(owner, { as_of: '2021-07-31' })
    const originated_on = '2020-01-15'
    const prepaid = await newLoan(owner, id, { originated_on, status: 'prepaid' })
    await newLoan(owner, id, { originated_on, status: 'prepaid' })
    await newLoan(owner, id, { originated_on })
    const dates = ['2020-06-30', '2020-12-31', '2021-03-31']
    await report(
      sql,
      owner,
      id,
      dates.map((as_of) => ({
        as_of,
        loan_id: prepaid.id,
        originated_on,
        status: as_of < '2020-12-31' ? 'current' : 'prepaid',
      })),
    )
    const of = async (query: string) =>
      (await owner.get(`/portfolios/${id}/vintages?measure=prepayment&step=12&months_max=12&${query}`)).body
    // 11 months and 16 days after origination
    expect((await of('')).cohorts[0]).toMatchObject({ event_count: 2, undated: 1, curve: ['0.000000', '0.333333'] })
    expect((await of('as_of=2021-03-31')).cohorts[0]).toMatchObject({ loan_count: 1, curve: ['0.000000', '1.000000'] })
    expect(await of('as_of=2020-06-30')).toMatchObject({
      as_of: '2020-06-30',
      observed_on: '2020-06-30',
      cohorts: [{ event_count: 0, curve: ['0.000000', null] }],
    })
    expect(await of('as_of=2020-07-31')).toMatchObject({ status: 422, code: 'as_of_without_snapshots' })
    expect(await of('known_at=2019-01-01T00:00:00Z')).toMatchObject({ loan_count: 0 })
  })

  test('refuse a segment of too many values, and answers nobody could read', async ({ shared: { owner }, sql }) => {
    const { id } = await newPortfolio(owner)
    await sql`
      insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, original_principal, status)
      select ${owner.orgId}, gen_random_uuid(), ${id}, n, 'Borrower ' || n % 201, 'USD', date '1850-01-01' + n * 30, 1, 'current'
      from generate_series(1, 2001) n`
    const of = (query: string) => owner.get(`/portfolios/${id}/vintages?${query}`)
    const problem = { status: 422, code: 'too_many_segments' }
    expect((await of('by=borrower_name&months_max=1')).body).toMatchObject(problem)
    expect((await of('cohort=month&months_max=600')).body).toMatchObject(problem)
    expect((await of('by=borrower_name&q=Borrower 1')).status).toBe(200)
    for (const query of ['cohort=week', 'step=2', 'months_max=601', 'by=nothing', 'basis=rate', 'as_of=2021-02-30'])
      expect([query, (await of(query)).body]).toMatchObject([query, { status: 400, code: 'validation_failed' }])
  })

  test('of another organisation do not exist', async ({ api, shared: { id } }) => {
    const stranger = await api.newOwner()
    expect((await stranger.get(`/portfolios/${id}/vintages`)).body).toMatchObject({ status: 404, code: 'not_found' })
  })
})
