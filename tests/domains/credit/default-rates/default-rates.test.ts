import { describe, expect } from 'vitest'
import type { Client } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

const test = base.extend<{ portfolio: { id: string } }>({
  portfolio: async ({ owner }, use) => use(await newPortfolio(owner, { as_of: '2023-12-31' })),
})

const row = (portfolio: { id: string }, more: object = {}) => ({
  ...{ portfolio_id: portfolio.id, period: '2024-Q1', basis: 'count', opening_performing: '200', new_defaults: '3' },
  ...more,
})

describe('a stored default rate', () => {
  test('is entered, read, listed, corrected and deleted, and each change has its event', async ({
    owner,
    portfolio,
    sql,
  }) => {
    const { status, body } = await owner.post('/default-rates', row(portfolio, { marginal: '0.015' }))
    expect([status, body]).toMatchObject([
      201,
      { segment: 'all', source: 'entered', opening_performing: '200.0000', marginal: '0.01500000', cumulative: null },
    ])
    const url = `/default-rates/${body.id}`
    expect((await owner.get(url)).body).toEqual(body)
    const fourth = await owner.post('/default-rates', row(portfolio, { period: '2023-Q4', segment: 'product=Term' }))
    const list = await owner.get(`/default-rates?portfolio_id=${portfolio.id}&sort=period`)
    expect(list.body.data.map(({ period }: { period: string }) => period)).toEqual(['2023-Q4', '2024-Q1'])
    expect((await owner.get('/default-rates?segment=all&period=2024-Q1&basis=count&source=entered')).body.data).toEqual(
      [body],
    )
    expect(
      (await owner.get('/default-rates', { accept: 'application/x-ndjson' })).text.trim().split('\n'),
    ).toHaveLength(2)
    expect((await owner.patch(url, { new_defaults: '4' })).body.code).toBe('default_rate_inconsistent')
    const changed = await owner.patch(url, { new_defaults: '4', marginal: '0.02' }, { 'if-match': '"1"' })
    expect(changed.body).toMatchObject({ new_defaults: '4.0000', version: 2 })
    expect((await owner.patch(url, { segment: 'all' }, { 'if-match': '"1"' })).status).toBe(412)
    expect((await owner.delete(url)).status).toBe(204)
    expect((await owner.delete(`/default-rates/${fourth.body.id}`)).status).toBe(204)
    expect((await eventsOf(sql, body.id)).map(({ action }) => action)).toEqual([
      ...['default_rate.created', 'default_rate.updated', 'default_rate.deleted'],
    ])
  })

  test('that contradicts itself, or is there already, is refused', async ({ owner, portfolio }) => {
    const post = async (more: object) => {
      const { status, body } = await owner.post('/default-rates', row(portfolio, more))
      return [status, body.code ?? 'made', body.errors?.[0]?.pointer]
    }
    expect(await post({})).toEqual([201, 'made', undefined])
    expect(await post({})).toEqual([409, 'already_exists', '/body/period'])
    expect(await post({ basis: 'balance' })).toEqual([201, 'made', undefined])
    expect(await post({ period: '2024', new_defaults: '201' })).toEqual([
      422,
      'default_rate_inconsistent',
      '/body/new_defaults',
    ])
    expect(await post({ period: '2024', marginal: '0.02' })).toEqual([
      422,
      'default_rate_inconsistent',
      '/body/marginal',
    ])
    for (const [field, value] of [
      ...[
        ['marginal', '1.1'],
        ['cumulative', '-0.1'],
        ['annualised', '0.123456789'],
        ['new_defaults', '-1'],
      ],
      ...[
        ['period', '2024-13'],
        ['period', '2024-Q5'],
        ['period', '24'],
        ['basis', 'loans'],
        ['segment', ' '],
      ],
    ] as [string, string][])
      expect(await post({ [field]: value })).toEqual([400, 'validation_failed', `/body/${field}`])
  })
})

/**
 * Six loans and what becomes of them; 2021 opens with A, B, C (3, 600), 2022 with A, B, D (3, 1,000), 2023 with A, D (2, 800).
 *
 * - A stays; B was originated in 2020 and defaults in the middle of 2022; C matures in 2021, and is gone by 2022
 * - D is of 2021 and is charged off on the last day of 2023, after its maturity
 * - E is of 2022 and defaults in 2022: no opening has it, so it is no default of any
 * - F is in default, and nobody knows since when
 */
const loans = [
  { originated_on: '2020-06-30', original_principal: '100', product: 'Term' },
  {
    originated_on: '2020-12-31',
    original_principal: '200',
    product: 'Term',
    status: 'default',
    defaulted_on: '2022-06-15',
  },
  { originated_on: '2020-01-01', original_principal: '300', matures_on: '2021-12-31', status: 'paid' },
  {
    originated_on: '2021-01-01',
    original_principal: '700',
    matures_on: '2022-12-31',
    status: 'charged_off',
    charged_off_on: '2023-12-31',
  },
  { originated_on: '2022-01-01', original_principal: '50', status: 'default', defaulted_on: '2022-11-01' },
  { originated_on: '2020-01-01', original_principal: '999', status: 'default' },
]

