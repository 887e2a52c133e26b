import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { test as base } from '../../../helpers/sql.ts'

const test = base.extend<{ superuser: Person }>({
  superuser: async ({ api, sql }, use) => {
    const person = await api.newOwner()
    await sql`update users set is_superuser = true where id = ${person.id}`
    await use(await api.signIn(person.email))
  },
})

type Item = Record<string, unknown>

const eventsOf = async (person: Person, query = '') => {
  const { status, body, text } = await person.get(`/audit-events${query}`)
  expect(status, text).toBe(200)
  return body.data as Item[]
}

describe('an event', () => {
  test('tells who did what to what, from where, and what changed', async ({ owner }) => {
    const { body } = await owner.post('/portfolios', { name: 'Before', currency: 'USD' })
    const requestId = randomUUID()
    await owner.patch(`/portfolios/${body.id}`, { name: 'After' }, { 'x-request-id': requestId })
    const [event] = await eventsOf(owner, `?request_id=${requestId}`)
    expect(event).toEqual({
      id: expect.any(String),
      created_at: expect.any(String),
      organization_id: owner.orgId,
      action: 'portfolio.updated',
      subject_type: 'portfolio',
      subject_id: body.id,
      actor_id: owner.id,
      actor_email: owner.email,
      impersonator_id: null,
      api_key_id: null,
      before: { name: 'Before' },
      after: { name: 'After' },
      request_id: requestId,
      ip: '127.0.0.1',
      sealed: null,
    })
    expect((await owner.get(`/audit-events/${event?.id}`)).body).toEqual(event)
  })

  test('stays readable when its actor is gone', async ({ api, owner, sql }) => {
    const manager = await api.newUser(owner, 'portfolio_manager')
    const { body } = await manager.post('/portfolios', { name: 'Left', currency: 'USD' })
    await sql`delete from users where id = ${manager.id}`
    const [event] = await eventsOf(owner, `?subject_id=${body.id}`)
    expect(event).toMatchObject({ actor_id: manager.id, actor_email: null })
  })

  test('of another organisation does not exist', async ({ api, owner }) => {
    const other = await api.newOwner()
    const [event] = await eventsOf(other)
    expect((await owner.get(`/audit-events/${event?.id}`)).status).toBe(404)
    expect(await eventsOf(owner, `?actor_id=${other.id}`)).toEqual([])
  })
})

describe('the list', () => {
  test('comes newest first, page by page, and the other way round', async ({ owner }) => {
    for (let number = 0; number < 5; number++) await owner.post('/portfolios', { name: `P${number}`, currency: 'USD' })
    const all = await eventsOf(owner)
    const paged: Item[] = []
    for (let query = '?limit=2'; query !== ''; ) {
      const { data, next_cursor } = (await owner.get(`/audit-events${query}`)).body
      paged.push(...data)
      query = next_cursor === null ? '' : `?limit=2&cursor=${next_cursor}`
    }
    expect(paged).toEqual(all)
    expect(all.map(({ created_at }) => created_at)).toEqual(
      all.map(({ created_at }) => created_at as string).toSorted((a, b) => b.localeCompare(a)),
    )
    expect(await eventsOf(owner, '?sort=created_at')).toEqual(all.toReversed())
  })

  test('can be narrowed down by every filter', async ({ api, owner, sql }) => {
    const manager = await api.newUser(owner, 'portfolio_manager')
    const { body } = await manager.post('/portfolios', { name: 'Theirs', currency: 'USD' })
    const keyId = randomUUID()
    await sql`
      insert into audit_events (org_id, id, action, subject_type, api_key_id, ip, created_at)
      values (${owner.orgId}, ${randomUUID()}, 'test.made', 'test', ${keyId}, '192.0.2.7', '2020-01-01T00:00:00Z')`
    const made = [expect.objectContaining({ action: 'test.made' })]
    const theirs = [expect.objectContaining({ subject_id: body.id })]
    for (const [query, expected] of [
      ['action=portfolio.created', theirs],
      ['subject_type=portfolio', theirs],
      [`subject_id=${body.id}`, theirs],
      [`actor_id=${manager.id}&subject_type=portfolio`, theirs],
      [`q=${manager.email.slice(0, 12)}&action=portfolio.created`, theirs],
      ['q=FOLIO.cre', theirs],
      [`api_key_id=${keyId}`, made],
      ['ip=192.0.2.7', made],
      ['created_at_lte=2020-01-02T00:00:00Z', made],
      ['created_at_gte=2999-01-01T00:00:00Z', []],
      ['q=%25', []],
    ] as const)
      expect(await eventsOf(owner, `?${query}`), query).toEqual(expected)
    expect((await owner.get('/audit-events?subject_type=portfolio&total=exact')).body.total).toBe(1)
  })
})

