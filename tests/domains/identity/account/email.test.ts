import { describe, expect } from 'vitest'
import { type Api, newEmail, type Person, password } from '../../../helpers/api.ts'
import { mailTo, tokenTo } from '../../../helpers/mail.ts'
import { stepUp } from '../../../helpers/sessions.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const ask = async (api: Api, person: Person, email: string) => {
  await stepUp(api, person)
  return person.post('/auth/change-email', { email })
}

describe('changing the e-mail address', () => {
  test('needs step-up', async ({ owner }) => {
    const { body } = await owner.post('/auth/change-email', { email: newEmail() })
    expect(body).toMatchObject({ status: 403, code: 'step_up_required' })
  })

  test('waits for the link mailed to the new one, then tells the old one, and ends sessions', async ({
    api,
    owner,
    sql,
  }) => {
    const email = newEmail()
    expect((await ask(api, owner, email.toUpperCase())).body).toEqual({ status: 'accepted' })
    const token = await tokenTo(api, email, '/confirm-email')
    expect((await owner.get('/auth/me')).body.user.email).toBe(owner.email)
    expect((await api.anonymous.post('/auth/confirm-email', { token })).status).toBe(204)
    expect((await owner.get('/auth/me')).status).toBe(401)
    const again = await api.signIn(email)
    expect((await again.get('/auth/me')).body.user).toMatchObject({ email, email_verified_at: expect.any(String) })
    const [notice] = await mailTo(api, owner.email)
    expect(notice).toMatchObject({ subject: 'Your e-mail address was changed', text: expect.stringContaining(email) })
    const changed = (await eventsOf(sql, owner.id)).find(({ action }) => action === 'user.email_changed')
    expect(changed).toMatchObject({ actor_id: owner.id, before: { email: owner.email }, after: { email } })
  })

  test('keeps the session in which its owner follows the link', async ({ api, owner }) => {
    const other = await api.signIn(owner.email)
    const email = newEmail()
    await ask(api, owner, email)
    const token = await tokenTo(api, email, '/confirm-email')
    expect((await owner.post('/auth/confirm-email', { token })).status).toBe(204)
    expect([(await owner.get('/auth/me')).status, (await other.get('/auth/me')).status]).toEqual([200, 401])
  })

  test("ends every session where somebody else's follows the link", async ({ api, owner }) => {
    const stranger = await api.newOwner()
    const email = newEmail()
    await ask(api, owner, email)
    const token = await tokenTo(api, email, '/confirm-email')
    expect((await stranger.post('/auth/confirm-email', { token })).status).toBe(204)
    expect([(await owner.get('/auth/me')).status, (await stranger.get('/auth/me')).status]).toEqual([401, 200])
  })

  test('answers alike for a free and a taken address, and mails the owner of a taken one no link', async ({
    api,
    owner,
  }) => {
    const other = await api.newOwner()
    const answers = [await ask(api, owner, other.email), await ask(api, owner, newEmail())]
    expect(answers.map(({ status, body }) => ({ status, body }))).toEqual([
      { status: 202, body: { status: 'accepted' } },
      { status: 202, body: { status: 'accepted' } },
    ])
    const pages = (await mailTo(api, other.email)).flatMap(({ links }) => links.map((link) => new URL(link).pathname))
    expect(pages).not.toContain('/confirm-email')
  })

  test('to one that somebody took meanwhile is a conflict, and changes nothing', async ({ api, owner }) => {
    const email = newEmail()
    await ask(api, owner, email)
    const token = await tokenTo(api, email, '/confirm-email')
    expect((await api.anonymous.post('/auth/register', { email, password })).status).toBe(201)
    const { body } = await api.anonymous.post('/auth/confirm-email', { token })
    expect(body).toMatchObject({ status: 409, code: 'email_taken' })
    expect((await owner.get('/auth/me')).body.user.email).toBe(owner.email)
  })

  test('obeys every organisation one belongs to, when it is asked for and when it is confirmed', async ({
    api,
    owner,
    sql,
  }) => {
    const allow = (domains: string[]) =>
      sql`update organizations set settings = ${sql.json({ allowed_email_domains: domains })} where id = ${owner.orgId}`
    await allow(['example.com', 'bank.example'])
    const refused = await ask(api, owner, newEmail('evil.example'))
    expect(refused.body).toMatchObject({ status: 422, code: 'email_domain_not_allowed' })
    const email = newEmail('bank.example')
    expect((await ask(api, owner, email)).status).toBe(202)
    const token = await tokenTo(api, email, '/confirm-email')
    await allow(['example.com'])
    expect((await api.anonymous.post('/auth/confirm-email', { token })).body.code).toBe('email_domain_not_allowed')
    await allow([])
    expect((await api.anonymous.post('/auth/confirm-email', { token })).status).toBe(204)
  })

  test('to what is no address is refused', async ({ api, owner }) => {
    for (const email of ['nobody', 'a b@example.com', 'a@b\r\nBcc: c@d.example', 'x'.repeat(255)])
      expect((await ask(api, owner, email)).status).toBe(400)
  })
})
