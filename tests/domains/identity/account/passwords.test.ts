import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { type Api, type Person, password } from '../../../helpers/api.ts'
import { mailTo, tokenTo } from '../../../helpers/mail.ts'
import { newSuperuser, stepUp } from '../../../helpers/sessions.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const newPassword = 'Another-Horse-8'

const login = async (api: Api, email: string, word: string) =>
  (await api.anonymous.post('/auth/login', { username: email, password: word })).status

async function resetToken(api: Api, { email }: Person): Promise<string> {
  expect((await api.anonymous.post('/auth/forgot-password', { email })).status).toBe(202)
  return tokenTo(api, email, '/reset-password')
}

const status = async (person: Person) => (await person.get('/auth/me')).status

describe('resetting the password', () => {
  test('sets it, ends every session, verifies the address, and tells the owner', async ({ api, owner, sql }) => {
    const second = await api.signIn(owner.email)
    const token = await resetToken(api, owner)
    expect((await api.anonymous.post('/auth/reset-password', { token, password: newPassword })).status).toBe(204)
    expect([await status(owner), await status(second)]).toEqual([401, 401])
    for (const { refreshToken } of [owner, second])
      expect((await api.anonymous.post('/auth/refresh', { refresh_token: refreshToken })).status).toBe(401)
    expect([await login(api, owner.email, password), await login(api, owner.email, newPassword)]).toEqual([401, 200])
    const [user] = await sql`select email_verified_at from users where id = ${owner.id}`
    expect(user?.email_verified_at).not.toBeNull()
    const [notice] = await mailTo(api, owner.email)
    expect(notice).toMatchObject({ subject: 'Your password was changed', links: [] })
    const reset = (await eventsOf(sql, owner.id)).find(({ action }) => action === 'password.reset')
    expect(reset).toMatchObject({ actor_id: owner.id })
  })

  test('refuses a password that will not do, and leaves the link good', async ({ api, owner }) => {
    const token = await resetToken(api, owner)
    for (const weak of ['short', 'Password1!', 'alllowercase-1', owner.email]) {
      const answer = await api.anonymous.post('/auth/reset-password', { token, password: weak })
      expect([weak, answer.status]).toEqual([weak, 400])
      expect(answer.body.errors[0]).toMatchObject({ pointer: '/body/password', code: 'password' })
    }
    expect((await api.anonymous.post('/auth/reset-password', { token, password: newPassword })).status).toBe(204)
  })

  test('refuses the e-mail address as the password, which only the link tells', async ({ api, sql }) => {
    const email = `A1-${randomBytes(6).toString('hex')}@example.com`
    expect((await api.anonymous.post('/auth/register', { email, password })).status).toBe(201)
    const person = await api.signIn(email)
    const token = await resetToken(api, Object.assign(person, { email: email.toLowerCase() }))
    const answer = await api.anonymous.post('/auth/reset-password', { token, password: email })
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, '/body/password'])
    expect(await sql`select 1 from mail_tokens where user_id = ${person.id} and used_at is not null`).toHaveLength(0)
  })

  test('of a disabled account is mailed to nobody', async ({ api, owner, sql }) => {
    await api.app.runTask('mail')
    await sql`update users set is_active = false where id = ${owner.id}`
    const before = (await mailTo(api, owner.email)).length
    expect((await api.anonymous.post('/auth/forgot-password', { email: owner.email })).status).toBe(202)
    expect(await mailTo(api, owner.email)).toHaveLength(before)
  })

  test('stops a change of address that a thief has asked for', async ({ api, owner }) => {
    const thiefs = `${randomBytes(6).toString('hex')}@example.net`
    await stepUp(api, owner)
    expect((await owner.post('/auth/change-email', { email: thiefs })).status).toBe(202)
    const change = await tokenTo(api, thiefs, '/confirm-email')
    await owner.post('/auth/change-email', { email: `late-${thiefs}` })
    const token = await resetTokenWithout(api, owner)
    expect((await api.anonymous.post('/auth/reset-password', { token, password: newPassword })).status).toBe(204)
    expect((await api.anonymous.post('/auth/confirm-email', { token: change })).body.code).toBe('mail_token_invalid')
  })
})

/** The link for a reset, while the request for another address waits in the outbox until afterwards. */
async function resetTokenWithout(api: Api, owner: Person): Promise<string> {
  const { sql } = api.app.pools.requests
  await sql`update mail_outbox set due_at = now() + interval '1 hour' where template = 'change_email' and outcome is null`
  const token = await resetToken(api, owner)
  await sql`update mail_outbox set due_at = now() where template = 'change_email' and outcome is null`
  return token
}

test('a change of address that waits when the password is reset is never mailed', async ({ api, owner, sql }) => {
  const thiefs = `${randomBytes(6).toString('hex')}@example.net`
  await stepUp(api, owner)
  await owner.post('/auth/change-email', { email: thiefs })
  const token = await resetTokenWithout(api, owner)
  expect((await api.anonymous.post('/auth/reset-password', { token, password: newPassword })).status).toBe(204)
  expect(await mailTo(api, thiefs)).toEqual([])
  const [row] = await sql`select outcome from mail_outbox where recipient = ${thiefs}`
  expect(row?.outcome).toBe('dropped')
})

