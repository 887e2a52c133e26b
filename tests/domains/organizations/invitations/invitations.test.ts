import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { mintToken } from '../../../../src/db/mail-tokens.ts'
import { type Api, newEmail, type Person, password } from '../../../helpers/api.ts'
import { mintInvitation } from '../../../helpers/members.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const outcome = ({ status, body }: { status: number; body: { code?: string } | undefined }) => [status, body?.code]

/** Invites somebody who has an account. */
async function inviteTo(owner: Person, api: Api, roles = ['user']) {
  const invited = await api.newOwner()
  const { body } = await owner.post('/invitations', { email: invited.email, roles })
  return { invited, id: body.id as string, path: `/invitations/${body.id}` }
}

const membersOf = async (owner: Person) =>
  (await owner.get('/members')).body.data as { user_id: string; roles: string[] }[]

describe('an invitation', () => {
  test('is made, mailed, audited and listed by state and address', async ({ owner, sql }) => {
    const email = newEmail()
    const made = await owner.post('/invitations', { email: email.toUpperCase(), roles: ['user', 'guest'] })
    expect(made.status).toBe(201)
    expect(made.headers.location).toBe(`/api/v1/invitations/${made.body.id}`)
    expect(made.body).toMatchObject({ email, roles: ['user', 'guest'], status: 'pending', invited_by: owner.id })
    const days = (Date.parse(made.body.expires_at) - Date.parse(made.body.created_at)) / 86_400_000
    expect(days).toBeCloseTo(7, 3)
    const [mail] = await sql`select template, data from mail_outbox where recipient = ${email}`
    expect(mail).toEqual({
      template: 'invitation',
      data: {
        org_id: owner.orgId,
        invitation_id: made.body.id,
        organization_name: expect.any(String),
        invited_by: owner.email,
      },
    })
    expect(await sql`select 1 from mail_tokens where invitation_id = ${made.body.id}`).toHaveLength(0)
    for (const query of ['status=pending', `email=${email.toUpperCase()}`])
      expect((await owner.get(`/invitations?${query}&total=exact`)).body).toMatchObject({ data: [{ email }], total: 1 })
    expect((await owner.get('/invitations?status=expired')).body.data).toEqual([])
    expect((await eventsOf(sql, made.body.id)).map(({ action }) => action)).toEqual(['invitation.created'])
  })

  test('is refused for members, pending addresses, other domains and roles that are not the inviter’s', async ({
    api,
    owner,
    sql,
  }) => {
    const admin = await api.newUser(owner, 'admin')
    const email = newEmail()
    expect((await owner.post('/invitations', { email, roles: ['user'] })).status).toBe(201)
    const cases: [Person, string, string[], number, string][] = [
      [owner, admin.email, ['user'], 409, 'already_exists'],
      [owner, email, ['guest'], 409, 'already_exists'],
      [owner, 'nobody', ['guest'], 400, 'validation_failed'],
      [owner, newEmail(), ['root'], 400, 'validation_failed'],
      [admin, newEmail(), ['owner'], 403, 'forbidden'],
    ]
    for (const [by, to, roles, ...expected] of cases)
      expect(outcome(await by.post('/invitations', { email: to, roles }))).toEqual(expected)
    for (const field of ['org_id', 'status', 'invited_by', 'token', 'role', 'is_superuser'])
      expect(outcome(await owner.post('/invitations', { email: newEmail(), roles: ['user'], [field]: 'x' }))).toEqual([
        400,
        'validation_failed',
      ])
    await sql`
      update organizations set settings = '{"allowed_email_domains": ["corp.example"]}' where id = ${owner.orgId}`
    expect(outcome(await owner.post('/invitations', { email: newEmail(), roles: ['user'] }))).toEqual([
      422,
      'email_domain_not_allowed',
    ])
  })

  test('is made once, however many invite an address at once', async ({ owner, sql }) => {
    const email = newEmail()
    // All of them wait where the first has passed: what they find there is what it left.
    const release = await sql.reserve()
    await release`begin`
    await release`lock table invitations in share mode`
    const asked = Array.from({ length: 3 }, () => owner.post('/invitations', { email, roles: ['user'] }))
    const waiting = () =>
      sql`select 1 from pg_locks where not granted and locktype in ('relation', 'transactionid', 'tuple')`
    await expect.poll(async () => (await waiting()).length, { interval: 10 }).toBe(3)
    await release`commit`
    release.release()
    expect((await Promise.all(asked)).map(({ status }) => status).sort()).toEqual([201, 409, 409])
  })

  test('that expired says so, and makes room for another', async ({ owner, sql }) => {
    const email = newEmail()
    const { body } = await owner.post('/invitations', { email, roles: ['user'] })
    await sql`update invitations set expires_at = now() - interval '1 second' where id = ${body.id}`
    expect((await owner.get(`/invitations/${body.id}`)).body.status).toBe('expired')
    expect((await owner.get('/invitations?status=expired')).body.data).toHaveLength(1)
    expect((await owner.get('/invitations?status=pending')).body.data).toEqual([])
    expect((await owner.post('/invitations', { email, roles: ['user'] })).status).toBe(201)
    expect(outcome(await owner.post(`/invitations/${body.id}/resend`))).toEqual([409, 'already_exists'])
  })

  test('is forgotten ninety days after it expired', async ({ api, owner, sql }) => {
    const [old, newer] = [
      await owner.post('/invitations', { email: newEmail(), roles: ['user'] }),
      await owner.post('/invitations', { email: newEmail(), roles: ['user'] }),
    ]
    await sql`update invitations set expires_at = now() - interval '91 days' where id = ${old.body.id}`
    await sql`update invitations set expires_at = now() - interval '89 days' where id = ${newer.body.id}`
    await api.app.runTask('purge invitations')
    expect((await owner.get('/invitations')).body.data.map(({ id }: { id: string }) => id)).toEqual([newer.body.id])
  })
})

