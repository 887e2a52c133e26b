import { describe, expect } from 'vitest'
import { type Api, newEmail, type Person, password, startApi } from '../../../helpers/api.ts'
import { mailTo, tokenTo } from '../../../helpers/mail.ts'
import { eventsOf, ownerSql, test } from '../../../helpers/sql.ts'

type Sql = ReturnType<typeof ownerSql>

/** An invitation as the members of an organisation make it, and the mail for it. */
async function invite(sql: Sql, owner: Person, email: string, roles = ['user'], days = 7): Promise<string> {
  const [made] = await sql`
    insert into invitations (org_id, id, email, roles, invited_by, expires_at)
    values (${owner.orgId}, gen_random_uuid(), ${email}, ${roles}, ${owner.id}, now() + ${days} * interval '1 day')
    returning id`
  const data = { org_id: owner.orgId, invitation_id: made?.id }
  await sql`insert into mail_outbox (id, template, recipient, data)
    values (gen_random_uuid(), 'invitation', ${email}, ${sql.json(data)})`
  return made?.id
}

const tokenFor = (api: Api, email: string) => tokenTo(api, email, '/invitations/accept')

describe('registering by an invitation', () => {
  test('joins the organisation with its roles, verified, and makes none of its own', async ({ api, owner, sql }) => {
    const email = newEmail()
    const invitation = await invite(sql, owner, email, ['user', 'portfolio_manager'])
    const invitation_token = await tokenFor(api, email)
    const sent = { email: email.toUpperCase(), password, full_name: 'Kim', invitation_token }
    const { status, body, headers } = await api.anonymous.post('/auth/register', sent)
    expect([status, headers.location]).toEqual([201, '/api/v1/auth/me'])
    expect(body).toMatchObject({ email, full_name: 'Kim', email_verified_at: expect.any(String) })
    const me = (await (await api.signIn(email)).get('/auth/me')).body
    expect(me.organization.id).toBe(owner.orgId)
    expect(me.roles.sort()).toEqual(['portfolio_manager', 'user'])
    expect(await sql`select 1 from members where user_id = ${body.id}`).toHaveLength(1)
    expect((await eventsOf(sql, body.id))[0]).toMatchObject({ action: 'user.registered', org_id: owner.orgId })
    expect((await eventsOf(sql, invitation)).at(-1)).toMatchObject({ action: 'invitation.accepted', actor_id: body.id })
  })

  test('works once, also when it is used twice at once', async ({ api, owner, sql }) => {
    const email = newEmail()
    await invite(sql, owner, email)
    const invitation_token = await tokenFor(api, email)
    const answers = await Promise.all(
      [1, 2, 3].map(() => api.anonymous.post('/auth/register', { email, password, invitation_token })),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    for (const { status } of answers) expect(status).toBeOneOf([201, 409, 422])
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(1)
  })

  test('refuses another address, and does not tell whether that one is known', async ({ api, owner, sql }) => {
    const email = newEmail()
    await invite(sql, owner, email)
    const invitation_token = await tokenFor(api, email)
    for (const other of [owner.email, newEmail()]) {
      const { body } = await api.anonymous.post('/auth/register', { email: other, password, invitation_token })
      expect(body).toMatchObject({ status: 422, code: 'invitation_mismatch' })
    }
    const { status } = await api.anonymous.post('/auth/register', { email, password, invitation_token })
    expect(status).toBe(201)
  })

  test('refuses a link that is cancelled, expired or garbage, records it, and makes nothing', async ({
    api,
    owner,
    sql,
  }) => {
    const [cancelled, expired] = [newEmail(), newEmail()]
    const id = await invite(sql, owner, cancelled)
    await invite(sql, owner, expired)
    const tokens = [
      [cancelled, await tokenFor(api, cancelled)],
      [expired, await tokenFor(api, expired)],
      [newEmail(), 'garbage'],
    ]
    await sql`update invitations set status = 'cancelled' where id = ${id}`
    await sql`update mail_tokens set expires_at = now() - interval '1 second' where email = ${expired}`
    for (const [email, invitation_token] of tokens) {
      const { body } = await api.anonymous.post('/auth/register', { email, password, invitation_token })
      expect([email, body.status, body.code]).toEqual([email, 422, 'mail_token_invalid'])
      expect(await sql`select 1 from users where email = ${email as string}`).toHaveLength(0)
      const [event] = await sql`select action, after from audit_events where request_id = ${body.request_id}`
      expect(event).toMatchObject({ after: { operation: 'register', code: 'mail_token_invalid' } })
    }
  })

  test('leaves no room for an organisation of its own', async ({ api }) => {
    const sent = { email: newEmail(), password, invitation_token: 'x', organization_name: 'Mine' }
    const { body } = await api.anonymous.post('/auth/register', sent)
    expect(body).toMatchObject({ status: 400, errors: [{ pointer: '/body/organization_name' }] })
  })

  test('tells who has an account already to sign in', async ({ api, owner, sql }) => {
    const known = await api.newOwner()
    await invite(sql, owner, known.email)
    const invitation_token = await tokenFor(api, known.email)
    const { body } = await api.anonymous.post('/auth/register', { email: known.email, password, invitation_token })
    expect(body).toMatchObject({ status: 409, code: 'email_taken' })
  })
})

describe('the mail of an invitation', () => {
  test('tells who invites whereto, and lives no longer than the invitation', async ({ api, owner, sql }) => {
    const [long, short] = [newEmail(), newEmail()]
    await invite(sql, owner, long, ['user'], 30)
    await invite(sql, owner, short, ['user'], 2)
    const [mail] = await mailTo(api, long)
    expect(mail?.subject).toMatch(/^Invitation to user-\w+'s organization$/)
    expect(mail?.text).toContain(`${owner.email} invites you to join`)
    expect(mail?.text).toContain('for 7 days')
    const lives = await sql`select extract(epoch from expires_at - now()) / 86400 as days from mail_tokens
      where email = any(${[long, short]}) order by 1`
    expect(lives.map(({ days }) => Math.round(days))).toEqual([2, 7])
  })

  test('is not sent once the invitation is cancelled or its organisation suspended', async ({ api, owner, sql }) => {
    const email = newEmail()
    const id = await invite(sql, owner, email)
    await sql`update invitations set status = 'cancelled' where id = ${id}`
    const other = await api.newOwner()
    await invite(sql, other, email)
    await sql`update organizations set is_active = false where id = ${other.orgId}`
    expect(await mailTo(api, email)).toEqual([])
  })
})

test('where registration is by invitation, or addresses must be verified, the link suffices', async () => {
  const modes = [{ REGISTRATION: 'invite' }, { REQUIRE_VERIFIED_EMAIL: 'true' }, { REGISTRATION: 'closed' }]
  for (const mode of modes) {
    const open = await startApi()
    const sql = ownerSql(open.ownerUrl)
    const owner = await open.newOwner()
    const api = await startApi(mode as unknown as Record<string, string>, open)
    const email = newEmail()
    await invite(sql, owner, email)
    const sent = { email, password, invitation_token: await tokenFor(api, email) }
    const { status, body } = await api.anonymous.post('/auth/register', sent)
    expect([mode, status]).toEqual([mode, mode.REGISTRATION === 'closed' ? 403 : 201])
    if (status === 201) expect((await (await api.signIn(email)).get('/users')).status).toBe(200)
    else expect(body.code).toBe('registration_closed')
    await api.close()
    await sql.end()
    await open.close()
  }
})
