import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { sha256 } from '../../../../src/lib/crypto.ts'
import { Client } from '../../../helpers/api.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const body = { name: 'Nightly tape', permissions: ['credit:read'] }

describe('a new API key', () => {
  test('is shown once, and kept as a hash alone', async ({ owner, sql }) => {
    const made = await owner.post('/api-keys', body)
    expect([made.status, made.headers.location]).toEqual([201, `/api/v1/api-keys/${made.body.id}`])
    expect(made.body).toMatchObject({ ...body, status: 'active', created_by: owner.id, ip_allowlist: [] })
    expect(made.body.key).toMatch(/^tn_[\w-]{43}$/)
    expect(made.body.key.startsWith(made.body.prefix)).toBe(true)

    const { key, ...rest } = made.body
    const got = await owner.get(`/api-keys/${rest.id}`)
    expect(got.body).toEqual(rest)
    expect((await owner.get('/api-keys')).body.data).toEqual([rest])
    const [row] = await sql`select * from api_keys where id = ${rest.id}`
    expect(row?.key_hash).toEqual(sha256(key))
    expect(JSON.stringify([row, await eventsOf(sql, rest.id)])).not.toContain(key)
  })

  test('is the same under the same Idempotency-Key, and lies in no table as it is', async ({ owner, sql }) => {
    const headers = { 'idempotency-key': randomUUID() }
    const first = await owner.post('/api-keys', body, headers)
    const second = await owner.post('/api-keys', body, headers)
    expect(second.body).toEqual(first.body)
    const [kept] = await sql`select answer from idempotency_keys where key = ${headers['idempotency-key']}`
    expect(kept?.answer.length).toBeGreaterThan(0)
    expect(kept?.answer.toString('latin1')).not.toContain(first.body.key)
    const [dump] = await sql`select string_agg(t::text, ' ') as text from idempotency_keys t`
    expect(dump?.text).not.toContain(first.body.key)
    expect(await sql`select 1 from api_keys where org_id = ${owner.orgId}`).toHaveLength(1)
  })

  test('has at most the permissions of its maker, real ones, and never those over keys or the platform', async ({
    api,
    owner,
    sql,
  }) => {
    await sql`
      insert into roles (org_id, id, name, permissions)
      values (${owner.orgId}, ${randomUUID()}, 'keeper', ${['api_keys:manage', 'credit:read']})`
    const keeper = await api.newUser(owner, 'guest')
    await sql`update members set roles = '{keeper}' where user_id = ${keeper.id}`
    const client = await api.signIn(keeper.email)
    expect((await client.post('/api-keys', body)).status).toBe(201)
    const beyond = await client.post('/api-keys', { ...body, permissions: ['credit:read', 'credit:write'] })
    expect(beyond.body).toMatchObject({
      status: 403,
      code: 'forbidden',
      detail: expect.stringContaining('credit:write'),
    })

    await sql`update users set is_superuser = true where id = ${owner.id}`
    const superuser = await api.signIn(owner.email)
    for (const permission of ['platform:manage', 'api_keys:manage', 'signed_in', '*', 'credit:admin']) {
      const { status, body: problem } = await superuser.post('/api-keys', { ...body, permissions: [permission] })
      expect([permission, status, problem.code]).toEqual([permission, 400, 'validation_failed'])
    }
    expect((await superuser.post('/api-keys', { ...body, permissions: [] })).status).toBe(400)
  })

  test.for([
    ['ip_allowlist', ['10.0.0.0/8', 'nowhere'], '/body/ip_allowlist/1'],
    ['ip_allowlist', ['10.0.0.0/33'], '/body/ip_allowlist/0'],
    ['ip_allowlist', Array.from({ length: 101 }, (_, n) => `10.0.0.${n}`), '/body/ip_allowlist'],
    ['rate_limit', 0, '/body/rate_limit'],
    ['rate_limit', 1_000_001, '/body/rate_limit'],
    ['expires_at', '2020-01-01T00:00:00Z', '/body/expires_at'],
    ['org_id', randomUUID(), '/body/org_id'],
    ['created_by', randomUUID(), '/body/created_by'],
    ['key_hash', 'x', '/body/key_hash'],
  ] as const)('with a %s of %s is refused', async ([field, value, pointer], { owner }) => {
    const { status, body: problem } = await owner.post('/api-keys', { ...body, [field]: value })
    expect([status, problem.errors[0].pointer]).toEqual([400, pointer])
  })
})

