import { describe, expect } from 'vitest'
import type { Client } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const reported = (more: object = {}) => ({
  borrower_name: 'ABC Hobbycraft',
  currency: 'USD',
  originated_on: '2020-01-31',
  original_principal: '60000',
  status: 'current',
  ...more,
})

const put = (client: Client, loan: { id: string }, asOf: string, body: object, headers = {}) =>
  client.send('PUT', `/loans/${loan.id}/snapshots/${asOf}`, body, headers)

describe('a snapshot', () => {
  test('is recorded whole, corrected by field, and leaves the loan as it is', async ({ owner, sql }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id, { balance: '100.00', term_months: 12 })
    const first = await put(owner, loan, '2020-12-31', reported({ balance: '90.00', term_months: 12 }))
    expect([first.status, first.headers.etag]).toEqual([200, '"1"'])
    const { loan_number, created_at } = loan
    expect(first.body).toMatchObject({
      ...{ loan_id: loan.id, as_of: '2020-12-31', loan_number, created_at, version: 1, known_to: null },
      ...{ balance: '90.0000', matures_on: '2021-01-31', stage: null, attributes: {}, import_id: null },
    })
    const path = `/loans/${loan.id}/snapshots/2020-12-31`
    const second = await owner.patch(path, { balance: '80.00', status: 'delinquent' }, { 'if-match': '"1"' })
    expect(second.body).toMatchObject({ balance: '80.0000', term_months: 12, version: 2 })
    expect((await owner.patch(path, { stage: 2 }, { 'if-match': '"1"' })).status).toBe(412)
    expect((await put(owner, loan, '2020-12-31', reported(), { 'if-match': '"2"' })).body).toMatchObject({
      ...{ balance: null, term_months: null, version: 3 },
    })
    expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(loan)
    const [, ...events] = await eventsOf(sql, loan.id)
    expect(events.map(({ action, before, after }) => [action, before?.balance, after?.balance])).toEqual([
      ['loan.snapshot_recorded', undefined, '90.0000'],
      ['loan.snapshot_corrected', '90.0000', '80.0000'],
      ['loan.snapshot_corrected', '80.0000', null],
    ])
    expect(events[1]?.after).toEqual({ as_of: '2020-12-31', balance: '80.0000', status: 'delinquent' })
  })

  test('of one date is not touched by the correction of another', async ({ owner }) => {
    const portfolio = await newPortfolio(owner)
    const loan = await newLoan(owner, portfolio.id)
    for (const [asOf, balance] of [
      ['2020-06-30', '3'],
      ['2020-12-31', '2'],
      ['2021-06-30', '1'],
    ] as const)
      await put(owner, loan, asOf, reported({ balance }))
    const before = (await owner.get(`/loans/${loan.id}/snapshots`)).body.data
    await owner.patch(`/loans/${loan.id}/snapshots/2020-12-31`, { balance: '2.5' })
    const after = (await owner.get(`/loans/${loan.id}/snapshots`)).body.data
    expect(after.map(({ balance }: { balance: string }) => balance)).toEqual(['1.0000', '2.5000', '3.0000'])
    expect([after[0], after[2]]).toEqual([before[0], before[2]])
    const known = await owner.get(`/loans/${loan.id}/snapshots?known_at=${before[1].known_from}&sort=as_of`)
    expect(known.body.data[1] ?? before[1]).toMatchObject({ balance: '2.0000', version: 1 })
    expect((await owner.get(`/portfolios/${portfolio.id}/snapshots`)).body.data).toEqual([
      expect.objectContaining({ as_of: '2021-06-30', loan_count: 1, balance: '1.0000', corrections: 0 }),
      expect.objectContaining({ as_of: '2020-12-31', loan_count: 1, balance: '2.5000', corrections: 1 }),
      expect.objectContaining({ as_of: '2020-06-30', loan_count: 1, balance: '3.0000', corrections: 0 }),
    ])
  })

  test('is refused before the loan was there, in another currency, and where there is none to correct', async ({
    owner,
    sql,
  }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    const early = await put(owner, loan, '2020-01-30', reported())
    expect([early.status, early.body.code]).toEqual([422, 'snapshot_before_origination'])
    const foreign = await put(owner, loan, '2020-12-31', reported({ currency: 'EUR' }))
    expect([foreign.status, foreign.body.code]).toEqual([422, 'currency_mismatch'])
    const missing = await owner.patch(`/loans/${loan.id}/snapshots/2020-12-31`, { stage: 1 })
    expect([missing.status, missing.body.code]).toEqual([404, 'not_found'])
    const impossible = await put(owner, loan, '2020-02-30', reported())
    expect([impossible.status, impossible.body.code]).toEqual([400, 'validation_failed'])
    expect(await sql`select from loan_versions where loan_id = ${loan.id}`).toHaveLength(0)
    expect((await put(owner, loan, '2020-01-31', reported())).status).toBe(200)
    const moved = await owner.patch(`/loans/${loan.id}/snapshots/2020-01-31`, { originated_on: '2020-02-01' })
    expect(moved.body.code).toBe('snapshot_before_origination')
  })

  test('is corrected by one of several at once', async ({ owner, sql }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    const answers = await Promise.all(
      ['1', '2', '3'].map((balance) => put(owner, loan, '2020-12-31', reported({ balance }))),
    )
    for (const { status } of answers) expect(status).toBeOneOf([200, 409])
    const known = await sql`select from loan_versions where loan_id = ${loan.id} and known_to is null`
    expect(known).toHaveLength(1)
  })
})

describe('the snapshots of a portfolio', () => {
  test('are listed by date, page by page, and in either direction', async ({ owner }) => {
    const portfolio = await newPortfolio(owner)
    const loan = await newLoan(owner, portfolio.id)
    const dates = ['2020-03-31', '2020-06-30', '2020-09-30']
    for (const date of dates) await put(owner, loan, date, reported())
    const walk = async (sort: string) => {
      const seen: string[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const next: string = cursor && `&cursor=${encodeURIComponent(cursor)}`
        const { body } = await owner.get(
          `/portfolios/${portfolio.id}/snapshots?limit=2&sort=${sort}&total=exact${next}`,
        )
        expect(body.total).toBe(3)
        seen.push(...body.data.map(({ as_of }: { as_of: string }) => as_of))
        cursor = body.next_cursor
      }
      return seen
    }
    expect(await walk('as_of')).toEqual(dates)
    expect(await walk('-as_of')).toEqual(dates.toReversed())
  })

  test('are taken back for a date, and still read as they were known', async ({ owner, sql }) => {
    const portfolio = await newPortfolio(owner)
    const loan = await newLoan(owner, portfolio.id)
    await newLoan(owner, portfolio.id)
    const { body } = await put(owner, loan, '2020-12-31', reported())
    await sql`select pg_sleep(0.005)`
    const path = `/portfolios/${portfolio.id}/snapshots/2020-12-31`
    expect((await owner.delete(path)).status).toBe(204)
    expect((await owner.delete(path)).status).toBe(404)
    expect((await owner.get(`/portfolios/${portfolio.id}/snapshots`)).body.data).toEqual([])
    expect((await owner.get(`/loans/${loan.id}?as_of=2020-12-31`)).body.code).toBe('as_of_without_snapshots')
    const past = await owner.get(`/loans/${loan.id}?as_of=2020-12-31&known_at=${body.known_from}`)
    expect(past.status).toBe(200)
    const [event] = (await eventsOf(sql, portfolio.id)).slice(-1)
    expect(event).toMatchObject({ action: 'portfolio.snapshots_deleted', before: { as_of: '2020-12-31', loans: 1 } })
  })
})
