import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type Answer, Client, newEmail, type Person, password } from '../helpers/api.ts'
import { newSuperuser, sessionOf } from '../helpers/sessions.ts'
import { countEvents, test } from '../helpers/sql.ts'

/** Everything the trail has of a request. */
const eventsFor = (sql: postgres.Sql, { body }: Answer) =>
  sql`select org_id, actor_id, api_key_id, action, before, after, ip from audit_events where request_id = ${body.request_id}`

const platform = '00000000-0000-0000-0000-000000000000'
const own = async (person: Person) => (await person.get(`/members?user_id=${person.id}`)).body.data[0].id as string

describe('who is refused something', () => {
  test('is on record with the rule that refused it, in the trail of his organisation', async ({ api, owner, sql }) => {
    const [admin, member] = [await api.newUser(owner, 'admin'), await api.newUser(owner, 'member')]
    const role = { name: 'keeper', permissions: ['credit:read', 'roles:manage'] }
    await owner.post('/roles', role)
    const keeper = await api.newUser(owner, 'keeper')
    const cases: [Person, string, string, Promise<Answer>][] = [
      [member, 'createPortfolio', 'forbidden', member.post('/portfolios', { name: 'x', currency: 'USD' })],
      [member, 'listPlatformUsers', 'forbidden', member.get('/platform/users')],
      [admin, 'updateMember', 'forbidden', admin.patch(`/members/${await own(owner)}`, { roles: ['member'] })],
      [owner, 'leaveOrganization', 'last_owner', owner.post(`/organizations/${owner.orgId}/leave`)],
      [keeper, 'createRole', 'forbidden', keeper.post('/roles', { name: 'more', permissions: ['audit:read'] })],
      [member, 'startTotp', 'step_up_required', member.post('/auth/totp')],
      [owner, 'createUser', 'email_taken', owner.post('/users', { email: member.email, password, role: 'member' })],
      [owner, 'createUser', 'password', owner.post('/users', { email: newEmail(), password: 'weak', role: 'member' })],
    ]
    for (const [person, operation, code, asked] of cases) {
      const answer = await asked
      expect(answer.status, operation).toBeGreaterThanOrEqual(400)
      expect(await eventsFor(sql, answer)).toMatchObject([
        {
          ...{ org_id: owner.orgId, actor_id: person.id, api_key_id: null, ip: '127.0.0.1' },
          ...{ action: 'request.refused', before: null, after: { operation, code } },
        },
      ])
    }
  })

  test('by a key whose maker was demoted is on record with the key', async ({ api, owner, sql }) => {
    const admin = await api.newUser(owner, 'admin')
    const made = await admin.post('/api-keys', { name: 'k', permissions: ['credit:read', 'credit:write'] })
    const key = new Client(api.app, made.body.key)
    await owner.patch(`/members/${await own(admin)}`, { roles: ['member'] })
    const answer = await key.post('/portfolios', { name: 'x', currency: 'USD' })
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
    expect(await eventsFor(sql, answer)).toMatchObject([
      { org_id: owner.orgId, actor_id: admin.id, api_key_id: made.body.id, after: { operation: 'createPortfolio' } },
    ])
  })

  test('while acting as another is on record with both', async ({ api, owner, sql }) => {
    const root = await newSuperuser(api, sql)
    const answer = await (await sessionOf(api, sql, owner, root.id)).post('/auth/logout-all')
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
    const told =
      await sql`select actor_id, impersonator_id from audit_events where request_id = ${answer.body.request_id}`
    expect(told).toEqual([{ actor_id: owner.id, impersonator_id: root.id }])
  })

  test('without being signed in is on record at the platform, without what was sent', async ({ api, owner, sql }) => {
    const email = newEmail()
    const register = (body: object) => api.anonymous.post('/auth/register', { email, password, ...body })
    for (const [operation, code, asked] of [
      ['register', 'email_taken', register({ email: owner.email.toUpperCase() })],
      ['register', 'password', register({ password: 'Password1!' })],
      ['register', 'password', register({ password: `Aa1-${'x'.repeat(125)}` })],
      ['register', 'mail_token_invalid', register({ invitation_token: 'garbage' })],
      ['resetPassword', 'mail_token_invalid', api.anonymous.post('/auth/reset-password', { token: 'x', password })],
      ['refresh', 'invalid_refresh_token', api.anonymous.post('/auth/refresh', { refresh_token: 'garbage' })],
    ] as const) {
      const answer = await asked
      expect(await eventsFor(sql, answer), answer.text).toMatchObject([
        { org_id: platform, actor_id: null, action: 'request.refused', before: null },
      ])
      expect((await eventsFor(sql, answer))[0]?.after).toEqual({ operation, code })
    }
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(0)
  })

  test('is refused all the same where that cannot be written', async ({ api, owner, sql }) => {
    const member = await api.newUser(owner, 'member')
    await sql`alter table audit_events add constraint refuse check (action <> 'request.refused') not valid`
    const { status, body } = await member.post('/portfolios', { name: 'x', currency: 'USD' })
    await sql`alter table audit_events drop constraint refuse`
    expect([status, body.code]).toEqual([403, 'forbidden'])
  })

  test('over and over does not fill the trail', async ({ api, owner, sql }) => {
    const member = await api.newUser(owner, 'member')
    for (let turn = 0; turn < 70; turn++)
      expect((await member.post('/portfolios', { name: 'x', currency: 'USD' })).status).toBe(403)
    const told = await sql`select 1 from audit_events where actor_id = ${member.id} and action = 'request.refused'`
    expect(told).toHaveLength(60)
  })

  test('only because it does not exist, or is malformed, leaves the trail alone', async ({ owner, sql }) => {
    const before = await countEvents(sql)
    expect((await owner.get('/portfolios/00000000-0000-7000-8000-000000000000')).status).toBe(404)
    expect((await owner.post('/portfolios', { name: 'x' })).status).toBe(400)
    expect((await new Client(owner.app, 'garbage').get('/portfolios')).status).toBe(401)
    expect(await countEvents(sql)).toBe(before)
  })
})
