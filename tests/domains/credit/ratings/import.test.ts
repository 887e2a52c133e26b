import { expect } from 'vitest'
import { ratingTarget } from '../../../../src/domains/credit/ratings/imported/queries.ts'
import type { Client } from '../../../helpers/api.ts'
import { newLoan, newPortfolio, newScale } from '../../../helpers/credit.ts'
import { multipart, multipartType } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

const importFile = (client: Client, path: string, lines: string[], fields: Record<string, string> = {}) => {
  const parts = Object.entries(fields).map(([name, value]) => ({ name, value }))
  const file = { name: 'file', value: `${lines.join('\n')}\n`, fileName: 'file.csv' }
  return client.send('POST', path, multipart([...parts, file]), multipartType)
}

async function newBook(owner: Client) {
  const scale = await newScale(owner)
  const portfolio = await newPortfolio(owner, { rating_scale_id: scale.id })
  const loan = await newLoan(owner, portfolio.id, { loan_number: 'L-1' })
  await newLoan(owner, portfolio.id, { loan_number: 'L-2' })
  return { portfolio, loan, path: `/portfolios/${portfolio.id}/ratings/import` }
}

const header = 'loan_number,grade,effective_from,outlook'

test('a file of ratings is loaded, completed, and loaded again without a change', async ({ owner }) => {
  const { portfolio, loan, path } = await newBook(owner)
  const lines = [header, 'L-1,A,2021-01-01,stable', 'L-2,B,2021-01-01,', 'L-1,B,2022-01-01,negative']
  const first = await importFile(owner, path, lines)
  expect([first.status, first.body], first.text).toMatchObject([201, { target: 'rating_history', inserted: 3 }])
  const { data } = (await owner.get(`/loans/${loan.id}/ratings`)).body
  expect(data).toMatchObject([
    { grade: 'A', action: 'assign', effective_to: '2022-01-01', outlook: 'stable', import_id: first.body.id },
    { grade: 'B', action: 'downgrade', effective_to: null, pd: '0.02000000', version: 1 },
  ])
  expect((await owner.get(`/loans/${loan.id}`)).body.rating).toBe('B')
  const again = await importFile(owner, path, lines, { mode: 'upsert' })
  expect(again.body).toMatchObject({ inserted: 0, updated: 0, unchanged: 3 })
  const changed = [...lines.slice(0, 3), 'L-1,B,2022-01-01,stable', 'L-1,C,2021-06-01,']
  expect((await importFile(owner, path, changed, { mode: 'upsert' })).body).toMatchObject({ inserted: 1, updated: 1 })
  const after = (await owner.get(`/ratings?portfolio_id=${portfolio.id}&loan_id=${loan.id}&sort=effective_from`)).body
    .data
  expect(after.map((one: Record<string, unknown>) => [one.grade, one.effective_to, one.action])).toEqual([
    ['A', '2021-06-01', 'assign'],
    ['C', '2022-01-01', 'downgrade'],
    ['B', null, 'upgrade'],
  ])
})

test('rows that name no loan or no grade are rejected, the others are loaded', async ({ owner }) => {
  const { path } = await newBook(owner)
  const lines = [header, 'L-1,A,2021-01-01,', 'L-9,A,2021-01-01,', 'L-2,Z,2021-01-01,', 'L-2,A,2021-02-30,']
  const { status, body } = await importFile(owner, path, lines, { on_error: 'skip' })
  expect([status, body.inserted, body.rejected]).toEqual([201, 1, 3])
  expect(body.errors.map(({ line, code }: { line: number; code: string }) => [line, code]).sort()).toEqual([
    [3, 'unknown_loan'],
    [4, 'unknown_grade'],
    [5, 'date'],
  ])
})

test('ratings that break the rules together fail the import, with the numbers of the loans', async ({ owner }) => {
  const { loan, path } = await newBook(owner)
  const failed = await importFile(owner, path, [header, 'L-2,A,2021-01-01,', 'L-1,D,2021-01-01,', 'L-1,A,2022-01-01,'])
  expect([failed.status, failed.body.code]).toEqual([422, 'rating_after_default'])
  expect(failed.body.detail).toContain('L-1')
  expect((await owner.get(`/loans/${loan.id}/ratings`)).body.data).toEqual([])
  const { id } = await newPortfolio(owner)
  const without = await importFile(owner, `/portfolios/${id}/ratings/import`, [header, 'L-1,A,2021-01-01,'])
  expect([without.status, without.body.code]).toEqual([422, 'rating_scale_missing'])
})

test('a grade that its scale has lost while the file was read fails the import', async ({ api, owner, sql }) => {
  const { portfolio, path } = await newBook(owner)
  const { body } = await importFile(owner, path, [header, 'L-1,A,2021-01-01,', 'L-2,B,2021-01-01,'])
  const settle = () =>
    api.app.pools.ingest.transaction(async (db) => {
      const actor = { user_id: owner.id, principal: `user:${owner.id}`, request_id: 'settle', ip: '' }
      await ratingTarget.settle?.({ db, org_id: owner.orgId, actor }, portfolio.id, body.id)
    })
  await settle()
  await sql`update rating_scales set grades = grades - 0 where id = ${portfolio.rating_scale_id}`
  await expect(settle()).rejects.toMatchObject({ code: 'unknown_grade', message: expect.stringContaining('grade A ') })
})

test('an import of ratings that is rolled back leaves none of them', async ({ owner }) => {
  const { loan, path } = await newBook(owner)
  await owner.post('/ratings', { loan_id: loan.id, grade: 'C', effective_from: '2021-01-01' })
  const { body } = await importFile(owner, path, [header, 'L-1,A,2022-01-01,'])
  expect((await owner.post(`/imports/${body.id}/rollback`)).status).toBe(200)
  expect((await owner.get(`/loans/${loan.id}/ratings`)).body.data).toMatchObject([{ grade: 'C', effective_to: null }])
  expect((await owner.get(`/loans/${loan.id}`)).body.rating).toBe('C')
})

test('a file of default rates is loaded, and what contradicts itself is rejected', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  const path = `/portfolios/${id}/default-rates/import`
  const lines = [
    'period,basis,opening_performing,new_defaults,marginal',
    '2023,count,200,3,0.015',
    '2024,count,200,3,0.02',
  ]
  const { status, body } = await importFile(owner, path, lines, { on_error: 'skip' })
  expect([status, body.inserted, body.errors[0].code], JSON.stringify(body)).toEqual([
    201,
    1,
    'default_rate_inconsistent',
  ])
  const { data } = (await owner.get(`/default-rates?portfolio_id=${id}`)).body
  expect(data).toMatchObject([{ segment: 'all', period: '2023', source: 'imported', import_id: body.id }])
  const again = await importFile(owner, path, lines.slice(0, 2), { mode: 'upsert' })
  expect(again.body).toMatchObject({ inserted: 0, updated: 0, unchanged: 1 })
})
