import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { Client, type Person, startApi } from '../../../helpers/api.ts'
import { changed } from '../../../helpers/sessions.ts'
import { test as base } from '../../../helpers/sql.ts'

type Key = Client & { id: string; key: string }
type MakeKey = (maker: Client, fields?: object) => Promise<Key>

const test = base.extend<{ makeKey: MakeKey }>({
  makeKey: async ({ api }, use) =>
    use(async (maker, fields = {}) => {
      const { status, body } = await maker.post('/api-keys', { name: 'Key', permissions: ['credit:read'], ...fields })
      expect(status, JSON.stringify(body)).toBe(201)
      return Object.assign(new Client(api.app, body.key), { id: body.id, key: body.key })
    }),
})

const invalid = (client: Client) => client.get('/portfolios').then(({ status, body }) => [status, body.code])

describe('a key', () => {
  test('does what it was given, in the name of its maker and by itself', async ({ owner, makeKey, sql }) => {
    const key = await makeKey(owner, { permissions: ['credit:read', 'credit:write'] })
    const made = await key.post('/portfolios', { name: 'Book', currency: 'USD' })
    expect(made.status).toBe(201)
    expect((await owner.get(`/portfolios/${made.body.id}`)).status).toBe(200)
    expect((await key.get('/users')).body).toMatchObject({ status: 403, code: 'forbidden' })
    const [event] = await sql`select * from audit_events where subject_id = ${made.body.id}`
    expect(event).toMatchObject({ actor_id: owner.id, api_key_id: key.id, impersonator_id: null })
    const replay = { 'idempotency-key': randomUUID() }
    const [one, two] = [key, owner].map((client) => client.post('/portfolios', { name: 'B', currency: 'USD' }, replay))
    expect((await one)?.body.id).not.toBe((await two)?.body.id)
  })

  test('is nobody who is signed in, and manages no keys', async ({ owner, makeKey, sql }) => {
    const key = await makeKey(owner)
    await sql`update api_keys set permissions = '{api_keys:manage,platform:manage}' where id = ${key.id}`
    for (const [method, path] of [
      ['POST', '/auth/logout'],
      ['GET', '/auth/sessions'],
      ['POST', '/api-keys'],
      ['GET', '/api-keys'],
      ['DELETE', `/api-keys/${key.id}`],
      ['GET', '/platform/users'],
    ] as const)
      expect([path, (await key.send(method, path)).body]).toMatchObject([path, { status: 403, code: 'forbidden' }])
  })

  test('that manages members changes nothing of its maker', async ({ owner, makeKey }) => {
    const key = await makeKey(owner, { permissions: ['members:read', 'members:manage'] })
    expect((await key.get(`/users/${owner.id}`)).status).toBe(200)
    expect((await key.patch(`/users/${owner.id}`, { username: 'taken-over' })).body.code).toBe('forbidden')
  })

  test('that is wrong in any way is refused alike', async ({ api, owner, makeKey }) => {
    const { key } = await makeKey(owner)
    const flipped = [...key].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join('')
    const wrong = [
      key.slice(0, -1),
      `${key}A`,
      `tn_${flipped.slice(3)}`,
      `tn_${'A'.repeat(43)}`,
      'tn_',
      `tn_${'x'.repeat(10_240)}`,
      `tn_${'\u00e9'.repeat(43)}`,
    ]
    for (const token of wrong) {
      const { status, body, headers } = await new Client(api.app, token).get('/portfolios')
      expect([token.slice(0, 50), status, body.code]).toEqual([token.slice(0, 50), 401, 'invalid_api_key'])
      expect(headers['www-authenticate']).toMatch(/^Bearer realm="tenon".*error="invalid_token"/)
    }
    for (const token of [key.toUpperCase(), key.slice(3), flipped])
      expect((await new Client(api.app, token).get('/portfolios')).status).toBe(401)
  })

  test('that looks like none is refused without a query', async ({ api }) => {
    const { load } = api.app.access
    let asked = 0
    api.app.access.load = (credential) => {
      asked++
      return load.call(api.app.access, credential)
    }
    for (const token of ['tn_short', `tn_${'x'.repeat(44)}`, `tn_${'x'.repeat(10_240)}`])
      await new Client(api.app, token).get('/portfolios')
    expect(asked).toBe(0)
    await new Client(api.app, `tn_${'x'.repeat(43)}`).get('/portfolios')
    expect(asked).toBe(1)
    api.app.access.load = load
  })

  test('works from its own networks only', async ({ api, owner, makeKey }) => {
    const key = await makeKey(owner, { ip_allowlist: ['10.1.0.0/16', '2001:db8::/32'] })
    const from = async (remoteAddress: string) => {
      const headers = { authorization: `Bearer ${key.key}` }
      const answer = await api.app.inject({ url: '/api/v1/portfolios', headers, remoteAddress })
      return answer.statusCode === 200 ? 200 : answer.json().code
    }
    const seen = ['10.1.2.3', '::ffff:10.1.2.3', '10.2.0.1', '2001:db8::7', '2001:db9::7', '127.0.0.1'].map(from)
    const no = 'ip_not_allowed'
    expect(await Promise.all(seen)).toEqual([200, 200, no, 200, no, no])
  })

  test('has a rate limit of its own', async ({ owner, makeKey }) => {
    const [slow, free] = [await makeKey(owner, { rate_limit: 3 }), await makeKey(owner)]
    for (let n = 0; n < 3; n++) expect((await slow.get('/portfolios')).status).toBe(200)
    expect((await slow.get('/portfolios')).body.code).toBe('rate_limited')
    expect((await free.get('/portfolios')).status).toBe(200)
    expect((await owner.get('/portfolios')).status).toBe(200)
  })

  test('is never allowed more requests than the service allows anybody', async () => {
    const api = await startApi({ RATE_LIMIT_MAX: '6' })
    const owner = await api.newOwner()
    const { body } = await owner.post('/api-keys', {
      name: 'Robot',
      permissions: ['credit:read'],
      rate_limit: 1_000_000,
    })
    const { headers } = await new Client(api.app, body.key).get('/portfolios')
    expect(headers['x-ratelimit-limit']).toBe('6')
    await api.close()
  })

  test("ends by the database's clock, cached or not", async ({ api, owner, makeKey, sql }) => {
    const key = await makeKey(owner, { expires_at: new Date(Date.now() + 86_400_000).toISOString() })
    expect((await key.get('/portfolios')).status).toBe(200)
    await sql`update api_keys set expires_at = now() + interval '1 second' where id = ${key.id}`
    api.app.access.forget(`key:${key.id}`)
    expect((await key.get('/portfolios')).status).toBe(200)
    await expect.poll(() => invalid(key), { timeout: 5_000, interval: 20 }).toEqual([401, 'invalid_api_key'])
  })

  test('tells when it was last used, by one statement a while', async ({ api, owner, makeKey }) => {
    const [used, idle] = [await makeKey(owner), await makeKey(owner)]
    await used.get('/portfolios')
    const lastUse = async ({ id }: Key) => (await owner.get(`/api-keys/${id}`)).body
    expect((await lastUse(used)).last_used_at).toBeNull()
    await api.app.runTask('api key use')
    expect(await lastUse(used)).toMatchObject({ last_used_at: expect.any(String), version: 1 })
    expect((await lastUse(idle)).last_used_at).toBeNull()
    expect(api.app.access.usedKeys.size).toBe(0)
  })
})

