import { expect } from 'vitest'
import { gradesOf, newLoan, newPortfolio, newScale } from '../../../helpers/credit.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

test('a scale is created, read, listed, changed and deleted, and each change has its event', async ({ owner, sql }) => {
  const scale = await newScale(owner, { name: 'Master', agency: 'Own', description: 'Since 2019' })
  expect(scale).toMatchObject({ name: 'Master', agency: 'Own', grades: gradesOf, version: 1 })
  const read = await owner.get(`/rating-scales/${scale.id}`)
  expect([read.body, read.headers.etag]).toEqual([scale, '"1"'])
  expect((await owner.get('/rating-scales?agency=Own&q=mast')).body.data).toEqual([scale])
  const csv = await owner.get('/rating-scales', { accept: 'text/csv' })
  expect(csv.text.split('\r\n')[1] ?? csv.text).toContain('Master')
  const changed = await owner.patch(`/rating-scales/${scale.id}`, { agency: null }, { 'if-match': '"1"' })
  expect(changed.body).toEqual({ ...scale, agency: null, version: 2, updated_at: changed.body.updated_at })
  expect((await owner.patch(`/rating-scales/${scale.id}`, { name: 'X' }, { 'if-match': '"1"' })).status).toBe(412)
  expect((await owner.delete(`/rating-scales/${scale.id}`)).status).toBe(204)
  expect((await owner.get(`/rating-scales/${scale.id}`)).status).toBe(404)
  const events = await eventsOf(sql, scale.id)
  expect(events.map(({ action }) => action).filter((action) => action !== 'rating_scale.exported')).toEqual([
    'rating_scale.created',
    'rating_scale.updated',
    'rating_scale.deleted',
  ])
})

test('a name that another scale of the organisation has is refused', async ({ owner }) => {
  const { name } = await newScale(owner)
  const { id } = await newScale(owner)
  for (const answer of [
    await owner.post('/rating-scales', { name, grades: gradesOf }),
    await owner.patch(`/rating-scales/${id}`, { name }),
  ])
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      409,
      'already_exists',
      '/body/name',
    ])
})

const [a, b, c, d] = gradesOf
const bad: [string, object[], string][] = [
  ['no grade', [], '/body/grades'],
  ['more than sixty', Array.from({ length: 61 }, (_, at) => ({ ...a, grade: `G${at}`, ordinal: at })), '/body/grades'],
  ['one grade twice', [a, { ...b, grade: 'A' }] as object[], '/body/grades/1/grade'],
  ['one ordinal twice', [a, { ...b, ordinal: 1 }] as object[], '/body/grades/1/ordinal'],
  ['ordinals that fall', [b, a] as object[], '/body/grades/1/ordinal'],
  ['a PD that falls, over a grade without one', [b, c, { ...d, pd: '0.01' }] as object[], '/body/grades/2/pd'],
  ['a PD above one', [{ ...a, pd: '1.1' }], '/body/grades/0/pd'],
  ['default before the riskiest grade', [{ ...a, is_default: true }, b] as object[], '/body/grades/0/is_default'],
]

test.for(bad)('grades with %s are refused', async ([, grades, pointer], { owner }) => {
  const { status, body } = await owner.post('/rating-scales', { name: 'Bad', grades })
  expect([status, body.code, body.errors?.[0].pointer]).toEqual([400, 'validation_failed', pointer])
})

test('a scale in use stays, and so do the grades that ratings have, their order and their meaning', async ({
  owner,
}) => {
  const scale = await newScale(owner)
  const portfolio = await newPortfolio(owner, { rating_scale_id: scale.id })
  const url = `/rating-scales/${scale.id}`
  const codeOf = async (answer: Promise<{ status: number; body?: { code: string } }>) => {
    const { status, body } = await answer
    return status < 300 ? status : [status, body?.code]
  }
  expect(await codeOf(owner.delete(url))).toEqual([409, 'in_use'])
  const loan = await newLoan(owner, portfolio.id)
  for (const [grade, effective_from] of [
    ['A', '2021-01-01'],
    ['C', '2022-01-01'],
  ])
    expect((await owner.post('/ratings', { loan_id: loan.id, grade, effective_from })).status).toBe(201)
  await owner.patch(`/portfolios/${portfolio.id}`, { rating_scale_id: null })
  expect(await codeOf(owner.delete(url))).toEqual([409, 'in_use'])
  const change = (grades: unknown[]) => codeOf(owner.patch(url, { grades }))
  expect(await change([a, b, d])).toEqual([409, 'in_use'])
  expect(await change([{ ...c, ordinal: 0 }, { ...a, pd: null }, d])).toEqual([409, 'in_use'])
  expect(await change([a, b, { ...c, is_default: true }])).toEqual([409, 'in_use'])
  expect(
    await change([
      { ...a, ordinal: 10, pd: '0.002' },
      { ...c, ordinal: 30 },
      { ...d, ordinal: 40 },
    ]),
  ).toBe(200)
  await owner.delete(`/loans/${loan.id}`)
  expect(await codeOf(owner.delete(url))).toBe(204)
})

test('a portfolio refers to a scale of its own organisation only', async ({ api, owner }) => {
  const foreign = await newScale(await api.newOwner())
  const portfolio = await newPortfolio(owner)
  for (const answer of [
    await owner.patch(`/portfolios/${portfolio.id}`, { rating_scale_id: foreign.id }),
    await owner.post('/portfolios', { name: 'Book', currency: 'USD', rating_scale_id: foreign.id }),
  ])
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([404, '/body/rating_scale_id'])
})
