import { describe, expect } from 'vitest'
import { sha256 } from '../../../../src/lib/crypto.ts'
import { type Api, Client, password } from '../../../helpers/api.ts'
import { test } from '../../../helpers/sql.ts'

const refresh = (api: Api, refresh_token: string) => api.anonymous.post('/auth/refresh', { refresh_token })

describe('a refresh token', () => {
  test('is exchanged for new tokens that work', async ({ api, owner }) => {
    const { status, body } = await refresh(api, owner.refreshToken)
    expect(status).toBe(200)
    expect(body.refresh_token).not.toBe(owner.refreshToken)
    expect((await new Client(api.app, body.access_token).get('/auth/me')).status).toBe(200)
    expect((await owner.get('/auth/me')).status).toBe(200)
    expect((await refresh(api, body.refresh_token)).status).toBe(200)
  })

  test('gives the same successor again within the grace', async ({ api, owner }) => {
    const first = await refresh(api, owner.refreshToken)
    const again = await refresh(api, owner.refreshToken)
    expect(again.status).toBe(200)
    expect(again.body.refresh_token).toBe(first.body.refresh_token)
  })

  test('sent twenty times at once has one successor', async ({ api, owner, sql }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(api, owner.refreshToken)))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1)
    const [count] = await sql`
      select count(*)::int as tokens from refresh_tokens join sessions on sessions.id = session_id
      where user_id = ${owner.id}`
    expect(count?.tokens).toBe(2)
  })

  test('that was used long ago ends the session with the newest token, and is audited', async ({ api, owner, sql }) => {
    let newest = owner.refreshToken
    for (let turn = 0; turn < 3; turn++) newest = (await refresh(api, newest)).body.refresh_token
    await sql`update refresh_tokens set used_at = used_at - interval '11 seconds' where used_at is not null`
    const replay = await refresh(api, owner.refreshToken)
    expect([replay.status, replay.body.code]).toEqual([401, 'invalid_refresh_token'])
    expect((await refresh(api, newest)).status).toBe(401)
    const me = await owner.get('/auth/me')
    expect([me.status, me.body.code]).toEqual([401, 'session_ended'])
    const events = await sql`select * from audit_events where action = 'session.ended' and actor_id = ${owner.id}`
    expect(events.map(({ after }) => after)).toEqual([{ reason: 'refresh_token_reuse' }])
    await refresh(api, owner.refreshToken)
    const mails =
      await sql`select template, data from mail_outbox where recipient = ${owner.email} and template <> 'verify_email'`
    expect(mails).toMatchObject([{ template: 'token_theft', data: { ip: '127.0.0.1', at: expect.any(String) } }])
  })

  test('is kept as a hash only', async ({ owner, sql }) => {
    const [row] = await sql`select * from refresh_tokens where token_hash = ${sha256(owner.refreshToken)}`
    expect(row).toBeDefined()
    expect(JSON.stringify(await sql`select * from refresh_tokens`)).not.toContain(owner.refreshToken)
  })

  test('of a session that expired, of a user who is not active, or that never was, is refused alike', async ({
    api,
    owner,
    sql,
  }) => {
    const [late, inactive] = [await api.newUser(owner, 'member'), await api.newUser(owner, 'member')]
    await sql`update sessions set expires_at = now() - interval '1 second' where user_id = ${late.id}`
    await sql`update users set is_active = false where id = ${inactive.id}`
    for (const token of [late.refreshToken, inactive.refreshToken, 'x', 'A'.repeat(43)]) {
      const { status, body } = await refresh(api, token)
      expect([status, body.code]).toEqual([401, 'invalid_refresh_token'])
    }
  })

  test('moves the end of its session, by the rule it was made with', async ({ api, owner, sql }) => {
    await sql`update sessions set expires_at = now() + interval '1 hour' where user_id = ${owner.id}`
    await refresh(api, owner.refreshToken)
    const days = () => sql`
      select round(extract(epoch from expires_at - now()) / 86400)::int as days from sessions where user_id = ${owner.id}`
    expect((await days())[0]?.days).toBe(7)
  })

  test('of a session that shall be remembered moves its end by thirty days, never past its last day', async ({
    api,
    owner,
    sql,
  }) => {
    const { body } = await api.anonymous.post('/auth/login', { username: owner.email, password, remember_me: true })
    const days = async () => {
      const [row] = await sql`
        select round(extract(epoch from expires_at - now()) / 86400)::int as days
        from sessions where user_id = ${owner.id} and remember_me`
      return row?.days
    }
    await sql`update sessions set expires_at = now() + interval '1 hour' where user_id = ${owner.id}`
    const next = await refresh(api, body.refresh_token)
    expect(await days()).toBe(30)
    await sql`update sessions set ends_at = now() + interval '2 days' where user_id = ${owner.id}`
    const last = await refresh(api, next.body.refresh_token)
    expect(await days()).toBe(2)
    await sql`update sessions set ends_at = now() - interval '1 second' where user_id = ${owner.id}`
    expect((await refresh(api, last.body.refresh_token)).status).toBe(401)
  })

  test('is refused once the organisation lets a session live no longer', async ({ api, owner, sql }) => {
    await sql`update organizations set settings = '{"session_lifetime_s": 3600}' where id = ${owner.orgId}`
    const { body } = await refresh(api, owner.refreshToken)
    await sql`update sessions set created_at = now() - interval '3601 seconds' where user_id = ${owner.id}`
    expect((await refresh(api, body.refresh_token)).status).toBe(401)
  })
})