describe('the link of an invitation', () => {
  test('makes its reader a member and verifies his address', async ({ api, owner, sql }) => {
    const { invited, id, path } = await inviteTo(owner, api)
    const token = await mintInvitation(api, sql, id)
    const { status, body } = await invited.post('/invitations/accept', { token })
    expect([status, body]).toEqual([200, { organization_id: owner.orgId, roles: ['user'] }])
    expect(await membersOf(owner)).toContainEqual(expect.objectContaining({ user_id: invited.id, roles: ['user'] }))
    expect((await owner.get(path)).body.status).toBe('accepted')
    const [user] = await sql`select email_verified_at from users where id = ${invited.id}`
    expect(user?.email_verified_at).not.toBeNull()
    expect((await eventsOf(sql, id)).at(-1)).toMatchObject({ action: 'invitation.accepted', actor_id: invited.id })
  })

  test('has one effect, however often it is used at once', async ({ api, owner, sql }) => {
    const { invited, id } = await inviteTo(owner, api)
    const token = await mintInvitation(api, sql, id)
    const answers = await Promise.all(Array.from({ length: 6 }, () => invited.post('/invitations/accept', { token })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status !== 200))
      expect(outcome(answer)).toEqual([422, 'mail_token_invalid'])
    expect((await eventsOf(sql, id)).filter(({ action }) => action === 'invitation.accepted')).toHaveLength(1)
  })

  test('is refused to another account, changes nothing there, and stays good', async ({ api, owner, sql }) => {
    const { invited, id } = await inviteTo(owner, api)
    const thief = await api.newOwner()
    const token = await mintInvitation(api, sql, id)
    expect(outcome(await thief.post('/invitations/accept', { token }))).toEqual([422, 'invitation_mismatch'])
    expect(await membersOf(owner)).toHaveLength(1)
    const [refusal] = await sql`
      select after from audit_events where action = 'request.refused' and actor_id = ${thief.id}`
    expect(refusal?.after).toEqual({ operation: 'acceptInvitation', code: 'invitation_mismatch' })
    expect((await invited.post('/invitations/accept', { token })).status).toBe(200)
  })

  test('dies when the invitation is cancelled, resent, answered, expired, or its organisation closed', async ({
    api,
    owner,
    sql,
  }) => {
    const ends: [string, (path: string, token: string) => Promise<unknown>][] = [
      ['cancelled', (path) => owner.post(`${path}/cancel`)],
      ['resent', (path) => owner.post(`${path}/resend`)],
      ['declined', (_path, token) => api.anonymous.post('/invitations/decline', { token })],
      [
        'expired',
        async (path) =>
          sql`update invitations set expires_at = now() - interval '1 second' where id = ${path.slice(13)}`,
      ],
      ['deleted', async () => sql`update organizations set deleted_at = now() where id = ${owner.orgId}`],
    ]
    for (const [what, end] of ends) {
      const { invited, id, path } = await inviteTo(owner, api)
      const token = await mintInvitation(api, sql, id)
      await end(path, token)
      expect([what, ...outcome(await invited.post('/invitations/accept', { token }))]).toEqual([
        what,
        422,
        'mail_token_invalid',
      ])
    }
  })

  test('that was mailed before a newer one, or is past its own time, is dead', async ({ api, owner, sql }) => {
    const { invited, id, path } = await inviteTo(owner, api)
    const first = await mintInvitation(api, sql, id)
    await owner.post(`${path}/resend`)
    const second = await mintInvitation(api, sql, id)
    const late = await mintInvitation(api, sql, id, -1)
    for (const token of [first, second, late])
      expect(outcome(await invited.post('/invitations/accept', { token }))).toEqual([422, 'mail_token_invalid'])
    const token = await mintInvitation(api, sql, id)
    expect((await invited.post('/invitations/accept', { token })).status).toBe(200)
  })

  test('lets nobody in whose domain the organisation has come to refuse', async ({ api, owner, sql }) => {
    const { invited, id } = await inviteTo(owner, api)
    const token = await mintInvitation(api, sql, id)
    await sql`
      update organizations set settings = '{"allowed_email_domains": ["corp.example"]}' where id = ${owner.orgId}`
    expect(outcome(await invited.post('/invitations/accept', { token }))).toEqual([422, 'email_domain_not_allowed'])
    expect((await membersOf(owner)).some(({ user_id }) => user_id === invited.id)).toBe(false)
  })

  test('serves no other purpose, and no other link serves it', async ({ api, owner, sql }) => {
    const { invited, id } = await inviteTo(owner, api)
    const { db } = api.app.pools.requests
    for (const purpose of ['verify_email', 'reset_password', 'change_email'] as const) {
      const token = await mintToken(db, { purpose, email: invited.email, user_id: invited.id, ttl_s: 60 })
      for (const path of ['/invitations/accept', '/invitations/decline'])
        expect(outcome(await invited.post(path, { token }))).toEqual([422, 'mail_token_invalid'])
    }
    const token = await mintInvitation(api, sql, id)
    const [stored] = await sql`select * from mail_tokens where invitation_id = ${id}`
    expect(JSON.stringify(stored)).not.toContain(token)
  })

  test('lets whoever reads the mail decline without an account, or without telling his', async ({
    api,
    owner,
    sql,
  }) => {
    const { body } = await owner.post('/invitations', { email: newEmail(), roles: ['user'] })
    const token = await mintInvitation(api, sql, body.id)
    const somebody = await api.newOwner()
    expect((await somebody.post('/invitations/decline', { token })).status).toBe(204)
    expect((await owner.get(`/invitations/${body.id}`)).body.status).toBe('declined')
    expect(outcome(await api.anonymous.post('/invitations/decline', { token }))).toEqual([422, 'mail_token_invalid'])
    expect((await eventsOf(sql, body.id)).at(-1)).toMatchObject({ action: 'invitation.declined', actor_id: null })
  })

  test('accepted and cancelled at once does one of both', async ({ api, owner, sql }) => {
    for (let round = 0; round < 5; round++) {
      const { invited, id, path } = await inviteTo(owner, api)
      const token = await mintInvitation(api, sql, id)
      const [accepted, cancelled] = await Promise.all([
        invited.post('/invitations/accept', { token }),
        owner.post(`${path}/cancel`),
      ])
      expect([accepted.status, cancelled.status].sort()).toBeOneOf([
        [200, 409],
        [200, 422],
      ])
      const joined = (await membersOf(owner)).some(({ user_id }) => user_id === invited.id)
      expect(joined).toBe(accepted.status === 200)
    }
  })
})

