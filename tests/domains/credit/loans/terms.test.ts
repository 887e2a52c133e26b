import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { currencyFault, gradeFault } from '../../../../src/domains/credit/loans/rules.ts'
import { loanOf, newLoan, newPortfolio, newScale } from '../../../helpers/credit.ts'
import { importInto } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

const said = ({ status, body }: { status: number; body: { code: string; errors?: { pointer: string }[] } }) => [
  status,
  body.code,
  body.errors?.[0]?.pointer,
]

test('a currency or a grade is judged by the portfolio alone', () => {
  expect(currencyFault('USD', 'USD')).toBeUndefined()
  expect(currencyFault('EUR', 'USD')).toMatchObject({ field: 'currency', code: 'currency_mismatch' })
  expect(gradeFault('A', ['A', 'B'])).toBeUndefined()
  expect(gradeFault('C', ['A', 'B'])).toMatchObject({ field: 'rating', code: 'unknown_grade' })
  for (const nothing of [null, undefined]) expect(gradeFault(nothing, ['A'])).toBeUndefined()
  expect(gradeFault('anything', null)).toBeUndefined()
})

describe('a portfolio', () => {
  test('takes loans of its own currency only, and keeps it while it holds any', async ({ owner }) => {
    const portfolio = await newPortfolio(owner)
    const refused = await owner.post('/loans', loanOf(portfolio.id, { currency: 'EUR' }))
    expect(said(refused)).toEqual([422, 'currency_mismatch', '/body/currency'])
    const keyed = await owner.post('/loans', loanOf(portfolio.id, { currency: 'EUR' }), { 'idempotency-key': 'k' })
    expect(said(keyed)).toEqual(said(refused))
    expect((await owner.patch(`/portfolios/${portfolio.id}`, { currency: 'EUR' })).body.currency).toBe('EUR')
    const loan = await newLoan(owner, portfolio.id, { currency: 'EUR' })
    expect(said(await owner.patch(`/loans/${loan.id}`, { currency: 'USD' }))[1]).toBe('currency_mismatch')
    expect((await owner.patch(`/loans/${loan.id}`, { currency: 'EUR', stage: 2 })).status).toBe(200)
    const held = await owner.patch(`/portfolios/${portfolio.id}`, { currency: 'USD' })
    expect(said(held)).toEqual([422, 'currency_mismatch', '/body/currency'])
    expect((await owner.patch(`/portfolios/${portfolio.id}`, { currency: 'EUR' })).status).toBe(200)
  })

  test('with a scale takes its grades only', async ({ owner, sql }) => {
    const scale = randomUUID()
    const grades = ['A', 'D'].map((grade, ordinal) => ({ grade, ordinal, pd: null, is_default: grade === 'D' }))
    await sql`insert into rating_scales (org_id, id, name, grades) values (${owner.orgId}, ${scale}, 'S', ${sql.json(grades)})`
    const portfolio = await newPortfolio(owner, { rating_scale_id: scale })
    const loan = await newLoan(owner, portfolio.id, { rating: 'A' })
    const refused = await owner.post('/loans', loanOf(portfolio.id, { rating: 'Z' }))
    expect(said(refused)).toEqual([422, 'unknown_grade', '/body/rating'])
    expect(refused.body.detail).toContain('A, D')
    expect(said(await owner.patch(`/loans/${loan.id}`, { rating: 'B' }))[1]).toBe('unknown_grade')
    for (const rating of ['D', null]) expect((await owner.patch(`/loans/${loan.id}`, { rating })).status).toBe(200)
    const [unknown] = await Promise.all([
      owner.post('/portfolios', { name: 'X', currency: 'USD', rating_scale_id: randomUUID() }),
    ])
    expect(said(unknown!)).toEqual([404, 'not_found', '/body/rating_scale_id'])
  })

  test('that is archived changes nothing of what it holds, until it is taken back', async ({ owner }) => {
    const portfolio = await newPortfolio(owner, { rating_scale_id: (await newScale(owner)).id })
    const { id } = await newLoan(owner, portfolio.id, { loan_number: 'L-1' })
    const rating = { loan_id: id, grade: 'A', effective_from: '2021-01-01' }
    const given = (await owner.post('/ratings', rating)).body
    const loan = (await owner.get(`/loans/${id}`)).body
    expect((await owner.post(`/portfolios/${portfolio.id}/archive`)).body.archived_at).toEqual(expect.any(String))
    const attempts = [
      owner.post('/loans', loanOf(portfolio.id)),
      owner.patch(`/loans/${loan.id}`, { stage: 2 }),
      owner.delete(`/loans/${loan.id}`),
      owner.post(`/portfolios/${portfolio.id}/loans/update`, { filter: {}, patch: { stage: 2 } }),
      owner.delete(`/portfolios/${portfolio.id}/snapshots/2020-12-31`),
      owner.patch(`/loans/${loan.id}/snapshots/2020-12-31`, { stage: 2 }),
      owner.post('/ratings', { ...rating, effective_from: '2022-01-01' }),
      owner.patch(`/ratings/${given.id}`, { grade: 'B' }),
      owner.delete(`/ratings/${given.id}`),
      importInto('ratings')(owner, portfolio.id, 'loan_number,grade,effective_from\nL-1,B,2022-01-01\n'),
    ]
    for (const { status, body } of await Promise.all(attempts))
      expect([status, body.code]).toEqual([409, 'portfolio_archived'])
    const bulk = await owner.post('/loans/bulk', { items: [{ op: 'delete', id: loan.id }] })
    expect(bulk.body.results[0]).toMatchObject({ status: 'failed', code: 'portfolio_archived' })
    expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(loan)
    expect((await owner.post(`/portfolios/${portfolio.id}/unarchive`)).body.archived_at).toBeNull()
    expect((await owner.patch(`/loans/${loan.id}`, { stage: 2 })).status).toBe(200)
  })

  test('that is not there is what a loan refers to, whatever its currency', async ({ api, owner }) => {
    const other = await newPortfolio(await api.newOwner(), { currency: 'EUR' })
    for (const id of [other.id, randomUUID()])
      expect(said(await owner.post('/loans', loanOf(id)))).toEqual([404, 'not_found', '/body/portfolio_id'])
  })
})

test('what cannot be refused by a rule of ours is data', async ({ owner }) => {
  const portfolio = await newPortfolio(owner)
  const dirt = { matures_on: '1999-01-01', original_principal: '0', charged_off_amount: '5', status: 'paid' }
  expect((await owner.post('/loans', loanOf(portfolio.id, dirt))).status).toBe(201)
  const negative = await owner.post('/loans', loanOf(portfolio.id, { original_principal: '-1.00' }))
  expect(said(negative)).toEqual([400, 'validation_failed', '/body/original_principal'])
})
