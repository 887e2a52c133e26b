import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { loanOf, newPortfolio } from '../../../helpers/credit.ts'
import { newBook, report } from '../../../helpers/credit-book.ts'
import { importCsv } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

type Row = Record<string, unknown>

const segmentsOf = async (owner: Person, id: string, query: string) => {
  const { status, body } = await owner.get(`/portfolios/${id}/metrics/segments?${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}
const named = ({ segments }: { segments: Row[] }, ...names: string[]) =>
  segments.map((row) => names.map((name) => row[name]))

describe('the segments of a portfolio', () => {
  test('have the figures that a hand computes, the largest first, and null for loans that do not say', async ({
    owner,
    sql,
  }) => {
    const { id } = await newBook(owner)
    const answer = await segmentsOf(owner, id, 'by=sector')
    expect(answer).toMatchObject({
      by: 'sector',
      by2: null,
      segment_count: 3,
      loan_count: 8,
      formula_version: 2,
      filter: {},
    })
    expect(answer.segments).toMatchObject([
      // A and B
      {
        ...{ segment: '11', segment_2: null, is_other: false, segments: 1, loan_count: 2, balance: '1200.0000' },
        ...{ balance_share: '0.666667', weighted_average_rate: '0.066667', weighted_average_pd_12m: '0.013333' },
        ...{
          ead: '1500.0000',
          expected_loss: '10.2000',
          par_30: '0.000000',
          npl_ratio: '0.000000',
          recovery_rate: null,
        },
      },
      // C, E, F, G and H: E of 400 is in default, E and F of 4,500
      {
        ...{
          segment: null,
          loan_count: 5,
          balance: '400.0000',
          balance_share: '0.222222',
          weighted_average_rate: null,
        },
        ...{ ead: '700.0000', expected_loss: '210.0000', par_30: '0.750000', npl_ratio: '0.750000' },
        default_rate: { by_count: '0.400000', by_balance: '0.750000', by_original_principal: '0.888889' },
        ...{ loss_rate: '0.200000', recovery_rate: '0.250000' },
      },
      // D
      {
        segment: '22',
        loan_count: 1,
        balance: '200.0000',
        balance_share: '0.111111',
        weighted_average_age_months: '24.000000',
      },
    ])

    const folded = await segmentsOf(owner, id, 'by=sector&limit=1')
    expect(named(folded, 'segment', 'is_other', 'segments', 'loan_count', 'balance')).toEqual([
      ['11', false, 1, 2, '1200.0000'],
      [null, true, 2, 6, '600.0000'],
    ])
    expect(named(await segmentsOf(owner, id, 'by=sector&limit=3'), 'segment', 'is_other')).toHaveLength(3)

    const twice = await segmentsOf(owner, id, 'by=status&by2=stage&status_in=current,paid')
    expect(twice).toMatchObject({
      by2: 'stage',
      segment_count: 4,
      loan_count: 5,
      filter: { status_in: 'current,paid' },
    })
    expect(named(twice, 'segment', 'segment_2', 'loan_count', 'balance')).toEqual([
      ['current', '1', 2, '1200.0000'],
      ['current', '2', 1, '100.0000'],
      ['current', null, 1, '0.0000'],
      ['paid', null, 1, '0.0000'],
    ])
    expect(named(await segmentsOf(owner, id, 'by=origination_year&status=delinquent'), 'segment', 'balance')).toEqual([
      ['2020', '300.0000'],
      ['2022', '200.0000'],
    ])

    await report(sql, id, '2023-10-31', { sector: '33', balance: '10' })
    expect(
      named(await segmentsOf(owner, id, 'by=sector&as_of=2023-10-31'), 'segment', 'loan_count', 'balance'),
    ).toEqual([['33', 8, '80.0000']])
  })

  test('may be made by any attribute of the tape', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const [bank, balance] of [
      ['North', '5'],
      ['South', '7'],
      ['North', '3'],
    ])
      await owner.post('/loans', loanOf(id, { balance, attributes: { "bank's": bank } }))
    const by = encodeURIComponent("attributes.bank's")
    expect(named(await segmentsOf(owner, id, `by=${by}&by2=${by}`), 'segment', 'segment_2', 'balance')).toEqual([
      ['North', 'North', '8.0000'],
      ['South', 'South', '7.0000'],
    ])
    const { body } = await owner.get(`/portfolios/${id}/concentration?by=${by}`)
    expect(body.top.map(({ segment }: Row) => segment)).toEqual(['North', 'South'])
  })

  test('of an empty portfolio are none', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    expect(await segmentsOf(owner, id, 'by=sector')).toMatchObject({ segment_count: 0, loan_count: 0, segments: [] })
  })

  test('are refused with their number where a field has a thousand values, unless a limit folds them', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const rows = Array.from({ length: 1_000 }, (_, n) => `L-${n},B,USD,2020-01-31,100,${n + 1},current,S${n}\n`)
    const header = 'loan_number,borrower_name,currency,originated_on,original_principal,balance,status,sector\n'
    expect((await importCsv(owner, id, header + rows.join(''))).status).toBe(201)
    const { status, body } = await owner.get(`/portfolios/${id}/metrics/segments?by=sector`)
    expect([status, body.code, body.segments]).toEqual([422, 'too_many_segments', 1_000])
    expect(body.detail).toContain('limit')
    const folded = await segmentsOf(owner, id, 'by=sector&limit=2')
    expect(folded.segment_count).toBe(1_000)
    // 1 + 2 + … + 1,000 = 500,500, less 1,000 and 999
    expect(named(folded, 'segment', 'is_other', 'segments', 'balance')).toEqual([
      ['S999', false, 1, '1000.0000'],
      ['S998', false, 1, '999.0000'],
      [null, true, 998, '498501.0000'],
    ])
    expect((await segmentsOf(owner, id, 'by=sector&limit=200')).segments).toHaveLength(201)
    expect((await segmentsOf(owner, id, 'by=sector&balance_gte=801')).segments).toHaveLength(200)
  })

  test('ask for a field that tells loans apart', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const query of [
      '',
      'by=balance',
      'by=attributes.',
      'by=sector&by2=id',
      'by=sector&limit=0',
      'by=sector&limit=201',
    ])
      expect([query, (await owner.get(`/portfolios/${id}/metrics/segments?${query}`)).status]).toEqual([query, 400])
  })
})
