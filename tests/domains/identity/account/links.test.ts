import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { type Api, newEmail, type Person, password } from '../../../helpers/api.ts'
import { stateOf } from '../../../helpers/contract.ts'
import { tokenTo } from '../../../helpers/mail.ts'
import { stepUp } from '../../../helpers/sessions.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const newPassword = 'Another-Horse-8'

/** Each kind of link: how one is asked for, and what using it takes. */
const links = [
  {
    path: '/auth/verify-email',
    page: '/verify-email',
    ask: (api: Api, { email }: Person) => api.anonymous.post('/auth/resend-verification', { email }),
    body: {},
  },
  {
    path: '/auth/reset-password',
    page: '/reset-password',
    ask: (api: Api, { email }: Person) => api.anonymous.post('/auth/forgot-password', { email }),
    body: { password: newPassword },
  },
  {
    path: '/auth/confirm-email',
    page: '/confirm-email',
    ask: async (api: Api, owner: Person, to?: string) => {
      await stepUp(api, owner)
      return owner.post('/auth/change-email', { email: to })
    },
    body: {},
  },
]

describe.each(links)('a link for $path', ({ path, page, ask, body }) => {
  /** Asks for a link; gives where it went and its token. */
  const linkFor = async (api: Api, owner: Person, to = path === '/auth/confirm-email' ? newEmail() : owner.email) => {
    expect((await ask(api, owner, to)).status).toBe(202)
    return { to, token: await tokenTo(api, to, page) }
  }

  test('is stored as a hash only, in no table as it is', async ({ api, owner, sql }) => {
    const { token } = await linkFor(api, owner)
    const tables = await sql`select tablename as name from pg_tables where schemaname = 'public'`
    for (const { name } of tables) {
      const rows = await sql`select 1 from ${sql(name)} t where t::text like ${`%${token}%`}`
      expect(rows, name).toHaveLength(0)
    }
    expect(await sql`select 1 from mail_tokens where token_hash = sha256(${token}::bytea)`).toHaveLength(1)
  })

  test('works once, also when it is used twice at once', async ({ api, owner }) => {
    const { token } = await linkFor(api, owner)
    const answers = await Promise.all([1, 2, 3, 4].map(() => api.anonymous.post(path, { token, ...body })))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422, 422, 422])
    const late = await api.anonymous.post(path, { token, ...body })
    expect(late.body).toMatchObject({ status: 422, code: 'mail_token_invalid' })
  })

  test('repeats its answer under an Idempotency-Key', async ({ api, owner }) => {
    const { token } = await linkFor(api, owner)
    const key = { 'idempotency-key': randomBytes(8).toString('hex') }
    for (const _ of [1, 2]) expect((await api.anonymous.post(path, { token, ...body }, key)).status).toBe(204)
  })

  test('expires by the clock of the database', async ({ api, owner, sql }) => {
    const { token } = await linkFor(api, owner)
    const [life] = await sql`select extract(epoch from expires_at - created_at)::int as s from mail_tokens
      where token_hash = sha256(${token}::bytea)`
    expect(life?.s).toBe(page === '/verify-email' ? 86_400 : 3_600)
    await sql`update mail_tokens set expires_at = now() - interval '1 second' where token_hash = sha256(${token}::bytea)`
    expect((await api.anonymous.post(path, { token, ...body })).body.code).toBe('mail_token_invalid')
  })

  test('dies when a newer one is made', async ({ api, owner }) => {
    const first = await linkFor(api, owner)
    const second = await linkFor(api, owner, first.to)
    expect(second.token).not.toBe(first.token)
    expect((await api.anonymous.post(path, { token: first.token, ...body })).body.code).toBe('mail_token_invalid')
    expect((await api.anonymous.post(path, { token: second.token, ...body })).status).toBe(204)
  })

  test('dies when the address of the account changes', async ({ api, owner, sql }) => {
    const { token } = await linkFor(api, owner)
    const to = newEmail()
    await stepUp(api, owner)
    expect((await owner.post('/auth/change-email', { email: to })).status).toBe(202)
    const change = await tokenTo(api, to, '/confirm-email')
    expect((await api.anonymous.post('/auth/confirm-email', { token: change })).status).toBe(204)
    expect((await api.anonymous.post(path, { token, ...body })).body.code).toBe('mail_token_invalid')
    expect(await sql`select 1 from users where id = ${owner.id} and email = ${to}`).toHaveLength(1)
  })

  test('serves no other purpose', async ({ api, owner }) => {
    const { token } = await linkFor(api, owner)
    for (const other of links.filter((link) => link.path !== path))
      expect((await api.anonymous.post(other.path, { token, ...other.body })).body.code).toBe('mail_token_invalid')
    const invited = { email: owner.email, password, invitation_token: token }
    expect((await api.anonymous.post('/auth/register', invited)).body.code).toBe('mail_token_invalid')
    expect((await api.anonymous.post(path, { token, ...body })).status).toBe(204)
  })

  test('is worth nothing to an account that was disabled', async ({ api, owner, sql }) => {
    const { token } = await linkFor(api, owner)
    await sql`update users set is_active = false where id = ${owner.id}`
    expect((await api.anonymous.post(path, { token, ...body })).body.code).toBe('mail_token_invalid')
  })

  test('that is cut, foreign or garbage changes nothing and is audited', async ({ api, owner, sql }) => {
    const { token } = await linkFor(api, owner)
    const bad = [token.slice(1), token.slice(0, -1), `${token}=`, `${token} `, randomBytes(32).toString('base64url')]
    const garbage = ['x', '🗝️', "' or 1=1 --", 'é'.repeat(200), '\u0000', '%00', '../../etc', '{}']
    for (const each of [...bad, ...garbage]) {
      const { audit_events, audit_queue, ...before } = await stateOf(sql)
      const answer = await api.anonymous.post(path, { token: each, ...body })
      expect([each, answer.status, answer.body.code]).toEqual([each, 422, 'mail_token_invalid'])
      const { audit_events: events, audit_queue: queue, ...after } = await stateOf(sql)
      expect(after).toEqual(before)
      expect(events?.rows).toBe((audit_events?.rows ?? 0) + 1)
      expect(queue?.rows).toBe((audit_queue?.rows ?? 0) + 1)
      const [event] = await sql`select action, after from audit_events where request_id = ${answer.body.request_id}`
      expect(event).toMatchObject({ action: 'request.refused', after: { code: 'mail_token_invalid' } })
    }
    for (const each of ['', 'x'.repeat(201), 1, null, ['x'], { token }])
      expect((await api.anonymous.post(path, { token: each, ...body })).status).toBe(400)
    expect((await api.anonymous.post(path, { token, ...body })).status).toBe(204)
  })
})

test('a verified address is told in the account and in the audit', async ({ api, owner, sql }) => {
  expect((await owner.get('/auth/me')).body.user.email_verified_at).toBeNull()
  const token = await tokenTo(api, owner.email, '/verify-email')
  expect((await api.anonymous.post('/auth/verify-email', { token })).status).toBe(204)
  expect((await owner.get('/auth/me')).body.user.email_verified_at).toEqual(expect.any(String))
  const events = await eventsOf(sql, owner.id)
  expect(events.at(-1)).toMatchObject({ action: 'user.verified', actor_id: owner.id, after: { email: owner.email } })
})

test('whoever is verified gets no further link to verify', async ({ api, owner }) => {
  const token = await tokenTo(api, owner.email, '/verify-email')
  await api.anonymous.post('/auth/verify-email', { token })
  const before = api.app.mail.kept.length
  expect((await api.anonymous.post('/auth/resend-verification', { email: owner.email })).status).toBe(202)
  await api.app.runTask('mail')
  expect(api.app.mail.kept.slice(0, api.app.mail.kept.length - before).filter(({ to }) => to === owner.email)).toEqual(
    [],
  )
})