describe('changing the password', () => {
  test('ends every other session, keeps this one, and tells the owner', async ({ api, owner, sql }) => {
    const second = await api.signIn(owner.email)
    const change = { current_password: password, new_password: newPassword }
    expect((await owner.post('/auth/change-password', change)).status).toBe(204)
    expect([await status(owner), await status(second)]).toEqual([200, 401])
    expect([await login(api, owner.email, password), await login(api, owner.email, newPassword)]).toEqual([401, 200])
    const subjects = (await mailTo(api, owner.email)).map(({ subject }) => subject)
    expect(subjects).toContain('Your password was changed')
    const [changed] = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'password.changed')
    expect(changed).toMatchObject({ actor_id: owner.id, before: null, after: null })
  })

  test('with a wrong current password is refused and recorded, even after step-up', async ({ api, owner, sql }) => {
    const change = { current_password: 'Wrong-Horse-7', new_password: newPassword }
    expect((await owner.post('/auth/change-password', change)).body).toMatchObject({
      status: 422,
      code: 'wrong_password',
    })
    await stepUp(api, owner)
    expect((await owner.post('/auth/change-password', change)).body.code).toBe('wrong_password')
    const refusals = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'password.refused')
    expect(refusals).toHaveLength(2)
    expect(await login(api, owner.email, password)).toBe(200)
  })

  test('by guessing is stopped, and a reset lets the owner go on', async ({ api, owner }) => {
    const guess = (current_password: string) =>
      owner.post('/auth/change-password', { current_password, new_password: newPassword })
    for (let wrong = 0; wrong < 5; wrong++) expect((await guess('Wrong-Horse-7')).body.code).toBe('wrong_password')
    expect((await guess(password)).body).toMatchObject({ status: 429, code: 'account_locked' })
    const token = await resetToken(api, owner)
    expect((await api.anonymous.post('/auth/reset-password', { token, password })).status).toBe(204)
    const again = await api.signIn(owner.email)
    const change = { current_password: password, new_password: newPassword }
    expect((await again.post('/auth/change-password', change)).status).toBe(204)
  })

  test('repeats its answer under an Idempotency-Key, though the current password is another by then', async ({
    owner,
  }) => {
    const change = { current_password: password, new_password: newPassword }
    const key = { 'idempotency-key': randomBytes(8).toString('hex') }
    for (const _ of [1, 2]) expect((await owner.post('/auth/change-password', change, key)).status).toBe(204)
  })

  test('without the current password needs step-up', async ({ api, owner }) => {
    const refused = await owner.post('/auth/change-password', { new_password: newPassword })
    expect(refused.body).toMatchObject({ status: 403, code: 'step_up_required' })
    await stepUp(api, owner)
    expect((await owner.post('/auth/change-password', { new_password: newPassword })).status).toBe(204)
    expect(await login(api, owner.email, newPassword)).toBe(200)
  })

  test('is not for whoever acts as somebody else', async ({ api, owner, sql }) => {
    const superuser = await newSuperuser(api, sql)
    await sql`update sessions set impersonator_id = ${superuser.id} where user_id = ${owner.id}`
    api.app.access.forget(`user:${owner.id}`)
    const change = { current_password: password, new_password: newPassword }
    expect((await owner.post('/auth/change-password', change)).body).toMatchObject({ status: 403, code: 'forbidden' })
    await stepUp(api, owner)
    expect((await owner.post('/auth/change-email', { email: 'x@example.com' })).body.code).toBe('forbidden')
  })

  test('to one that will not do is refused', async ({ owner }) => {
    for (const new_password of ['short', 'Summer2024!', 'no-upper-case-1', 'A'.repeat(129), owner.email]) {
      const answer = await owner.post('/auth/change-password', { current_password: password, new_password })
      expect([new_password, answer.status]).toEqual([new_password, 400])
      expect(answer.body.errors[0].pointer).toBe('/body/new_password')
    }
  })

  test('twice at once from two devices leaves one of the two, and one session', async ({ api, owner }) => {
    const second = await api.signIn(owner.email)
    const words = ['Another-Horse-8', 'Another-Horse-9']
    const answers = await Promise.all(
      [owner, second].map((device, index) =>
        device.post('/auth/change-password', { current_password: password, new_password: words[index] }),
      ),
    )
    const won = answers.findIndex((answer) => answer.status === 204)
    expect(answers.filter((answer) => answer.status === 204)).toHaveLength(1)
    expect(answers[1 - won]?.status).toBeOneOf([401, 422])
    expect(await login(api, owner.email, words[won] as string)).toBe(200)
    expect([await status(owner), await status(second)].sort()).toEqual([200, 401])
  })
})

test('links go to the configured address whatever the request calls its host, and to the stored address', async ({
  api,
  owner,
}) => {
  const hostile = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    forwarded: 'host=evil.example;proto=https',
    origin: 'https://evil.example',
    referer: 'https://evil.example/',
  }
  const sent = { email: owner.email.toUpperCase() }
  expect((await api.anonymous.post('/auth/forgot-password', sent, hostile)).status).toBe(202)
  const mail = (await mailTo(api, owner.email)).find(({ subject }) => subject === 'Set a new password')
  expect(mail?.links).toEqual([expect.stringMatching(`^${api.config.publicUrl}/reset-password\\?token=[\\w-]{43}$`)])
  expect(JSON.stringify(mail)).not.toContain('evil')
})
