import { expect } from 'vitest'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { importCsv } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

type Change = {
  field: string
  before: unknown
  after: unknown
  kind: string
  version: number
  changed_by: string | null
}
const told = ({ field, before, after, kind, version }: Change) => [version, kind, field, before, after]

test('the history of a loan tells each field that changed, newest first, from its creation to its deletion', async ({
  owner,
}) => {
  const loan = await newLoan(owner, (await newPortfolio(owner)).id, { balance: '100.00', attributes: { a: null } })
  await owner.patch(`/loans/${loan.id}`, { balance: '70.00', rating: 'B' })
  await owner.patch(`/loans/${loan.id}`, { attributes: { a: 1 } })
  await owner.patch(`/loans/${loan.id}`, { balance: null })
  const path = `/loans/${loan.id}/history?field=balance,rating,attributes`
  const kept = (await owner.get(path)).body.data
  const expected = [
    [4, 'updated', 'balance', '70.0000', null],
    [3, 'updated', 'attributes', { a: null }, { a: 1 }],
    [2, 'updated', 'balance', '100.0000', '70.0000'],
    [2, 'updated', 'rating', null, 'B'],
    [1, 'created', 'attributes', null, { a: null }],
    [1, 'created', 'balance', null, '100.0000'],
  ]
  expect(kept.map(told)).toEqual(expect.arrayContaining(expected))
  expect(kept.map(({ version }: Change) => version)).toEqual([4, 3, 2, 2, 1, 1])
  for (const { kind, changed_by } of kept) expect(changed_by).toBe(kind === 'created' ? null : owner.id)
  expect(kept[0].changed_at > kept[5].changed_at).toBe(true)
  await owner.delete(`/loans/${loan.id}`)
  const all = (await owner.get(`${path}&limit=200`)).body.data
  expect(all.slice(0, 2).map(told)).toEqual(
    expect.arrayContaining([
      [5, 'deleted', 'attributes', { a: 1 }, null],
      [5, 'deleted', 'rating', 'B', null],
    ]),
  )
  expect(all.slice(2)).toEqual(kept)
})

test('the history goes page by page, as CSV, and not to another organisation', async ({ api, owner }) => {
  const loan = await newLoan(owner, (await newPortfolio(owner)).id)
  for (const balance of ['3', '2', '1']) await owner.patch(`/loans/${loan.id}`, { balance })
  const path = `/loans/${loan.id}/history?field=balance`
  const first = await owner.get(`${path}&limit=2`)
  const rest = await owner.get(`${path}&limit=2&cursor=${encodeURIComponent(first.body.next_cursor)}`)
  expect([...first.body.data, ...rest.body.data].map(({ after }) => after)).toEqual(['1.0000', '2.0000', '3.0000'])
  const csv = (await owner.get(path, { accept: 'text/csv' })).text.split('\r\n')
  expect([csv.length, csv[0]]).toEqual([5, 'id,field,before,after,kind,version,changed_at,changed_by,import_id'])
  expect((await (await api.newOwner()).get(path)).status).toBe(404)
  expect((await owner.get(`/loans/${loan.id}/history?field=org_id`)).status).toBe(400)
})

test('what an import made is told by its id', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  const header = 'loan_number,borrower_name,currency,originated_on,original_principal,status'
  const { body } = await importCsv(owner, id, `${header}\nL-1,ABC,USD,2020-01-31,60000.00,current\n`)
  const [loan] = (await owner.get(`/loans?portfolio_id=${id}`)).body.data
  const [change] = (await owner.get(`/loans/${loan.id}/history?field=status`)).body.data
  expect(change).toMatchObject({ kind: 'created', after: 'current', import_id: body.id, changed_by: null })
})
