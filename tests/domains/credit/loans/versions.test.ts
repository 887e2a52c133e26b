import { describe, expect } from 'vitest'
import { loanOf, newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test as base, countEvents, eventsOf } from '../../../helpers/sql.ts'

const test = base.extend<{ loan: { id: string; version: number; borrower_name: string } }>({
  loan: async ({ owner }, use) => use(await newLoan(owner, (await newPortfolio(owner)).id)),
})

describe('If-Match', () => {
  test('lets a change of the version that was read through, once', async ({ owner, loan }) => {
    const headers = { 'if-match': '"1"' }
    const first = await owner.patch(`/loans/${loan.id}`, { rating: 'A' }, headers)
    expect([first.status, first.headers.etag]).toEqual([200, '"2"'])
    const again = await owner.patch(`/loans/${loan.id}`, { rating: 'B' }, headers)
    expect([again.status, again.body.code]).toEqual([412, 'version_mismatch'])
    expect((await owner.delete(`/loans/${loan.id}`, headers)).status).toBe(412)
    expect((await owner.get(`/loans/${loan.id}`)).body.rating).toBe('A')
    expect((await owner.delete(`/loans/${loan.id}`, { 'if-match': '"2"' })).status).toBe(204)
    expect((await owner.delete(`/loans/${loan.id}`, { 'if-match': '"2"' })).status).toBe(404)
  })

  test('may be left out, or be a star, and then any version is changed', async ({ owner, loan }) => {
    expect((await owner.patch(`/loans/${loan.id}`, { rating: 'A' })).body.version).toBe(2)
    expect((await owner.patch(`/loans/${loan.id}`, { rating: 'B' }, { 'if-match': '*' })).body.version).toBe(3)
  })

  test('that is no ETag of ours matches nothing', async ({ owner, loan }) => {
    for (const tag of ['1', 'W/"1"', '"1", "2"', '"x"', '', '"9999999999"', "'1'", '"-1"', '"1'])
      expect([tag, (await owner.patch(`/loans/${loan.id}`, { rating: 'A' }, { 'if-match': tag })).status]).toEqual([
        tag,
        412,
      ])
    expect((await owner.get(`/loans/${loan.id}`)).body.version).toBe(1)
  })

  test('lets one of several changes at once through', async ({ owner, loan, sql }) => {
    const answers = await Promise.all(
      ['A', 'B', 'C', 'D'].map((rating) => owner.patch(`/loans/${loan.id}`, { rating }, { 'if-match': '"1"' })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
    const won = answers.find(({ status }) => status === 200)
    expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(won?.body)
    expect(await eventsOf(sql, loan.id)).toHaveLength(2)
  })
})

test('changes of different fields at once all apply, and the audit tells each by itself', async ({
  owner,
  loan,
  sql,
}) => {
  const changes = [{ rating: 'A' }, { stage: 2 }, { sector: '11' }, { rating: 'B' }]
  const answers = await Promise.all(changes.map((change) => owner.patch(`/loans/${loan.id}`, change)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(answers.map(({ body }) => body.version).sort()).toEqual([2, 3, 4, 5])
  const { body } = await owner.get(`/loans/${loan.id}`)
  expect(body).toMatchObject({ stage: 2, sector: '11', version: 5 })
  // Replayed in the order of the versions, the events lead from the first state to the last.
  const order = answers.map(({ body: { version } }, index) => ({ version, change: changes[index] }))
  const state: Record<string, unknown> = { rating: null, stage: null, sector: null }
  const events = (await eventsOf(sql, loan.id)).filter(({ action }) => action === 'loan.updated')
  for (const { change } of order.sort((a, b) => a.version - b.version)) {
    const [field] = Object.keys(change as object) as [string]
    const event = events.find(({ after }) => JSON.stringify(after) === JSON.stringify(change))
    expect(event?.before).toEqual({ [field]: state[field] })
    Object.assign(state, change)
  }
  expect(body).toMatchObject(state)
})

describe('the audit of a loan', () => {
  test('tells who changed which fields from what to what, and nothing else', async ({ owner, loan, sql }) => {
    const change = { balance: '10.5', days_past_due: 3, borrower_name: loan.borrower_name, attributes: { bank: 'X' } }
    await owner.patch(`/loans/${loan.id}`, change, { 'x-request-id': 'request-7' })
    await owner.patch(`/loans/${loan.id}`, { balance: null })
    const [created, updated, emptied] = await eventsOf(sql, loan.id)
    expect(created).toMatchObject({
      action: 'loan.created',
      before: null,
      after: { borrower_name: loan.borrower_name, original_principal: 60_000, attributes: {} },
    })
    for (const name of ['id', 'org_id', 'version', 'created_at', 'balance'])
      expect(created?.after).not.toHaveProperty(name)
    expect(updated).toMatchObject({
      action: 'loan.updated',
      actor_id: owner.id,
      org_id: owner.orgId,
      request_id: 'request-7',
      ip: '127.0.0.1',
    })
    expect(updated?.before).toEqual({ balance: null, days_past_due: null, attributes: {} })
    expect(updated?.after).toEqual({ balance: 10.5, days_past_due: 3, attributes: { bank: 'X' } })
    expect([emptied?.before, emptied?.after]).toEqual([{ balance: 10.5 }, { balance: null }])
    await owner.delete(`/loans/${loan.id}`)
    const [gone] = (await eventsOf(sql, loan.id)).slice(-1)
    expect(gone).toMatchObject({ action: 'loan.deleted', after: null, before: { days_past_due: 3 } })
  })

  test('has nothing of a change that failed', async ({ owner, loan, sql }) => {
    const twin = await newLoan(owner, (await newPortfolio(owner)).id)
    const before = await countEvents(sql)
    const { portfolio_id, loan_number } = twin
    expect((await owner.post('/loans', loanOf(portfolio_id, { loan_number }))).status).toBe(409)
    expect((await owner.patch(`/loans/${loan.id}`, { rating: 'A' }, { 'if-match': '"9"' })).status).toBe(412)
    expect((await owner.delete(`/loans/${loan.id}`, { 'if-match': '"9"' })).status).toBe(412)
    expect((await owner.patch('/loans/00000000-0000-7000-8000-000000000000', { rating: 'A' })).status).toBe(404)
    expect(await countEvents(sql)).toBe(before)
  })

  test('and its change are one: where the event cannot be written, nothing changed', async ({ owner, loan, sql }) => {
    await sql`alter table audit_events add constraint refuse check (subject_type <> 'loan') not valid`
    const answers = [
      await owner.patch(`/loans/${loan.id}`, { rating: 'A' }),
      await owner.delete(`/loans/${loan.id}`),
      await owner.post(
        '/loans',
        loanOf((await owner.get(`/loans/${loan.id}`)).body.portfolio_id, { loan_number: 'lost' }),
      ),
    ]
    await sql`alter table audit_events drop constraint refuse`
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500])
    expect((await owner.get(`/loans/${loan.id}`)).body).toMatchObject({ rating: null, version: 1 })
    expect((await owner.get('/loans?loan_number=lost')).body.data).toEqual([])
  })
})

test('a patch without fields changes nothing, but still honours If-Match', async ({ owner, loan }) => {
  const answer = await owner.patch(`/loans/${loan.id}`, {})
  expect(answer.status).toBe(200)
  expect(answer.body).toEqual(loan)
  expect((await owner.patch(`/loans/${loan.id}`, {}, { 'if-match': '"7"' })).status).toBe(412)
})
