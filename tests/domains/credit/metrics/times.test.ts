import { expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { newBook, report } from '../../../helpers/credit-book.ts'
import { test } from '../../../helpers/sql.ts'

const read = async (owner: Person, path: string) => {
  const { status, body } = await owner.get(path)
  expect(status, JSON.stringify(body)).toBe(200)
  const { computed_at: _, ...figures } = body
  return figures
}

test('figures of a reporting date are those of its snapshots; a correction changes that date alone, and only as known since', async ({
  owner,
  sql,
}) => {
  const { id } = await newBook(owner)
  const at = (query: string) => read(owner, `/portfolios/${id}/metrics?${query}`)
  // Two dates are reported; a month later E is corrected for the first of them.
  await report(sql, id, '2023-10-31', {}, { from: '2023-11-05T00:00:00Z', only: 'ABCDFGH' })
  await report(
    sql,
    id,
    '2023-10-31',
    { days_past_due: 20 },
    { from: '2023-11-05T00:00:00Z', to: '2023-12-05T00:00:00Z', only: 'E' },
  )
  await report(sql, id, '2023-11-30', { days_past_due: 20 }, { from: '2023-12-01T00:00:00Z', only: 'AE' })
  const [asReported, other, current] = [
    await at('as_of=2023-10-31&known_at=2023-12-01T00:00:00Z'),
    await at('as_of=2023-11-30'),
    await at(''),
  ]
  await report(
    sql,
    id,
    '2023-10-31',
    { balance: '1300', days_past_due: 120 },
    { from: '2023-12-05T00:00:00Z', only: 'E' },
  )

  // Of 1,800 only D's 200 are more than 30 days past due, and F is in default.
  expect(asReported).toMatchObject({
    ...{ as_of: '2023-10-31', known_at: '2023-12-01T00:00:00Z', reference_date: '2023-10-31', loan_count: 8 },
    ...{ balance: '1800.0000', par_30: '0.111111', default_rate: { by_count: '0.125000' } },
    // Three months younger: (800 x 9 + 400 x 3 + 200 x 21 + 300 x 45) / 1,800; C and G are not born yet
    weighted_average_age_months: '14.500000',
  })
  expect(await at('as_of=2023-10-31&known_at=2023-12-01T00:00:00Z')).toEqual(asReported)
  // By now E's 1,300 are, too: 1,500 of 2,800.
  const corrected = await at('as_of=2023-10-31')
  expect(corrected).toMatchObject({ balance: '2800.0000', par_30: '0.535714', default_rate: { by_count: '0.250000' } })
  // What does not depend on E's balance and days stays.
  for (const name of [
    'loan_count',
    'original_principal',
    'commitment',
    'weighted_average_rate',
    'loss_rate',
    'recovery_rate',
  ])
    expect([name, corrected[name]]).toEqual([name, asReported[name]])
  expect(corrected.by_status.current).toEqual(asReported.by_status.current)
  expect(await at('as_of=2023-11-30')).toEqual(other)
  expect(await at('')).toEqual(current)
  expect(other).toMatchObject({ loan_count: 2, balance: '1100.0000' })
})

test('figures as known at a time leave out what was edited, added and deleted since', async ({ owner, sql }) => {
  const { id, loans } = await newBook(owner)
  await sql`update loans set updated_at = updated_at - interval '1 hour' where portfolio_id = ${id}`
  const before = await read(owner, `/portfolios/${id}/metrics`)
  const known = new Date(Date.now() - 1_800_000).toISOString()
  const path = `/portfolios/${id}/metrics?known_at=${known}`
  await owner.patch(`/loans/${loans.A}`, { balance: '0', status: 'paid' })
  await owner.delete(`/loans/${loans.B}`)
  expect(await read(owner, `/portfolios/${id}/metrics`)).toMatchObject({ loan_count: 7, balance: '600.0000' })
  expect(await read(owner, path)).toEqual({ ...before, known_at: known })
  expect(await read(owner, `/portfolios/${id}/metrics?known_at=2000-01-01T00:00:00Z`)).toMatchObject({ loan_count: 0 })
})

test('figures as known at a time count to no later date, wherever the portfolio is by now', async ({ owner }) => {
  const { id } = await newBook(owner, { as_of: null })
  const on = async (query: string) => (await read(owner, `/portfolios/${id}/metrics?${query}`)).reference_date
  expect(await on('known_at=2021-03-05T23:30:00-05:00')).toBe('2021-03-05')
  await owner.patch(`/portfolios/${id}`, { as_of: '2024-01-31' })
  expect(await on('known_at=2021-03-05T12:00:00Z')).toBe('2021-03-05')
  expect(await on('known_at=2024-03-05T12:00:00Z')).toBe('2024-01-31')
})

test('a date for which nothing was reported is refused with the nearest ones, by every figure', async ({
  owner,
  sql,
}) => {
  const { id } = await newBook(owner)
  await report(sql, id, '2023-10-31', {}, { from: '2023-11-05T00:00:00Z' })
  for (const what of ['metrics?', 'metrics/segments?by=sector&', 'delinquency?', 'concentration?']) {
    const { status, body } = await owner.get(`/portfolios/${id}/${what}as_of=2023-11-30`)
    expect([what, status, body.code]).toEqual([what, 422, 'as_of_without_snapshots'])
    expect(body.detail).toContain('2023-10-31')
  }
  const early = await owner.get(`/portfolios/${id}/metrics?as_of=2023-10-31&known_at=2023-11-01T00:00:00Z`)
  expect([early.status, early.body.code]).toEqual([422, 'as_of_without_snapshots'])
})
