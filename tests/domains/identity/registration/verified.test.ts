import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { type Api, type Client, newEmail, password, testWith } from '../../../helpers/api.ts'
import { mailTo, tokenTo } from '../../../helpers/mail.ts'
import { eventsOf, ownerSql } from '../../../helpers/sql.ts'

const test = testWith({ REQUIRE_VERIFIED_EMAIL: 'true' }).extend<{ sql: ReturnType<typeof ownerSql> }>({
  sql: [
    async ({ api }, use) => {
      const sql = ownerSql(api.ownerUrl)
      await use(sql)
      await sql.end()
    },
    { scope: 'file' },
  ],
})

const attackers = 'Attackers-Horse-7'

const login = async ({ anonymous }: Api, username: string, word: string) =>
  (await anonymous.post('/auth/login', { username, password: word })).status

async function register(api: Api, email: string, word = password, more = {}) {
  const answer = await api.anonymous.post('/auth/register', { email, password: word, ...more })
  expect([answer.status, answer.body]).toEqual([202, { status: 'verification_required' }])
}

const verify = ({ anonymous }: Api, token: string) => anonymous.post('/auth/verify-email', { token })

const reaches = async (client: Client) => (await client.get('/portfolios')).status

describe('where addresses must be verified', () => {
  test('a new user is let in once he has followed the link', async ({ api }) => {
    const email = newEmail()
    await register(api, email)
    const user = await api.signIn(email)
    expect(await reaches(user)).toBe(403)
    expect((await verify(api, await tokenTo(api, email, '/verify-email'))).status).toBe(204)
    expect(await reaches(user)).toBe(200)
  })

  test('the owner of a verified address learns that somebody tried it, and nothing changes', async ({ api }) => {
    const email = newEmail()
    await register(api, email)
    await verify(api, await tokenTo(api, email, '/verify-email'))
    await register(api, email, attackers)
    const [notice] = await mailTo(api, email)
    expect(notice).toMatchObject({ subject: 'You have an account already', links: [] })
    expect([await login(api, email, password), await login(api, email, attackers)]).toEqual([200, 401])
  })

  test('a known address makes no second account, organisation or event', async ({ api, sql }) => {
    const email = newEmail()
    await register(api, email)
    const counts = () => sql`select (select count(*) from users) as users, (select count(*) from organizations) as orgs,
      (select count(*) from members) as members, (select count(*) from audit_events) as events`
    const before = await counts()
    await register(api, email, attackers)
    expect([...(await counts())]).toEqual([...before])
  })

  test('two registrations of one address at once make one account', async ({ api, sql }) => {
    const email = newEmail()
    await Promise.all([1, 2, 3, 4].map(() => register(api, email)))
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(1)
    expect((await verify(api, await tokenTo(api, email, '/verify-email'))).status).toBe(204)
  })
})

describe('who registered an address before its owner did', () => {
  test('loses everything when the owner follows the link of his own registration', async ({ api, sql }) => {
    const email = newEmail()
    await register(api, email, attackers, { full_name: 'Mallory', username: `m${randomBytes(4).toString('hex')}` })
    const first = await tokenTo(api, email, '/verify-email')
    const login1 = await api.anonymous.post('/auth/login', { username: email, password: attackers })
    const { access_token, refresh_token } = login1.body
    const [user] =
      await sql`update users set totp_secret = '\\x00', totp_confirmed_at = now() where email = ${email} returning id`
    await sql`insert into recovery_codes (user_id, code_hash) values (${user?.id}, '\\x01')`

    await register(api, email, password)
    expect((await verify(api, first)).body.code).toBe('mail_token_invalid')
    const [mail] = await mailTo(api, email)
    expect(mail?.text).toContain('with the password of this registration')
    expect((await verify(api, await tokenTo(api, email, '/verify-email'))).status).toBe(204)

    const session = await api.anonymous.send('GET', '/auth/me', undefined, { authorization: `Bearer ${access_token}` })
    expect(session.status).toBe(401)
    expect((await api.anonymous.post('/auth/refresh', { refresh_token })).status).toBe(401)
    expect([await login(api, email, attackers), await login(api, email, password)]).toEqual([401, 200])
    const [left] =
      await sql`select username, full_name, totp_secret, totp_confirmed_at from users where id = ${user?.id}`
    expect(left).toEqual({ username: null, full_name: null, totp_secret: null, totp_confirmed_at: null })
    expect(await sql`select 1 from recovery_codes where user_id = ${user?.id}`).toHaveLength(0)
    const actions = (await eventsOf(sql, user?.id)).map(({ action }) => action)
    expect(actions).toContain('user.verified')
    expect(await reaches(await api.signIn(email))).toBe(200)
  })

  test('cannot have his own registration verified by asking for the mail again', async ({ api }) => {
    const email = newEmail()
    await register(api, email, attackers)
    await register(api, email, password)
    await api.app.runTask('mail')
    await api.anonymous.post('/auth/resend-verification', { email })
    const [mail] = await mailTo(api, email)
    expect(mail?.subject).toBe('Set a new password')
    const token = await tokenTo(api, email, '/reset-password')
    expect((await api.anonymous.post('/auth/reset-password', { token, password })).status).toBe(204)
    expect([await login(api, email, attackers), await login(api, email, password)]).toEqual([401, 200])
    expect(await reaches(await api.signIn(email))).toBe(200)
  })

  test('loses everything when the owner resets the password instead', async ({ api, sql }) => {
    const email = newEmail()
    await register(api, email, attackers)
    const [user] =
      await sql`update users set totp_secret = '\\x00', totp_confirmed_at = now() where email = ${email} returning id`
    await api.anonymous.post('/auth/forgot-password', { email })
    const token = await tokenTo(api, email, '/reset-password')
    expect((await api.anonymous.post('/auth/reset-password', { token, password })).status).toBe(204)
    expect(await login(api, email, attackers)).toBe(401)
    const [left] = await sql`select totp_secret, email_verified_at from users where id = ${user?.id}`
    expect(left).toMatchObject({ totp_secret: null, email_verified_at: expect.anything() })
    const actions = (await eventsOf(sql, user?.id)).map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['factor.removed', 'password.reset']))
  })

  test('cannot bring a password to an account that an organisation made', async ({ api }) => {
    const ownerEmail = newEmail()
    await register(api, ownerEmail)
    await verify(api, await tokenTo(api, ownerEmail, '/verify-email'))
    const owner = await api.signIn(ownerEmail)
    const email = newEmail()
    expect((await owner.post('/users', { email, password, role: 'member' })).status).toBe(201)
    await register(api, email, attackers)
    expect((await verify(api, await tokenTo(api, email, '/verify-email'))).status).toBe(204)
    expect([await login(api, email, attackers), await login(api, email, password)]).toEqual([401, 200])
  })

  test('leaves no hash of a password in the outbox once mail is sent', async ({ api, sql }) => {
    const email = newEmail()
    await register(api, email, attackers)
    await register(api, email, password)
    await api.app.runTask('mail')
    const rows = await sql`select data from mail_outbox where recipient = ${email} order by created_at`
    expect(rows.map(({ data }) => data)).toEqual([{}, { ip: '127.0.0.1', contested: true }])
  })
})
