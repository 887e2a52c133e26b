import { describe, expect } from 'vitest'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test } from '../../../helpers/sql.ts'

const numbersOf = (body: { data: { loan_number: string }[] }) => body.data.map(({ loan_number }) => loan_number)

/** The database's clock, so that what is asked for lies between two changes. */
const moment = async (sql: import('postgres').Sql) => {
  const [row] =
    await sql`select pg_sleep(0.004), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, pg_sleep(0.004)`
  return row?.at as string
}

describe('a loan at a time', () => {
  test('is what it was then, before it was changed and before it was deleted', async ({ owner, sql }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const before = await moment(sql)
    const loan = await newLoan(owner, portfolio, { loan_number: 'A', balance: '100.00' })
    const first = await moment(sql)
    await owner.patch(`/loans/${loan.id}`, { balance: '70.00' })
    const second = await moment(sql)
    await owner.delete(`/loans/${loan.id}`)
    const read = async (at: string) => (await owner.get(`/loans/${loan.id}?known_at=${at}`)).body
    expect(await read(before)).toMatchObject({ status: 404, code: 'not_found' })
    expect(await read(first)).toEqual(loan)
    expect(await read(second)).toMatchObject({ id: loan.id, balance: '70.0000', version: 2 })
    expect((await owner.get(`/loans/${loan.id}?known_at=${first}`)).headers.etag).toBeUndefined()
    expect((await owner.get(`/loans/${loan.id}`)).status).toBe(404)
    expect((await owner.get(`/loans/${loan.id}?known_at=2100-01-01T00:00:00Z`)).status).toBe(404)
    const listed = await owner.get(`/loans?portfolio_id=${portfolio}&known_at=${first}&balance_gte=71&total=exact`)
    expect([numbersOf(listed.body), listed.body.total]).toEqual([['A'], 1])
    expect(listed.body.data[0]).toEqual(loan)
    const later = await owner.get(`/loans?portfolio_id=${portfolio}&known_at=${second}&balance_gte=71`)
    expect(later.body.data).toEqual([])
  })

  test('as reported for a date is its snapshot, as it is known now or was known', async ({ owner, sql }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const loans: { id: string }[] = []
    for (const loan_number of ['A', 'B', 'C']) loans.push(await newLoan(owner, portfolio, { loan_number }))
    const fields = { borrower_name: 'ABC Hobbycraft', currency: 'USD', originated_on: '2020-01-31' }
    const report = (at: number, balance: string) =>
      owner.send('PUT', `/loans/${loans[at]?.id}/snapshots/2020-12-31`, {
        ...fields,
        ...{ original_principal: '60000', status: 'current', balance },
      })
    for (const at of [0, 1, 2]) expect((await report(at, `${at + 1}0.00`)).status).toBe(200)
    const known = await moment(sql)
    await report(1, '25.00')
    const list = (more = '') => owner.get(`/loans?portfolio_id=${portfolio}&as_of=2020-12-31&sort=balance${more}`)
    const balances = async (more?: string) =>
      (await list(more)).body.data.map(({ balance }: { balance: string }) => balance)
    expect(await balances()).toEqual(['10.0000', '25.0000', '30.0000'])
    expect(await balances(`&known_at=${known}`)).toEqual(['10.0000', '20.0000', '30.0000'])
    expect(await balances('&balance_gte=25')).toEqual(['25.0000', '30.0000'])
    const page = await list('&limit=2')
    const cursor = encodeURIComponent(page.body.next_cursor)
    expect(numbersOf((await list(`&limit=2&cursor=${cursor}`)).body)).toEqual(['C'])
    const other = await owner.get(`/loans?portfolio_id=${portfolio}&sort=balance&limit=2&cursor=${cursor}`)
    expect(other.body.code).toBe('invalid_cursor')
    const one = await owner.get(`/loans/${loans[1]?.id}?as_of=2020-12-31&known_at=${known}`)
    expect(one.body).toMatchObject({ id: loans[1]?.id, balance: '20.0000', loan_number: 'B' })
    expect((await owner.get(`/loans/${loans[1]?.id}`)).body).toEqual(loans[1])
  })

  test('cannot be asked for without its portfolio, nor for a date of which nothing was reported', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const loan = await newLoan(owner, portfolio)
    const unbound = await owner.get('/loans?as_of=2020-12-31')
    expect([unbound.status, unbound.body.errors]).toEqual([
      400,
      [{ pointer: '/querystring/portfolio_id', code: 'required', message: expect.any(String) }],
    ])
    for (const path of [`/loans?portfolio_id=${portfolio}&`, `/loans/${loan.id}?`]) {
      const { status, body } = await owner.get(`${path}as_of=2020-12-31`)
      expect([status, body.code]).toEqual([422, 'as_of_without_snapshots'])
    }
    const impossible = await owner.get(`/loans/${loan.id}?as_of=2020-02-31`)
    expect([impossible.status, impossible.body.code]).toEqual([400, 'validation_failed'])
  })

  test('of another organisation is none', async ({ api, owner }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    const other = await api.newOwner()
    expect((await other.get(`/loans/${loan.id}?known_at=2100-01-01T00:00:00Z`)).status).toBe(404)
    const listed = await other.get(`/loans?portfolio_id=${loan.portfolio_id}&known_at=2100-01-01T00:00:00Z`)
    expect(listed.body.data).toEqual([])
  })
})
