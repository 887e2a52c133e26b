import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { sha256 } from '../../../../src/lib/crypto.ts'
import { type Api, Client, password } from '../../../helpers/api.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

const signInWith = async (api: Api, username: string, agent: string, more: object = {}) => {
  const sent = { username, password, ...more }
  const { body } = await api.anonymous.post('/auth/login', sent, { 'user-agent': agent })
  return Object.assign(new Client(api.app, body.access_token), { refreshToken: body.refresh_token as string })
}

const idOf = async (client: Client) => (await client.get('/auth/me')).body.session_id as string

describe('one’s own sessions', () => {
  test('are listed, newest first, each with its device, and the one that asks is marked', async ({ api, owner }) => {
    const browser = await signInWith(api, owner.email, firefox, { remember_me: true })
    const { status, body, text } = await browser.get('/auth/sessions')
    expect(status).toBe(200)
    expect(body.data).toEqual([
      {
        id: await idOf(browser),
        device: 'Firefox on Linux',
        user_agent: firefox,
        ip: '127.0.0.1',
        created_at: expect.any(String),
        last_seen_at: expect.any(String),
        expires_at: expect.any(String),
        mfa: false,
        remember_me: true,
        impersonated: false,
        current: true,
      },
      expect.objectContaining({ id: await idOf(owner), remember_me: false, current: false }),
    ])
    expect(text).not.toContain(browser.refreshToken)
    const one = await browser.get(`/auth/sessions/${body.data[1].id}`)
    expect(one.body).toEqual(body.data[1])
  })

  test('are listed in pages, and counted', async ({ api, owner }) => {
    for (let n = 0; n < 4; n++) await signInWith(api, owner.email, firefox)
    const ids: string[] = []
    for (let path: string | undefined = '/auth/sessions?limit=2&total=exact'; path !== undefined; ) {
      const { body, headers } = await owner.get(path)
      expect(body.total).toBe(5)
      ids.push(...body.data.map(({ id }: { id: string }) => id))
      path = /<(.+)>/.exec(headers.link ?? '')?.[1]
    }
    expect(new Set(ids).size).toBe(5)
    expect(ids).toHaveLength(5)
  })

  test('are those that live: not the ended, the expired, or those an organisation lets live no longer', async ({
    api,
    owner,
    sql,
  }) => {
    const signIn = () => signInWith(api, owner.email, firefox)
    const [ended, expired, old] = [await signIn(), await signIn(), await signIn()]
    const [expiredId, oldId] = [await idOf(expired), await idOf(old)]
    await ended.post('/auth/logout')
    await sql`update sessions set expires_at = now() - interval '1 second' where id = ${expiredId}`
    await sql`update sessions set created_at = now() - interval '2 hours' where id = ${oldId}`
    await sql`update organizations set settings = '{"session_lifetime_s": 3600}' where id = ${owner.orgId}`
    const { body } = await owner.get('/auth/sessions?total=exact')
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual([await idOf(owner)])
    expect(body.total).toBe(1)
    for (const id of [expiredId, oldId]) {
      expect((await owner.get(`/auth/sessions/${id}`)).status).toBe(404)
      expect((await owner.delete(`/auth/sessions/${id}`)).status).toBe(404)
    }
  })

  test('show those in which somebody else acts in one’s name', async ({ api, owner, sql }) => {
    const [superuser, acting] = [await api.newOwner(), await signInWith(api, owner.email, firefox)]
    await sql`update sessions set impersonator_id = ${superuser.id} where id = ${await idOf(acting)}`
    const { body } = await owner.get('/auth/sessions')
    expect(body.data.map(({ impersonated }: { impersonated: boolean }) => impersonated)).toEqual([true, false])
    expect(JSON.stringify(body)).not.toContain(superuser.id)
  })
})

