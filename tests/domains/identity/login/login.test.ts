import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { mintToken } from '../../../../src/db/mail-tokens.ts'
import { platformOrgId } from '../../../../src/db/tables/audit.ts'
import { Client, password } from '../../../helpers/api.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const unique = () => randomBytes(6).toString('hex')

describe('signing in', () => {
  test('works with the e-mail address in any spelling and with the username', async ({ api }) => {
    const [email, username] = [`${unique()}@example.com`, `kim-${unique()}`]
    await api.anonymous.post('/auth/register', { email, password, username })
    for (const login of [email, email.toUpperCase(), username, username.toUpperCase()]) {
      const { status, body } = await api.anonymous.post('/auth/login', { username: login, password })
      expect({ login, status }).toEqual({ login, status: 200 })
      expect(body).toEqual({
        access_token: expect.any(String),
        refresh_token: expect.stringMatching(/^[\w-]{43}$/),
        token_type: 'bearer',
        expires_in: 900,
      })
    }
  })

  test('is refused alike for a wrong password, an unknown account and one that is not active', async ({
    api,
    owner,
    sql,
  }) => {
    const inactive = await api.newUser(owner, 'member')
    await sql`update users set is_active = false where id = ${inactive.id}`
    const answers = [
      await api.anonymous.post('/auth/login', { username: owner.email, password: 'Wrong-Horse-7' }),
      await api.anonymous.post('/auth/login', { username: 'nobody@example.com', password }),
      await api.anonymous.post('/auth/login', { username: inactive.email, password }),
      await api.anonymous.post('/auth/login', { username: "' or 1=1 --", password }),
    ]
    const bodies = answers.map(({ body: { request_id, ...body } }) => body)
    for (const body of bodies) expect(body).toEqual(bodies[0])
    expect(bodies[0]).toMatchObject({ status: 401, code: 'invalid_credentials' })
    for (const { headers } of answers) expect(headers['www-authenticate']).toBe('Bearer realm="tenon"')
  })

  test('and being refused leave their trace in the audit', async ({ api, owner, sql }) => {
    await api.anonymous.post('/auth/login', { username: owner.email, password: 'Wrong-Horse-7' })
    const [refused] = await eventsOf(sql, owner.id).then((events) => events.slice(-1))
    expect(refused).toMatchObject({ action: 'session.refused', ip: '127.0.0.1', before: null, after: null })
    const [created] = await sql`select * from audit_events where action = 'session.created' and actor_id = ${owner.id}`
    expect(created).toMatchObject({ subject_type: 'session', org_id: owner.orgId })
  })

  test('is no business of whoever else is signed in there, refused or not, nor are links', async ({
    api,
    owner,
    sql,
  }) => {
    const other = await api.newOwner()
    const token = await mintToken(api.app.pools.requests.db, {
      ...{ purpose: 'verify_email', email: other.email, user_id: other.id, ttl_s: 60 },
    })
    await owner.post('/auth/login', { username: other.email, password: 'Wrong-Horse-7' })
    await owner.post('/auth/login', { username: other.email, password })
    expect((await owner.post('/auth/verify-email', { token })).status).toBe(204)
    const told = await sql`
      select action, org_id, actor_id from audit_events
      where subject_id = ${other.id} and action in ('session.refused', 'user.verified') order by created_at`
    expect(told).toEqual([
      { action: 'session.refused', org_id: platformOrgId, actor_id: null },
      { action: 'user.verified', org_id: platformOrgId, actor_id: other.id },
    ])
  })

  test('a session lives seven days, or thirty where it shall be remembered', async ({ api, owner, sql }) => {
    await api.anonymous.post('/auth/login', { username: owner.email, password, remember_me: true })
    const days = await sql`
      select round(extract(epoch from expires_at - created_at) / 86400)::int as days
      from sessions where user_id = ${owner.id} order by created_at`
    expect(days.map((row) => row.days)).toEqual([7, 30])
  })

  test('refuses unknown fields, and passwords that are no text', async ({ api, owner }) => {
    for (const extra of [
      { otp: '1' },
      { password: 1 },
      { password: ['x'] },
      { password: null },
      { remember_me: 'true' },
    ]) {
      const { status } = await api.anonymous.post('/auth/login', { username: owner.email, password, ...extra })
      expect({ extra, status }).toEqual({ extra, status: 400 })
    }
  })
})

describe('being signed in', () => {
  test('ends at once with signing out, for the access token and the refresh token', async ({ api, owner, sql }) => {
    const logout = await owner.post('/auth/logout')
    expect([logout.status, logout.text]).toEqual([204, ''])
    const me = await owner.get('/auth/me')
    expect([me.status, me.body.code]).toEqual([401, 'session_ended'])
    const refresh = await api.anonymous.post('/auth/refresh', { refresh_token: owner.refreshToken })
    expect([refresh.status, refresh.body.code]).toEqual([401, 'invalid_refresh_token'])
    const [ended] = await sql`
      select * from audit_events where action = 'session.ended' and actor_id = ${owner.id}`
    expect(ended?.after).toEqual({ reason: 'logout' })
  })

  test('on another device goes on when one signs out', async ({ api, owner }) => {
    const phone = await api.signIn(owner.email)
    await phone.post('/auth/logout')
    expect((await owner.get('/auth/me')).status).toBe(200)
  })

  test('is asked for where there is no credential or an odd one', async ({ api }) => {
    const { status, body, headers } = await api.anonymous.get('/auth/me')
    expect([status, body.code]).toEqual([401, 'unauthenticated'])
    expect(headers['www-authenticate']).toBe('Bearer realm="tenon"')
    for (const authorization of ['Basic YTpi', 'Bearer', 'Bearer ', 'bearer x', 'Bearer a.b', 'x'.repeat(5_000)]) {
      const answer = await new Client(api.app).get('/auth/me', { authorization })
      expect([authorization, answer.status, answer.body.code]).toEqual([authorization, 401, 'invalid_token'])
    }
  })
})