test('a filter by a time in a zone that is none is refused, not a fault of ours', async ({ owner }) => {
  const { status, body } = await owner.get('/audit-events?created_at_gte=2024-01-01T00:00:00%2B23:59')
  expect([status, body.code]).toEqual([400, 'validation_failed'])
})

describe('the trail as a file', () => {
  test('is CSV or NDJSON of every event the filters let through, as the list shows them', async ({
    api,
    owner,
    sql,
  }) => {
    await sql`
      insert into audit_events (org_id, id, action, subject_type, after)
      select ${owner.orgId}, gen_random_uuid(), 'test.made', 'test', jsonb_build_object('n', n)
      from generate_series(1, 2345) n`
    await api.app.runTask('seal audit')
    const whole = await eventsOf(owner, '?subject_type=test&limit=200')
    const lines = await owner.get('/audit-events?subject_type=test&limit=1', { accept: 'application/x-ndjson' })
    expect([lines.status, lines.headers['content-type']]).toEqual([200, 'application/x-ndjson; charset=utf-8'])
    const rows = lines.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows).toHaveLength(2345)
    expect(rows.slice(0, 200)).toEqual(whole)

    const file = await owner.get('/audit-events?subject_type=test', { accept: 'text/csv' })
    expect(file.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="audit.csv"',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
      'x-request-id': expect.any(String),
    })
    const [header, ...records] = file.text.trimEnd().split('\r\n')
    expect(header?.split(',')).toEqual(Object.keys(whole[0] as Item))
    expect(records).toHaveLength(2345)
    expect(new Set(records.map((record) => record.split(',')[0])).size).toBe(2345)
  })

  test('cannot run a formula in a spreadsheet', async ({ owner, sql }) => {
    await sql`
      insert into audit_events (org_id, id, action, subject_type, request_id, ip)
      values (${owner.orgId}, ${randomUUID()}, 'test.formula', '=1+1', '@cmd', '-2+3')`
    const { text } = await owner.get('/audit-events?action=test.formula', { accept: 'text/csv' })
    for (const cell of ["'=1+1", "'@cmd", "'-2+3"]) expect(text).toContain(`,${cell},`)
  })

  test('is itself on the trail, with what was asked for', async ({ owner }) => {
    await owner.get('/audit-events?subject_type=user&limit=3', { accept: 'text/csv', 'x-request-id': 'export-1' })
    expect(await eventsOf(owner, '?request_id=export-1')).toMatchObject([
      { action: 'audit.exported', actor_id: owner.id, after: { format: 'text/csv', subject_type: 'user' } },
    ])
    await owner.send('HEAD', '/audit-events', undefined, { accept: 'text/csv', 'x-request-id': 'export-2' })
    await owner.get('/audit-events', { 'x-request-id': 'export-2' })
    expect(await eventsOf(owner, '?request_id=export-2')).toEqual([])
  })

  test('is had by those only who may read the list', async ({ api, owner }) => {
    const member = await api.newUser(owner, 'member')
    const answer = await member.get('/audit-events', { accept: 'text/csv' })
    expect([answer.status, answer.headers['content-type']]).toEqual([403, 'application/problem+json'])
  })
})

describe('a superuser', () => {
  test("reads the platform's own trail, and any organisation's", async ({ api, owner, superuser }) => {
    const requestId = randomBytes(8).toString('hex')
    await api.anonymous.post(
      '/auth/login',
      { username: 'no@example.com', password: 'no' },
      { 'x-request-id': requestId },
    )
    const own = await superuser.get(`/platform/audit-events?request_id=${requestId}`)
    expect(own.body.data).toMatchObject([{ action: 'session.refused', actor_id: null, organization_id: null }])
    const theirs = await superuser.get(`/platform/audit-events?organization_id=${owner.orgId}`)
    expect(theirs.body.data).toEqual(await eventsOf(owner))
    expect(theirs.body.data[0]).toMatchObject({ organization_id: owner.orgId })
    const file = await superuser.get(`/platform/audit-events?organization_id=${owner.orgId}`, { accept: 'text/csv' })
    expect(file.text.split('\r\n').length).toBe(theirs.body.data.length + 2)
    expect((await eventsOf(owner, '?action=audit.exported'))[0]).toMatchObject({ actor_id: superuser.id })
    await api.app.runTask('seal audit')
    for (const query of ['', `?organization_id=${owner.orgId}`])
      expect((await superuser.get(`/platform/audit-events/verify${query}`)).body.valid).toBe(true)
  })

  test('is asked for: the owner of an organisation reads no other trail than its own', async ({ api, owner }) => {
    const other = await api.newOwner()
    for (const path of ['/platform/audit-events', '/platform/audit-events/verify'])
      for (const query of ['', `?organization_id=${owner.orgId}`, `?organization_id=${other.orgId}`])
        expect((await owner.get(path + query)).status).toBe(403)
    expect((await owner.get(`/audit-events?organization_id=${other.orgId}`)).status).toBe(400)
  })
})