describe('who manages members', () => {
  test('resends for seven more days, expired ones too, and answered ones not', async ({ api, owner, sql }) => {
    const { id, path, invited } = await inviteTo(owner, api)
    await sql`update invitations set expires_at = now() - interval '1 second' where id = ${id}`
    const { status, body } = await owner.post(`${path}/resend`)
    expect([status, body.status, body.version]).toEqual([200, 'pending', 2])
    expect(Date.parse(body.expires_at) - Date.parse(body.updated_at)).toBeGreaterThan(6.9 * 86_400_000)
    expect(
      await sql`select 1 from mail_outbox where recipient = ${invited.email} and template = 'invitation'`,
    ).toHaveLength(2)
    await owner.post(`${path}/cancel`)
    for (const again of ['resend', 'cancel'])
      expect(outcome(await owner.post(`${path}/${again}`))).toEqual([409, 'invalid_state'])
  })

  test('resends only what he could have offered himself', async ({ api, owner }) => {
    const admin = await api.newUser(owner, 'admin')
    const { path } = await inviteTo(owner, api, ['owner'])
    expect(outcome(await admin.post(`${path}/resend`))).toEqual([403, 'forbidden'])
    expect((await owner.post(`${path}/resend`)).status).toBe(200)
  })

  test('sees and touches no invitation of another organisation', async ({ api, owner }) => {
    const { path } = await inviteTo(owner, api)
    const other = await api.newOwner()
    for (const answer of [
      await other.get(path),
      await other.post(`${path}/resend`),
      await other.post(`${path}/cancel`),
    ])
      expect(outcome(answer)).toEqual([404, 'not_found'])
    expect((await owner.get(path)).body).toMatchObject({ status: 'pending', version: 1 })
  })
})

