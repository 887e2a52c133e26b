import { describe, expect } from 'vitest'
import { loanOf, newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

describe('loans in bulk', () => {
  test('are created, changed and deleted each by itself, and what fails is told', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const [a, b] = [await newLoan(owner, portfolio), await newLoan(owner, portfolio)]
    const { status, body } = await owner.post('/loans/bulk', {
      items: [
        { op: 'create', data: loanOf(portfolio, { loan_number: 'NEW' }) },
        { op: 'update', id: a.id, version: 1, data: { stage: 2 } },
        { op: 'update', id: a.id, version: 1, data: { stage: 3 } },
        { op: 'create', data: loanOf(portfolio, { loan_number: 'NEW' }) },
        { op: 'create', data: { portfolio_id: portfolio } },
        { op: 'create', data: loanOf(portfolio, { currency: 'EUR' }) },
        { op: 'update', data: { stage: 1 } },
        { op: 'delete', id: b.id },
        { op: 'delete', id: b.id },
      ],
    })
    expect([status, body.succeeded, body.failed]).toEqual([200, 3, 6])
    expect(body.results.map(({ code }: { code?: string }) => code)).toEqual([
      ...[undefined, undefined, 'version_mismatch', 'already_exists', 'validation_failed', 'currency_mismatch'],
      ...['validation_failed', undefined, 'not_found'],
    ])
    expect((await owner.get(`/loans/${a.id}`)).body).toMatchObject({ stage: 2, version: 2 })
    expect((await owner.get('/loans?loan_number=NEW')).body.data).toHaveLength(1)
  })

  test('are changed all or none where that is asked for', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const loan = await newLoan(owner, portfolio)
    const items = [
      { op: 'update', id: loan.id, data: { stage: 2 } },
      { op: 'delete', id: '00000000-0000-7000-8000-000000000000' },
    ]
    const { status, body } = await owner.post('/loans/bulk', { items, atomic: true })
    expect([status, body.code, body.errors[0].pointer]).toEqual([404, 'not_found', '/body/items/1'])
    expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(loan)
  })
})

describe('all loans of a filter', () => {
  test('may be the same in two requests at once, whatever their order', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const loans = await Promise.all(Array.from({ length: 20 }, () => newLoan(owner, portfolio)))
    const change = (stage: number, some: typeof loans) =>
      owner.post('/loans/bulk', { items: some.map(({ id }) => ({ op: 'update', id, data: { stage } })) })
    const answers = await Promise.all([1, 2, 3].flatMap((n) => [change(n, loans), change(n, loans.toReversed())]))
    expect(answers.map(({ status, body }) => [status, body.succeeded])).toEqual(Array(6).fill([200, 20]))
  })

  test('are patched at once, with their history and one event', async ({ owner, sql }) => {
    const portfolio = await newPortfolio(owner)
    const path = `/portfolios/${portfolio.id}/loans/update`
    const loans = []
    for (const [balance, stage] of [
      ['10', 1],
      ['20', 2],
      ['30', null],
    ] as const)
      loans.push(await newLoan(owner, portfolio.id, { balance, stage }))
    const elsewhere = await newLoan(owner, (await newPortfolio(owner)).id, { balance: '99' })
    const request = { filter: { balance_gte: '20' }, patch: { stage: 2, attributes: { seen: true } } }
    const counts = { matched: 2, updated: 2, unchanged: 0 }
    expect((await owner.post(path, { ...request, dry_run: true })).body).toEqual({ ...counts, dry_run: true })
    expect((await owner.get(`/loans/${loans[2].id}`)).body).toEqual(loans[2])
    expect((await owner.post(path, request)).body).toEqual({ ...counts, dry_run: false })
    expect((await owner.get(`/loans/${loans[2].id}`)).body).toMatchObject({
      ...{ stage: 2, version: 2, attributes: { seen: true } },
    })
    for (const loan of [loans[0], elsewhere]) expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(loan)
    const [change] = (await owner.get(`/loans/${loans[2].id}/history?field=stage`)).body.data
    expect(change).toMatchObject({ before: null, after: 2, changed_by: owner.id, version: 2 })
    const again = await owner.post(path, { filter: {}, patch: { stage: 2 } })
    expect(again.body).toMatchObject({ matched: 3, updated: 1, unchanged: 2 })
    const events = (await eventsOf(sql, portfolio.id)).slice(1)
    expect(events.map(({ action, after }) => [action, after?.updated])).toEqual([
      ['portfolio.loans_updated', 2],
      ['portfolio.loans_updated', 1],
    ])
    expect(events[0]?.after).toEqual({ ...request, ...counts })
  })

  test('are not patched where the patch or the filter is none of a loan', async ({ api, owner }) => {
    const { id } = await newPortfolio(owner)
    await newLoan(owner, id)
    const path = `/portfolios/${id}/loans/update`
    const codeOf = async (body: object) => (await owner.post(path, body)).body.code
    expect(await codeOf({ filter: {}, patch: {} })).toBe('validation_failed')
    expect(await codeOf({ filter: {}, patch: { loan_number: 'X' } })).toBe('validation_failed')
    expect(await codeOf({ filter: { portfolio_id: id }, patch: { stage: 1 } })).toBe('validation_failed')
    expect(await codeOf({ patch: { stage: 1 } })).toBe('validation_failed')
    expect(await codeOf({ filter: {}, patch: { currency: 'EUR' } })).toBe('currency_mismatch')
    const other = await api.newOwner()
    expect((await other.post(path, { filter: {}, patch: { stage: 1 } })).status).toBe(404)
  })
})

test('changes that wait for their turn take no connection from others', async ({ api, owner, sql }) => {
  const { id } = await newPortfolio(owner)
  const loan = await newLoan(owner, id)
  const answers = await sql.begin(async (busy) => {
    await busy`select from loans where id = ${loan.id} for update`
    const patch = { filter: {}, patch: { stage: 2 } }
    const asked = Array.from({ length: api.config.database.poolMax + 1 }, (_, at) =>
      owner.post(`/portfolios/${id}/loans/update`, patch, { 'idempotency-key': `turn-${at}` }),
    )
    await expect.poll(async () => (await sql`select from pg_locks where not granted`).length).toBe(1)
    expect((await owner.get(`/portfolios/${id}`)).status).toBe(200)
    return { asked }
  })
  expect((await Promise.all(answers.asked)).map(({ status }) => status)).not.toContain(503)
})
