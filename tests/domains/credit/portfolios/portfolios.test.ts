import { describe, expect } from 'vitest'
import { loanOf, newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { countEvents, eventsOf, test } from '../../../helpers/sql.ts'

describe('a portfolio', () => {
  test('is made with its defaults, and read back as it was answered', async ({ owner }) => {
    const made = await owner.post('/portfolios', { name: 'SBA', currency: 'USD' })
    expect(made.status).toBe(201)
    expect(made.headers).toMatchObject({ location: `/api/v1/portfolios/${made.body.id}`, etag: '"1"' })
    expect(made.body).toMatchObject({
      name: 'SBA',
      currency: 'USD',
      code: null,
      default_definition: { statuses: ['default', 'charged_off'], days_past_due_min: 90 },
      bucket_edges: [1, 30, 60, 90],
      version: 1,
    })
    const read = await owner.get(`/portfolios/${made.body.id}`)
    expect([read.status, read.headers.etag]).toEqual([200, '"1"'])
    expect(read.body).toEqual(made.body)
  })

  test('is changed field by field, and keeps the rest', async ({ owner }) => {
    const made = await newPortfolio(owner, { code: 'SBA-1', asset_class: 'sme', description: 'Loans' })
    const sent = {
      name: 'SBA 7(a)',
      description: null,
      bucket_edges: [30, 90],
      as_of: '2024-02-29',
      manager_id: owner.id,
    }
    const { status, body, headers } = await owner.patch(`/portfolios/${made.id}`, sent)
    expect([status, headers.etag]).toEqual([200, '"2"'])
    expect(body).toEqual({ ...made, ...sent, version: 2, updated_at: body.updated_at })
    expect(Date.parse(body.updated_at)).toBeGreaterThanOrEqual(Date.parse(made.updated_at))
  })

  test('cannot be given to another organisation', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const change of [{ archived_at: null }, { org_id: owner.orgId }, { id: owner.id }, { version: 7 }])
      expect([change, (await owner.patch(`/portfolios/${id}`, change)).status]).toEqual([change, 400])
  })

  test('has a code that no other of the organisation has', async ({ api, owner }) => {
    const code = 'TAPE-1'
    await newPortfolio(owner, { code })
    const { status, body } = await owner.post('/portfolios', { name: 'Twin', currency: 'USD', code })
    expect([status, body.code]).toEqual([409, 'already_exists'])
    expect(body.errors).toEqual([{ pointer: '/body/code', code: 'unique', message: 'is already taken' }])
    const other = await newPortfolio(owner)
    expect((await owner.patch(`/portfolios/${other.id}`, { code })).status).toBe(409)
    await newPortfolio(await api.newOwner(), { code })
  })

  test('is managed by a member of its own organisation', async ({ api, owner }) => {
    const stranger = await api.newOwner()
    const sent = { name: 'Book', currency: 'USD', manager_id: stranger.id }
    const { status, body } = await owner.post('/portfolios', sent)
    expect([status, body.code, body.errors[0].pointer]).toEqual([404, 'not_found', '/body/manager_id'])
    expect((await owner.post('/portfolios', { ...sent, manager_id: owner.id })).status).toBe(201)
  })

  test('is refused with what is none', async ({ owner }) => {
    for (const [change, pointer] of [
      [{ name: '' }, '/body/name'],
      [{ name: ' \t ' }, '/body/name'],
      [{ name: 'a\u0000b' }, '/body/name'],
      [{ name: 7 }, '/body/name'],
      [{ currency: 'usd' }, '/body/currency'],
      [{ code: '-x' }, '/body/code'],
      [{ as_of: '2023-02-29' }, '/body/as_of'],
      [{ bucket_edges: [] }, '/body/bucket_edges'],
      [{ bucket_edges: [1, 1] }, '/body/bucket_edges'],
      [{ bucket_edges: [90, 30] }, '/body/bucket_edges'],
      [{ default_definition: { statuses: ['late'], days_past_due_min: 90 } }, '/body/default_definition/statuses/0'],
      [{ default_definition: { statuses: [] } }, '/body/default_definition/days_past_due_min'],
      [{ default_definition: null }, '/body/default_definition'],
      [{ archived: true }, '/body/archived'],
    ] as const) {
      const { status, body } = await owner.post('/portfolios', { name: 'Book', currency: 'USD', ...change })
      expect([change, status, body.errors?.[0].pointer]).toEqual([change, 400, pointer])
    }
  })
})

