import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { loanOf, newLoan, newPortfolio } from '../../../helpers/credit.ts'

describe('a loan', () => {
  test('is refused with what is none, and the answer points at it', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const [change, pointer] of [
      [{ portfolio_id: 'x' }, '/body/portfolio_id'],
      [{ loan_number: '' }, '/body/loan_number'],
      [{ loan_number: 7 }, '/body/loan_number'],
      [{ loan_number: undefined }, '/body/loan_number'],
      [{ borrower_name: null }, '/body/borrower_name'],
      [{ borrower_name: 'a\u0000' }, '/body/borrower_name'],
      [{ borrower_name: 'x'.repeat(301) }, '/body/borrower_name'],
      [{ currency: 'US' }, '/body/currency'],
      [{ originated_on: '2023-02-29' }, '/body/originated_on'],
      [{ originated_on: '29.02.2024' }, '/body/originated_on'],
      [{ originated_on: '2024-02-29T00:00:00Z' }, '/body/originated_on'],
      [{ original_principal: 60000 }, '/body/original_principal'],
      [{ original_principal: '-1' }, '/body/original_principal'],
      [{ original_principal: '1e5' }, '/body/original_principal'],
      [{ original_principal: '1.00001' }, '/body/original_principal'],
      [{ original_principal: '1'.repeat(17) }, '/body/original_principal'],
      [{ original_principal: 'NaN' }, '/body/original_principal'],
      [{ original_principal: ' 1' }, '/body/original_principal'],
      [{ status: 'late' }, '/body/status'],
      [{ term_months: 1.5 }, '/body/term_months'],
      [{ term_months: '12' }, '/body/term_months'],
      [{ term_months: 1e20 }, '/body/term_months'],
      [{ days_past_due: -1 }, '/body/days_past_due'],
      [{ pd_12m: '1.1' }, '/body/pd_12m'],
      [{ stage: 0 }, '/body/stage'],
      [{ country: 'usa' }, '/body/country'],
      [{ attributes: { nested: {} } }, '/body/attributes/nested'],
      [{ attributes: { '': 1 } }, '/body/attributes'],
      [{ attributes: [] }, '/body/attributes'],
      [{ attributes: null }, '/body/attributes'],
      [{ attributes: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, n])) }, '/body/attributes'],
      [{ id: owner.id }, '/body/id'],
      [{ org_id: owner.orgId }, '/body/org_id'],
      [{ import_id: owner.id }, '/body/import_id'],
    ] as const) {
      const { status, body } = await owner.post('/loans', loanOf(id, change))
      expect([change, status, body.errors?.[0].pointer.startsWith(pointer)]).toEqual([change, 400, true])
    }
    expect((await owner.get('/loans')).body.data).toEqual([])
  })

  test('has a number that no other of its portfolio has', async ({ owner }) => {
    const [{ id }, other] = [await newPortfolio(owner), await newPortfolio(owner)]
    const { loan_number } = await newLoan(owner, id)
    const { status, body } = await owner.post('/loans', loanOf(id, { loan_number }))
    expect([status, body.code, body.errors[0].pointer]).toEqual([409, 'already_exists', '/body/loan_number'])
    await newLoan(owner, other.id, { loan_number })
    const second = await newLoan(owner, id)
    expect((await owner.patch(`/loans/${second.id}`, { loan_number })).status).toBe(409)
  })

  test('stays in its portfolio, and keeps the fields that no loan can lack', async ({ owner }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    for (const change of [
      { portfolio_id: loan.portfolio_id },
      { status: null },
      { originated_on: null },
      { id: loan.id },
    ])
      expect([change, (await owner.patch(`/loans/${loan.id}`, change)).status]).toEqual([change, 400])
  })

  test('is changed field by field; null empties a field', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const made = await newLoan(owner, id, { rating: 'A', balance: '5.0000', attributes: { bank: 'X', jobs: 4 } })
    const sent = { rating: null, stage: 2, attributes: { bank: 'Y' } }
    const { status, body } = await owner.patch(`/loans/${made.id}`, sent)
    expect(status).toBe(200)
    expect(body).toEqual({ ...made, ...sent, version: 2, updated_at: body.updated_at })
  })

  test('keeps amounts and rates digit by digit', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const sent = { original_principal: '9999999999999999.9999', balance: '-0.0001', interest_rate: '0.00000001' }
    expect(await newLoan(owner, id, sent)).toMatchObject(sent)
    const { interest_rate } = await newLoan(owner, id, { interest_rate: '9999.99999999' })
    expect(interest_rate).toBe('9999.99999999')
  })

  test('of another organisation is one that never was, for every verb', async ({ api, owner }) => {
    const stranger = await api.newOwner()
    const loan = await newLoan(stranger, (await newPortfolio(stranger)).id)
    expect((await owner.get(`/loans/${loan.id}`)).status).toBe(404)
    expect((await owner.patch(`/loans/${loan.id}`, { rating: 'A' })).status).toBe(404)
    expect((await owner.patch(`/loans/${loan.id}`, { rating: 'A' }, { 'if-match': '"7"' })).status).toBe(404)
    expect((await owner.delete(`/loans/${loan.id}`)).status).toBe(404)
    expect((await owner.delete(`/loans/${loan.id}`, { 'if-match': '"7"' })).status).toBe(404)
    expect((await owner.get(`/loans?portfolio_id=${loan.portfolio_id}`)).body.data).toEqual([])
    expect((await stranger.get(`/loans/${loan.id}`)).body).toEqual(loan)
  })

  test('that is named by no id is a mistake of the caller', async ({ owner }) => {
    for (const id of ['x', '1', '%00', 'A'.repeat(36), '00000000-0000-7000-8000-00000000000G', "'"]) {
      const { status, body } = await owner.get(`/loans/${id}`)
      expect([id, status, body.code]).toEqual([id, 400, 'validation_failed'])
    }
  })

  test('is written by those whose role allows it', async ({ api, owner }) => {
    const { id } = await newPortfolio(owner)
    for (const [role, read, write] of [
      ['admin', 200, 201],
      ['portfolio_manager', 200, 201],
      ['user', 200, 403],
      ['member', 200, 403],
      ['guest', 403, 403],
    ] as const) {
      const person = await api.newUser(owner, role)
      expect([role, (await person.get('/loans')).status]).toEqual([role, read])
      expect([role, (await person.post('/loans', loanOf(id))).status]).toEqual([role, write])
    }
  })
})