describe('many invitations', () => {
  test('are made item by item, each address once', async ({ api, owner, sql }) => {
    const [one, two] = [newEmail(), newEmail()]
    const member = await api.newUser(owner, 'member')
    const items = [
      { email: one, roles: ['user'] },
      { email: one.toUpperCase(), roles: ['guest'] },
      { email: member.email, roles: ['user'] },
      { email: 'nobody', roles: ['user'] },
      { email: newEmail(), roles: ['no such role'] },
      { email: two, roles: ['member'] },
    ]
    const { status, body } = await owner.post('/invitations/bulk', { items })
    expect([status, body.succeeded, body.failed]).toEqual([200, 2, 4])
    expect(body.results.map(({ code }: { code?: string }) => code)).toEqual([
      undefined,
      'already_exists',
      'already_exists',
      'validation_failed',
      'validation_failed',
      undefined,
    ])
    expect((await owner.get(`/invitations/${body.results[0].id}`)).body.email).toBe(one)
    expect(await sql`select 1 from mail_outbox where recipient in ${sql([one, two])}`).toHaveLength(2)
  })

  test('are made all or none where asked to', async ({ owner, sql }) => {
    const email = newEmail()
    const items = [
      { email, roles: ['user'] },
      { email, roles: ['user'] },
    ]
    const { status, body } = await owner.post('/invitations/bulk', { items, atomic: true })
    expect([status, body.errors]).toMatchObject([409, [{ pointer: '/body/items/1', code: 'already_exists' }]])
    expect((await owner.get('/invitations')).body.data).toEqual([])
    expect(await sql`select 1 from mail_outbox where recipient = ${email}`).toHaveLength(0)
  })

  test('are made for a thousand addresses in one request', { timeout: 60_000 }, async ({ owner }) => {
    const items = Array.from({ length: 1_000 }, (_, index) => ({ email: `${index}-${newEmail()}`, roles: ['user'] }))
    const { body } = await owner.post('/invitations/bulk', { items, atomic: true })
    expect([body.succeeded, body.failed]).toEqual([1_000, 0])
  })
})

test('a user without an organisation accepts', async ({ api, owner, sql }) => {
  const { invited, id } = await inviteTo(owner, api)
  await sql`delete from members where user_id = ${invited.id}`
  const { body } = await api.anonymous.post('/auth/login', { username: invited.email, password })
  const headers = { authorization: `Bearer ${body.access_token}` }
  const token = await mintInvitation(api, sql, id)
  expect((await api.anonymous.post('/invitations/accept', { token }, headers)).status).toBe(200)
  expect((await api.anonymous.post('/invitations/accept', { token: randomUUID() }, headers)).status).toBe(422)
})