describe('an API key', () => {
  test('is changed, and its bounds hold for a change as for a new one', async ({ owner, sql }) => {
    const { body: key } = await owner.post('/api-keys', body)
    const patch = { name: 'Tape', permissions: ['credit:write'], ip_allowlist: ['::1'], rate_limit: 5 }
    const patched = await owner.patch(`/api-keys/${key.id}`, patch, { 'if-match': '"1"' })
    expect([patched.status, patched.headers.etag]).toEqual([200, '"2"'])
    expect(patched.body).toMatchObject(patch)
    expect((await owner.patch(`/api-keys/${key.id}`, patch, { 'if-match': '"1"' })).status).toBe(412)
    for (const wrong of [{ ip_allowlist: ['x'] }, { expires_at: '2020-01-01T00:00:00Z' }, { permissions: ['x'] }])
      expect((await owner.patch(`/api-keys/${key.id}`, wrong)).status).toBe(400)
    expect((await eventsOf(sql, key.id)).map(({ action }) => action)).toEqual(['api_key.created', 'api_key.updated'])
  })

  test('is revoked once, by nobody changed after that, and forgotten after 90 days', async ({ api, owner, sql }) => {
    const { body: key } = await owner.post('/api-keys', body)
    for (let n = 0; n < 2; n++) expect((await owner.delete(`/api-keys/${key.id}`)).status).toBe(204)
    const got = await owner.get(`/api-keys/${key.id}`)
    expect(got.body).toMatchObject({ status: 'revoked', revoked_at: expect.any(String) })
    expect((await eventsOf(sql, key.id)).map(({ action }) => action)).toEqual(['api_key.created', 'api_key.revoked'])
    const refused = [
      await owner.patch(`/api-keys/${key.id}`, { name: 'x' }),
      await owner.post(`/api-keys/${key.id}/rotate`),
    ]
    expect(refused.map(({ body: { code } }) => code)).toEqual(['invalid_state', 'invalid_state'])

    const { body: living } = await owner.post('/api-keys', body)
    await api.app.runTask('purge api keys')
    expect((await owner.get(`/api-keys/${key.id}`)).status).toBe(200)
    await sql`update api_keys set revoked_at = now() - interval '91 days' where id = ${key.id}`
    await api.app.runTask('purge api keys')
    expect((await owner.get(`/api-keys/${key.id}`)).status).toBe(404)
    expect((await owner.get(`/api-keys/${living.id}`)).status).toBe(200)
  })

  test('is listed by its status', async ({ owner, sql }) => {
    const [live, old, dead] = await Promise.all(
      [1, 2, 3].map(async () => (await owner.post('/api-keys', body)).body.id),
    )
    await sql`update api_keys set expires_at = now() - interval '1 second' where id = ${old}`
    await owner.delete(`/api-keys/${dead}`)
    for (const [status, id] of [
      ['active', live],
      ['expired', old],
      ['revoked', dead],
    ]) {
      const { body: page } = await owner.get(`/api-keys?status=${status}&total=exact`)
      expect([status, page.total, page.data.map((key: { id: string }) => key.id)]).toEqual([status, 1, [id]])
    }
  })

  test('gets a new secret, bounded by who asked for it, and the old one dies', async ({ api, owner, sql }) => {
    const { body: key } = await owner.post('/api-keys', { ...body, permissions: ['credit:read', 'members:read'] })
    const old = new Client(api.app, key.key)
    expect((await old.get('/portfolios')).status).toBe(200)
    await sql`
      insert into roles (org_id, id, name, permissions)
      values (${owner.orgId}, ${randomUUID()}, 'key keeper', ${['api_keys:manage', 'credit:read']})`
    const keeper = await api.newUser(owner, 'guest')
    await sql`update members set roles = '{key keeper}' where user_id = ${keeper.id}`
    const rotated = await (await api.signIn(keeper.email)).post(`/api-keys/${key.id}/rotate`)
    expect(rotated.body).toMatchObject({ id: key.id, permissions: key.permissions, created_by: keeper.id })
    expect((await old.get('/portfolios')).body.code).toBe('invalid_api_key')
    const renewed = new Client(api.app, rotated.body.key)
    expect((await renewed.get('/portfolios')).status).toBe(200)
    expect((await renewed.get('/users')).status).toBe(403)
    const event = (await eventsOf(sql, key.id)).at(-1)
    expect(event).toMatchObject({ action: 'api_key.rotated', actor_id: keeper.id, before: { created_by: owner.id } })
    expect(JSON.stringify(event)).not.toContain('key_hash')
  })
})