describe('deleting a portfolio', () => {
  test('is refused while it holds loans, and takes them along where that is asked for', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const [loan] = [await newLoan(owner, id), await newLoan(owner, id)]
    const refused = await owner.delete(`/portfolios/${id}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'in_use'])
    expect((await owner.get(`/loans/${loan?.id}`)).status).toBe(200)
    const { status, text } = await owner.delete(`/portfolios/${id}?cascade=true`)
    expect([status, text]).toEqual([204, ''])
    expect((await owner.get(`/portfolios/${id}`)).status).toBe(404)
    expect((await owner.get(`/loans/${loan?.id}`)).status).toBe(404)
    const events = await eventsOf(sql, id)
    expect(events.map(({ action, before }) => [action, before])).toEqual([
      ['portfolio.created', null],
      ['portfolio.emptied', { loans: 2 }],
      ['portfolio.deleted', expect.objectContaining({ name: 'Book', currency: 'USD' })],
    ])
  })

  test('of another version changes nothing, not even its loans', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const loan = await newLoan(owner, id)
    const before = await countEvents(sql)
    const { status } = await owner.delete(`/portfolios/${id}?cascade=true`, { 'if-match': '"2"' })
    expect(status).toBe(412)
    expect((await owner.get(`/loans/${loan.id}`)).status).toBe(200)
    expect(await countEvents(sql)).toBe(before)
  })

  test('that is not there, or not ours, is a 404 that deletes nothing', async ({ api, owner }) => {
    const other = await api.newOwner()
    const { id } = await newPortfolio(other)
    await newLoan(other, id)
    for (const query of ['', '?cascade=true'])
      expect((await owner.delete(`/portfolios/${id}${query}`)).status).toBe(404)
    expect((await other.get(`/loans?portfolio_id=${id}`)).body.data).toHaveLength(1)
  })
})

test('portfolios are listed by name, newest first, filtered and searched', async ({ owner }) => {
  const [b, a, c] = [
    await newPortfolio(owner, { name: 'Bonds', code: 'B_1' }),
    await newPortfolio(owner, { name: 'Autos', code: 'A-1', asset_class: 'auto', currency: 'EUR' }),
    await newPortfolio(owner, { name: 'Cards 100%', code: 'C-1', manager_id: owner.id }),
  ]
  const ids = async (query: string) =>
    (await owner.get(`/portfolios${query}`)).body.data.map(({ id }: { id: string }) => id)
  expect(await ids('')).toEqual([c.id, a.id, b.id])
  expect(await ids('?sort=name')).toEqual([a.id, b.id, c.id])
  expect(await ids('?sort=-name')).toEqual([c.id, b.id, a.id])
  expect(await ids('?code=A-1')).toEqual([a.id])
  expect(await ids('?currency=EUR')).toEqual([a.id])
  expect(await ids('?asset_class=auto')).toEqual([a.id])
  expect(await ids(`?manager_id=${owner.id}`)).toEqual([c.id])
  expect(await ids('?q=AUT')).toEqual([a.id])
  expect(await ids('?q=b_')).toEqual([b.id])
  expect(await ids('?q=0%25')).toEqual([c.id])
  expect(await ids('?q=bonds&currency=EUR')).toEqual([])
})

test("another organisation's portfolio reads, changes and takes loans as one that never was", async ({
  api,
  owner,
}) => {
  const { id } = await newPortfolio(await api.newOwner())
  const never = '00000000-0000-7000-8000-000000000000'
  const told = ({
    status,
    body: { request_id, instance, ...rest },
  }: {
    status: number
    body: Record<string, unknown>
  }) => ({
    status,
    ...rest,
  })
  for (const ask of [
    (portfolio: string) => owner.get(`/portfolios/${portfolio}`),
    (portfolio: string) => owner.patch(`/portfolios/${portfolio}`, { name: 'Mine' }),
    (portfolio: string) => owner.patch(`/portfolios/${portfolio}`, { name: 'Mine' }, { 'if-match': '"1"' }),
    (portfolio: string) => owner.get(`/portfolios/${portfolio}/metrics`),
    (portfolio: string) => owner.post('/loans', loanOf(portfolio)),
  ]) {
    expect(told(await ask(id))).toEqual(told(await ask(never)))
    expect((await ask(id)).status).toBe(404)
  }
})