describe('ending sessions', () => {
  test('ends one at once, for its access token and its refresh token, and is audited', async ({ api, owner, sql }) => {
    const other = await signInWith(api, owner.email, firefox)
    const id = await idOf(other)
    expect((await owner.delete(`/auth/sessions/${id}`)).status).toBe(204)
    expect((await other.get('/auth/me')).body.code).toBe('session_ended')
    const refresh = await api.anonymous.post('/auth/refresh', { refresh_token: other.refreshToken })
    expect(refresh.status).toBe(401)
    expect((await owner.delete(`/auth/sessions/${id}`)).status).toBe(404)
    expect((await owner.get('/auth/me')).status).toBe(200)
    const events = (await eventsOf(sql, id)).filter(({ action }) => action === 'session.ended')
    expect(events).toMatchObject([{ actor_id: owner.id, after: { reason: 'revoked' } }])
  })

  test('twice at once ends it once', async ({ api, owner, sql }) => {
    const id = await idOf(await signInWith(api, owner.email, firefox))
    await Promise.all([1, 2, 3].map(() => owner.delete(`/auth/sessions/${id}`)))
    expect((await eventsOf(sql, id)).filter(({ action }) => action === 'session.ended')).toHaveLength(1)
  })

  test('of somebody else is like ending none, also for a colleague and a superuser', async ({ api, owner, sql }) => {
    const [stranger, colleague] = [await api.newOwner(), await api.newUser(owner, 'admin')]
    await sql`update users set is_superuser = true where id = ${stranger.id}`
    const id = await idOf(owner)
    for (const client of [stranger, colleague])
      for (const method of ['GET', 'DELETE']) {
        const [theirs, none] = [
          await client.send(method, `/auth/sessions/${id}`),
          await client.send(method, `/auth/sessions/${randomUUID()}`),
        ]
        expect([theirs.status, theirs.body.detail]).toEqual([404, none.body.detail])
      }
    expect((await owner.get('/auth/me')).status).toBe(200)
  })

  test('but this one tells how many, and leaves everybody else alone', async ({ api, owner, sql }) => {
    const colleague = await api.newUser(owner, 'member')
    const others = [await signInWith(api, owner.email, firefox), await signInWith(api, owner.email, 'curl/8')]
    const ids = await Promise.all(others.map(idOf))
    const { status, body } = await owner.post('/auth/sessions/revoke-others')
    expect([status, body]).toEqual([200, { revoked: 2 }])
    for (const other of others) expect((await other.get('/auth/me')).status).toBe(401)
    expect((await colleague.get('/auth/me')).status).toBe(200)
    expect((await owner.post('/auth/sessions/revoke-others')).body).toEqual({ revoked: 0 })
    const events = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'sessions.ended')
    expect(events).toHaveLength(1)
    const told = events[0]?.after as { session_ids: string[] }
    expect(told.session_ids.sort()).toEqual(ids.sort())
  })

  test('everywhere ends this one, too', async ({ api, owner }) => {
    const other = await signInWith(api, owner.email, firefox)
    const { status, text } = await owner.post('/auth/logout-all')
    expect([status, text]).toEqual([204, ''])
    for (const client of [owner, other]) expect((await client.get('/auth/me')).status).toBe(401)
    expect((await api.signIn(owner.email)).id).toBe(owner.id)
  })
})

describe('the history of sessions', () => {
  test('is purged ninety days after their end, with its refresh tokens', async ({ api, owner, sql }) => {
    const clients = []
    for (let n = 0; n < 4; n++) clients.push(await signInWith(api, owner.email, firefox))
    const [ended, expired, late, live] = (await Promise.all(clients.map(idOf))) as [string, string, string, string]
    await sql`update sessions set revoked_at = now() - interval '91 days' where id = ${ended}`
    await sql`update sessions set expires_at = now() - interval '91 days' where id = ${expired}`
    await sql`update sessions set revoked_at = now() - interval '89 days' where id = ${late}`
    await api.app.runTask('purge sessions')
    const left = await sql`select id from sessions where user_id = ${owner.id}`
    expect(left.map(({ id }) => id).sort()).toEqual([late, live, await idOf(owner)].sort())
    const kept = await sql`select 1 from refresh_tokens where session_id in (${ended}, ${expired})`
    expect(kept).toHaveLength(0)
  })

  test('forgets used refresh tokens after thirty days, and finds thefts until then', async ({ api, owner, sql }) => {
    const refresh = (refresh_token: string) => api.anonymous.post('/auth/refresh', { refresh_token })
    const second = (await refresh(owner.refreshToken)).body.refresh_token
    const third = (await refresh(second)).body.refresh_token
    await sql`
      update refresh_tokens set used_at = now() - interval '31 days' where token_hash = ${sha256(owner.refreshToken)}`
    await sql`update refresh_tokens set used_at = now() - interval '29 days' where token_hash = ${sha256(second)}`
    await sql`update refresh_tokens set created_at = now() - interval '80 days' where token_hash = ${sha256(third)}`
    await api.app.runTask('purge sessions')
    expect((await refresh(owner.refreshToken)).status).toBe(401)
    expect((await owner.get('/auth/me')).status).toBe(200)
    expect((await refresh(second)).status).toBe(401)
    expect((await owner.get('/auth/me')).body.code).toBe('session_ended')
    expect((await refresh(third)).status).toBe(401)
  })
})
