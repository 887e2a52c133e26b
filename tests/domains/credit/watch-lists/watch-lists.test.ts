import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test } from '../../../helpers/sql.ts'

const newList = async (owner: { post: (path: string, body: object) => Promise<{ body: { id: string } }> }, more = {}) =>
  (await owner.post('/watch-lists', { name: `List ${randomUUID()}`, ...more })).body

describe('a watch list', () => {
  test('is made, read, changed and deleted', async ({ owner }) => {
    const criteria = { status_in: 'default,delinquent', days_past_due_gte: 30 }
    const made = await owner.post('/watch-lists', { name: 'Late', criteria })
    expect([made.status, made.headers.location]).toEqual([201, `/api/v1/watch-lists/${made.body.id}`])
    expect(made.body).toMatchObject({ name: 'Late', criteria, description: null, version: 1 })
    const path = `/watch-lists/${made.body.id}`
    expect((await owner.get(path)).body).toEqual(made.body)
    const changed = await owner.patch(path, { criteria: null, description: 'By hand' }, { 'if-match': '"1"' })
    expect(changed.body).toMatchObject({ criteria: null, description: 'By hand', version: 2 })
    expect((await owner.get('/watch-lists?q=late')).body.data).toEqual([changed.body])
    expect((await owner.post('/watch-lists', { name: 'Late' })).body.code).toBe('already_exists')
    expect((await owner.delete(path)).status).toBe(204)
    expect((await owner.get(path)).status).toBe(404)
  })

  test('has criteria that the list of loans would take, and no others', async ({ owner }) => {
    for (const criteria of [{}, { org_id: owner.orgId }, { stage: 4 }, { stage: '2' }, { status: 'late' }, [], 'x'])
      expect([criteria, (await owner.post('/watch-lists', { name: 'Bad', criteria })).body.code]).toEqual([
        criteria,
        'validation_failed',
      ])
  })

  test('shows what was entered and what meets its criteria, each once and with why', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const late = await newLoan(owner, portfolio, { loan_number: 'A', days_past_due: 40 })
    const both = await newLoan(owner, portfolio, { loan_number: 'B', days_past_due: 50 })
    const entered = await newLoan(owner, portfolio, { loan_number: 'C' })
    await newLoan(owner, portfolio, { loan_number: 'D', days_past_due: 1 })
    const list = await newList(owner, { criteria: { portfolio_id: portfolio, days_past_due_gte: 30 } })
    const entries: Record<string, string> = {}
    for (const { id } of [both, entered]) {
      const made = await owner.post(`/watch-lists/${list.id}/entries`, { loan_id: id, reason: 'Rumours' })
      expect([made.status, made.body.added_by]).toEqual([201, owner.id])
      entries[id] = made.body.id
    }
    const path = `/watch-lists/${list.id}/loans?sort=loan_number`
    const { body } = await owner.get(`${path}&total=exact`)
    const why = (loan: { id: string }, meets: boolean) => ({
      ...loan,
      meets_criteria: meets,
      ...(entries[loan.id]
        ? { entry_id: entries[loan.id], reason: 'Rumours', added_by: owner.id, added_at: expect.stringMatching(/Z$/) }
        : { entry_id: null, reason: null, added_by: null, added_at: null }),
    })
    expect([body.data, body.total]).toEqual([[why(late, true), why(both, true), why(entered, false)], 3])
    const first = await owner.get(`${path}&limit=2`)
    const rest = await owner.get(`${path}&limit=2&cursor=${encodeURIComponent(first.body.next_cursor)}`)
    expect([...first.body.data, ...rest.body.data]).toEqual(body.data)
    const csv = (await owner.get(path, { accept: 'text/csv' })).text.trim().split('\r\n')
    expect([csv.length, csv[0]?.split(',').at(-4)]).toEqual([4, 'entry_id'])
  })
})

describe('an entry', () => {
  test('is of this organisation, made once, changed and taken away', async ({ api, owner }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    const [list, another] = [await newList(owner), await newList(owner)]
    const path = `/watch-lists/${list.id}/entries`
    const { body: entry } = await owner.post(path, { loan_id: loan.id })
    expect((await owner.post(path, { loan_id: loan.id })).body.code).toBe('already_exists')
    const unknown = await owner.post(path, { loan_id: randomUUID() })
    expect([unknown.status, unknown.body.errors[0].pointer]).toEqual([404, '/body/loan_id'])
    expect((await owner.post(`/watch-lists/${randomUUID()}/entries`, { loan_id: loan.id })).status).toBe(404)
    expect((await (await api.newOwner()).post(path, { loan_id: loan.id })).status).toBe(404)
    expect((await owner.patch(`${path}/${entry.id}`, { reason: 'Late' })).body).toMatchObject({ reason: 'Late' })
    expect((await owner.delete(`/watch-lists/${another.id}/entries/${entry.id}`)).status).toBe(404)
    expect((await owner.delete(`${path}/${entry.id}`)).status).toBe(204)
    expect((await owner.get(`${path}/${entry.id}`)).status).toBe(404)
  })

  test('can be made in bulk, and goes with its loan', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const [a, b] = [await newLoan(owner, portfolio), await newLoan(owner, portfolio)]
    const list = await newList(owner)
    const items = [a, b, a].map(({ id }) => ({ loan_id: id }))
    const { body } = await owner.post(`/watch-lists/${list.id}/entries/bulk`, { items })
    expect(body).toMatchObject({ succeeded: 2, failed: 1, results: [{}, {}, { code: 'already_exists' }] })
    await owner.delete(`/loans/${a.id}`)
    expect((await owner.get(`/watch-lists/${list.id}/loans?total=exact`)).body.total).toBe(1)
    const none = await owner.post(`/watch-lists/${randomUUID()}/entries/bulk`, { items })
    expect(none.status).toBe(404)
  })
})