describe('a key stops at once, here and on every other replica,', () => {
  type Change = (world: { owner: Person; maker: Person; key: Key; sql: Sql }) => PromiseLike<unknown>
  type Sql = Parameters<typeof changed>[0]
  const gone: [string, Change][] = [
    ['when it is revoked', ({ owner, key }) => owner.delete(`/api-keys/${key.id}`)],
    ['when it gets a new secret', ({ maker, key }) => maker.post(`/api-keys/${key.id}/rotate`)],
    [
      'when its maker is disabled',
      async ({ maker, sql }) => {
        await sql`update users set is_active = false where id = ${maker.id}`
        await changed(sql, 'user', maker.id)
      },
    ],
    [
      'when its maker is deactivated as a member',
      async ({ maker, sql }) => {
        await sql`update members set is_active = false where user_id = ${maker.id}`
        await changed(sql, 'user', maker.id)
      },
    ],
    [
      'when its maker is removed',
      async ({ maker, sql }) => {
        await sql`delete from members where user_id = ${maker.id}`
        await changed(sql, 'user', maker.id)
      },
    ],
    [
      'when the organisation is suspended',
      async ({ owner, sql }) => {
        await sql`update organizations set is_active = false where id = ${owner.orgId}`
        await changed(sql, 'org', owner.orgId)
      },
    ],
    [
      'when the organisation is deleted',
      async ({ owner, sql }) => {
        await sql`update organizations set deleted_at = now() where id = ${owner.orgId}`
        await changed(sql, 'org', owner.orgId)
      },
    ],
  ]

  test.for(gone)('%s', async ([, change], { api, owner, replica, makeKey, sql }) => {
    const maker = await api.newUser(owner, 'admin')
    const key = await makeKey(maker)
    const elsewhere = new Client(replica.app, key.key)
    for (const client of [key, elsewhere]) expect((await client.get('/portfolios')).status).toBe(200)
    await change({ owner, maker, key, sql })
    for (const client of [key, elsewhere])
      await expect.poll(() => invalid(client), { timeout: 2_000, interval: 5 }).toEqual([401, 'invalid_api_key'])
  })

  test('as far as its maker lost the permission', async ({ api, owner, replica, makeKey, sql }) => {
    const maker = await api.newUser(owner, 'admin')
    const key = await makeKey(maker, { permissions: ['credit:read', 'credit:write'] })
    const elsewhere = new Client(replica.app, key.key)
    const write = (client: Client) =>
      client.post('/portfolios', { name: 'Book', currency: 'USD' }).then(({ status }) => status)
    for (const client of [key, elsewhere]) expect(await write(client)).toBe(201)
    await sql`update members set roles = '{member}' where user_id = ${maker.id}`
    await changed(sql, 'user', maker.id)
    for (const client of [key, elsewhere]) {
      await expect.poll(() => write(client), { timeout: 2_000, interval: 5 }).toBe(403)
      expect((await client.get('/portfolios')).status).toBe(200)
    }
  })
})