async function fill(owner: Client, portfolio: { id: string }) {
  for (const loan of loans) await newLoan(owner, portfolio.id, loan)
}

type Series = { segment: string | null; periods: Record<string, string | null>[] }
const told = ({ periods }: Series) =>
  periods.map((one) => [
    one.period,
    one.opening_performing,
    one.new_defaults,
    one.marginal,
    one.cumulative,
    one.annualised,
  ])

describe('computed default rates', () => {
  test('are what a small case by hand says, by count and by balance', async ({ owner, portfolio }) => {
    await fill(owner, portfolio)
    const url = `/portfolios/${portfolio.id}/default-rates`
    const { body } = await owner.get(`${url}?period=year`)
    expect(body).toMatchObject({
      ...{ portfolio_id: portfolio.id, currency: 'USD', period: 'year', basis: 'count', by: null, undated_defaults: 1 },
      ...{ as_of: null, known_at: null, filter: {}, formula_version: 1, loan_count: 6 },
    })
    // 1 ÷ 3; 1 − 2/3 = 1/3; 1 ÷ 2; 1 − 2/3 × 1/2 = 2/3
    expect(body.series.map(told)).toEqual([
      [
        ['2021', '3.0000', '0.0000', '0.000000', '0.000000', '0.000000'],
        ['2022', '3.0000', '1.0000', '0.333333', '0.333333', '0.333333'],
        ['2023', '2.0000', '1.0000', '0.500000', '0.666667', '0.500000'],
      ],
    ])
    // 200 ÷ 1,000; 700 ÷ 800; 1 − 0.8 × 0.125 = 0.9
    const balance = await owner.get(`${url}?basis=balance&from=2022-05-05`)
    expect(balance.body.series.map(told)).toEqual([
      [
        ['2022', '1000.0000', '200.0000', '0.200000', '0.200000', '0.200000'],
        ['2023', '800.0000', '700.0000', '0.875000', '0.900000', '0.875000'],
      ],
    ])
    // In the second quarter A, B, D and E perform, and B defaults; in the fourth A, D and E, and E defaults.
    // 1 − 0.75^4 = 0.68359375; 1 − (2/3)^4 = 65/81; 1 − 3/4 × 2/3 = 1/2
    const quarters = await owner.get(`${url}?period=quarter&from=2022-01-01&to=2022-12-31`)
    expect(quarters.body.series.map(told)).toEqual([
      [
        ['2022-Q1', '3.0000', '0.0000', '0.000000', '0.000000', '0.000000'],
        ['2022-Q2', '4.0000', '1.0000', '0.250000', '0.250000', '0.683594'],
        ['2022-Q3', '3.0000', '0.0000', '0.000000', '0.250000', '0.000000'],
        ['2022-Q4', '3.0000', '1.0000', '0.333333', '0.500000', '0.802469'],
      ],
    ])
  })

  test('take a paid loan with a charge-off for no default, as vintages and metrics do', async ({
    owner,
    portfolio,
  }) => {
    const paid = { status: 'paid', charged_off_on: '2022-03-01', charged_off_amount: '10', matures_on: '2022-12-31' }
    await newLoan(owner, portfolio.id, paid)
    await newLoan(owner, portfolio.id, { ...paid, status: 'charged_off' })
    const { body } = await owner.get(`/portfolios/${portfolio.id}/default-rates?from=2022-01-01`)
    // Both perform at the opening of 2022, and one of them defaults.
    expect(body.series.map(told)).toEqual([
      [
        ['2022', '2.0000', '1.0000', '0.500000', '0.500000', '0.500000'],
        ['2023', '0.0000', '0.0000', null, null, null],
      ],
    ])
    const vintages = await owner.get(`/portfolios/${portfolio.id}/vintages?months_max=48&step=12`)
    expect(vintages.body.cohorts[0].curve.at(-2)).toBe('0.500000')
    expect((await owner.get(`/portfolios/${portfolio.id}/metrics`)).body.default_rate.by_count).toBe('0.500000')
  })

  test('are told apart by segments, and take the filters of the loan list', async ({ owner, portfolio }) => {
    await fill(owner, portfolio)
    const url = `/portfolios/${portfolio.id}/default-rates?from=2022-01-01&to=2022-12-31`
    const { body } = await owner.get(`${url}&by=product`)
    expect(body.series.map((series: Series) => [series.segment, ...told(series)])).toEqual([
      [null, ['2022', '1.0000', '0.0000', '0.000000', '0.000000', '0.000000']],
      ['Term', ['2022', '2.0000', '1.0000', '0.500000', '0.500000', '0.500000']],
    ])
    const filtered = await owner.get(`${url}&product=Term`)
    expect(filtered.body).toMatchObject({ loan_count: 2, undated_defaults: 0, filter: { product: 'Term' } })
    expect((await owner.get(`${url}&by=attributes.none`)).body.series).toHaveLength(1)
  })

  test('of an empty portfolio are none; where nothing performed they are null', async ({ owner, portfolio }) => {
    const url = `/portfolios/${portfolio.id}/default-rates`
    expect((await owner.get(url)).body).toMatchObject({ loan_count: 0, series: [{ segment: null, periods: [] }] })
    expect((await owner.get(`${url}?from=2023-01-01`)).body.series.map(told)).toEqual([
      [['2023', '0.0000', '0.0000', null, null, null]],
    ])
    expect((await owner.get(`${url}?by=product`)).body.series).toEqual([])
  })

  test('by a field of more values than an answer holds are refused, and so are too many periods', async ({
    owner,
    portfolio,
    sql,
  }) => {
    const { id } = await newLoan(owner, portfolio.id)
    await sql`
      insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, original_principal, status)
      select org_id, gen_random_uuid(), portfolio_id, 'N-' || n, 'Borrower ' || n, currency, originated_on, original_principal, status
      from loans, generate_series(1, 200) n where id = ${id}`
    const url = `/portfolios/${portfolio.id}/default-rates`
    const many = await owner.get(`${url}?by=borrower_name`)
    expect([many.status, many.body.code]).toEqual([422, 'too_many_segments'])
    const filtered = await owner.get(`${url}?by=borrower_name&q=Borrower`)
    expect([filtered.status, filtered.body.series.length]).toEqual([200, 200])
    const long = await owner.get(`${url}?period=month&from=1900-01-01`)
    expect([long.status, long.body.errors[0].pointer]).toEqual([400, '/querystring/from'])
    for (const query of ['by=loan_number', 'period=week', 'basis=loans', 'from=2023-02-30'])
      expect((await owner.get(`${url}?${query}`)).status, query).toBe(400)
    expect((await owner.get(`${url}?as_of=2020-01-01`)).body.code).toBe('as_of_without_snapshots')
  })

  test('are stored, replace those computed before and nothing else, and leave an event', async ({
    owner,
    portfolio,
    sql,
  }) => {
    await fill(owner, portfolio)
    const url = `/portfolios/${portfolio.id}/default-rates/compute`
    const body = { period: 'year', basis: 'count', by: 'product' }
    const entered = await owner.post('/default-rates', row(portfolio, { period: '2022', segment: 'product=Term' }))
    const first = await owner.post(url, body)
    expect([first.status, first.body]).toMatchObject([200, { segments: 2, stored: 6, replaced: 0, loan_count: 6 }])
    await newLoan(owner, portfolio.id, { originated_on: '2020-02-01', product: 'Term' })
    const again = await Promise.all([
      owner.post(url, { ...body, from: '2022-01-01' }),
      owner.post(url, { ...body, from: '2022-01-01' }),
    ])
    for (const { body: one } of again) expect(one).toMatchObject({ stored: 4, replaced: 4 })
    const stored = (await owner.get(`/default-rates?portfolio_id=${portfolio.id}&segment=product%3DTerm&sort=period`))
      .body.data
    expect(
      stored.map((one: Record<string, unknown>) => [
        one.period,
        one.source,
        one.opening_performing,
        one.marginal,
        one.formula_version,
      ]),
    ).toEqual([
      ['2021', 'computed', '2.0000', '0.00000000', 1],
      ...[
        ['2022', 'entered', '200.0000', null, null],
        ['2022', 'computed', '3.0000', '0.33333333', 1],
      ],
      ['2023', 'computed', '2.0000', '0.00000000', 1],
    ])
    expect((await owner.get(`/default-rates/${entered.body.id}`)).body).toEqual(entered.body)
    const computed = stored.find(({ source }: { source: string }) => source === 'computed')
    const refused = await owner.patch(`/default-rates/${computed.id}`, { new_defaults: '0' })
    expect([refused.status, refused.body.code]).toEqual([409, 'invalid_state'])
    expect((await eventsOf(sql, portfolio.id)).at(-1)).toMatchObject({
      action: 'default_rates.computed',
      after: { period: 'year', basis: 'count', by: 'product', stored: 4, replaced: 4 },
    })
  })

  test('that are computed anew leave none of a segment into which no loan falls any more', async ({
    owner,
    portfolio,
  }) => {
    await fill(owner, portfolio)
    const compute = async (by?: string) =>
      (await owner.post(`/portfolios/${portfolio.id}/default-rates/compute`, { period: 'year', basis: 'count', by }))
        .body
    await compute()
    await compute('product')
    const change = { filter: { product: 'Term' }, patch: { product: 'Line' } }
    expect((await owner.post(`/portfolios/${portfolio.id}/loans/update`, change)).body.updated).toBe(2)
    expect(await compute('product')).toMatchObject({ segments: 2, stored: 6, replaced: 6 })
    const { data } = (await owner.get(`/default-rates?portfolio_id=${portfolio.id}&period=2022&sort=created_at`)).body
    expect(data.map(({ segment }: { segment: string }) => segment)).toEqual(['all', 'product=', 'product=Line'])
  })
})
