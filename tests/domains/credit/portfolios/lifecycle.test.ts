import { describe, expect } from 'vitest'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const namesOf = ({ body }: { body: { data: { name: string }[] } }) => body.data.map(({ name }) => name)

describe('an archived portfolio', () => {
  test('leaves the list but not its address', async ({ owner, sql }) => {
    const [kept, gone] = [await newPortfolio(owner, { name: 'Kept' }), await newPortfolio(owner, { name: 'Gone' })]
    const archived = await owner.post(`/portfolios/${gone.id}/archive`)
    expect([archived.status, archived.headers.etag]).toEqual([200, '"2"'])
    expect((await owner.post(`/portfolios/${gone.id}/archive`)).body).toEqual(archived.body)
    expect(namesOf(await owner.get('/portfolios?total=exact'))).toEqual(['Kept'])
    expect(namesOf(await owner.get('/portfolios?archived=true'))).toEqual(['Gone'])
    expect(namesOf(await owner.get('/portfolios?archived=all&sort=name'))).toEqual(['Gone', 'Kept'])
    expect((await owner.get(`/portfolios/${gone.id}`)).status).toBe(200)
    const stale = await owner.post(`/portfolios/${gone.id}/unarchive`, undefined, { 'if-match': '"1"' })
    expect(stale.status).toBe(412)
    expect((await owner.post(`/portfolios/${gone.id}/unarchive`)).body.version).toBe(3)
    const actions = (await eventsOf(sql, gone.id)).map(({ action }) => action)
    expect(actions).toEqual(['portfolio.created', 'portfolio.archived', 'portfolio.unarchived'])
    expect((await owner.get(`/portfolios/${kept.id}`)).body).toEqual(kept)
  })
})

describe('a portfolio that is being archived', () => {
  test('waits for who is changing what it holds', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const archived = await sql.begin(async (importing) => {
      await importing`select from portfolios where id = ${id} for key share`
      const answer = owner.post(`/portfolios/${id}/archive`)
      const waiting = () => sql`select from pg_locks where not granted`
      await expect.poll(async () => (await waiting()).length, { interval: 10 }).toBe(1)
      return { answer }
    })
    expect((await archived.answer).status).toBe(200)
  })
})

describe('a duplicate', () => {
  test('has the settings and the loans of the first, under ids of its own', async ({ owner, sql }) => {
    const settings = { code: 'ONE', as_of: '2024-12-31', bucket_edges: [1, 30], asset_class: 'SME' }
    const first = await newPortfolio(owner, settings)
    await newLoan(owner, first.id, { loan_number: 'A', balance: '10.50', attributes: { bank: 'X' } })
    await newLoan(owner, first.id, { loan_number: 'B' })
    const { status, body, headers } = await owner.post(`/portfolios/${first.id}/duplicate`, { name: 'Two' })
    expect([status, headers.location]).toEqual([201, `/api/v1/portfolios/${body.id}`])
    const { id: _, created_at, updated_at, ...same } = first
    expect(body).toMatchObject({ ...same, name: 'Two', code: null })
    const loansOf = async (id: string) => (await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)).body.data
    const [mine, copies] = [await loansOf(first.id), await loansOf(body.id)]
    const bare = ({ id: _id, portfolio_id, created_at: _c, updated_at: _u, ...rest }: Record<string, unknown>) => rest
    expect(copies.map(bare)).toEqual(mine.map(bare))
    for (const { id } of copies) expect(mine.map((loan: { id: string }) => loan.id)).not.toContain(id)
    const [, event] = await eventsOf(sql, body.id)
    expect(event).toMatchObject({ action: 'portfolio.duplicated', after: { source_id: first.id, loans: 2 } })
  })

  test('can be had without loans; a code that is taken is refused and nothing made', async ({ owner }) => {
    const first = await newPortfolio(owner, { code: 'ONE' })
    await newLoan(owner, first.id)
    const path = `/portfolios/${first.id}/duplicate`
    const empty = await owner.post(path, { name: 'Two', code: 'TWO', with_loans: false })
    expect((await owner.get(`/loans?portfolio_id=${empty.body.id}`)).body.data).toEqual([])
    const refused = await owner.post(path, { name: 'Three', code: 'TWO' })
    expect([refused.status, refused.body.code]).toEqual([409, 'already_exists'])
    expect(namesOf(await owner.get('/portfolios'))).toEqual(['Two', 'Book'])
  })
})

describe('the list', () => {
  test('can show how much each portfolio holds', async ({ owner }) => {
    const [full, empty] = [await newPortfolio(owner, { name: 'Full' }), await newPortfolio(owner, { name: 'Empty' })]
    for (const balance of ['10.50', '20.25', null]) await newLoan(owner, full.id, { balance })
    const { body } = await owner.get('/portfolios?include=statistics&sort=name')
    expect(body.data.map(({ statistics }: { statistics: object }) => statistics)).toEqual([
      { loan_count: 0, balance: '0.0000', reported_on: null },
      { loan_count: 3, balance: '30.7500', reported_on: null },
    ])
    expect((await owner.get('/portfolios')).body.data[1]).toEqual(full)
    expect((await owner.get(`/portfolios/${empty.id}`)).body).not.toHaveProperty('statistics')
  })

  test('finds what one manages oneself, by time, and sorts by reporting date with the undated last', async ({
    owner,
  }) => {
    await newPortfolio(owner, { name: 'Undated' })
    await newPortfolio(owner, { name: 'Old', as_of: '2023-12-31' })
    const mine = await newPortfolio(owner, { name: 'New', as_of: '2024-12-31', manager_id: owner.id })
    expect(namesOf(await owner.get('/portfolios?manager_id=me'))).toEqual(['New'])
    expect(namesOf(await owner.get('/portfolios?sort=-as_of'))).toEqual(['New', 'Old', 'Undated'])
    expect(namesOf(await owner.get('/portfolios?sort=as_of'))).toEqual(['Old', 'New', 'Undated'])
    expect(namesOf(await owner.get(`/portfolios?created_at_gte=${mine.created_at}`))).toContain('New')
    expect(namesOf(await owner.get('/portfolios?created_at_lte=2000-01-01T00:00:00Z'))).toEqual([])
  })
})
