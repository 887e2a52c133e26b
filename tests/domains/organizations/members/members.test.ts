import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { updateMember } from '../../../../src/domains/organizations/members/queries.ts'
import { permissionsOf } from '../../../../src/domains/organizations/roles/rules.ts'
import type { Api, Person } from '../../../helpers/api.ts'
import { newEmail } from '../../../helpers/api.ts'
import { invitationTo, join, mintInvitation, sisterUser } from '../../../helpers/members.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

/** The membership of a user. */
const memberOf = async (owner: Person, { id }: { id: string }) =>
  (await owner.get(`/members?user_id=${id}`)).body.data[0]

const pathOf = async (owner: Person, person: Person) => `/members/${(await memberOf(owner, person)).id}`

const outcome = ({ status, body }: { status: number; body: { code?: string } | undefined }) => [status, body?.code]

/** A second owner of the organisation. */
const partner = (api: Api, owner: Person) => api.newUser(owner, 'owner')

describe('members', () => {
  test('are listed by role, state and text, with what they are', async ({ api, owner }) => {
    const admin = await api.newUser(owner, 'admin')
    const { body } = await owner.get('/members?role=admin&is_active=true&total=exact')
    expect(body.total).toBe(1)
    expect(body.data[0]).toMatchObject({
      user_id: admin.id,
      email: admin.email,
      roles: ['admin'],
      is_active: true,
      managed: true,
    })
    expect((await memberOf(owner, owner)).managed).toBe(false)
    expect((await owner.get('/members?is_active=false')).body.data).toEqual([])
    expect((await owner.get(`/members?q=${admin.email.slice(0, 12)}`)).body.data).toHaveLength(1)
  })

  test('get other roles, which hold at once, are versioned and audited', async ({ api, owner, sql }) => {
    const person = await api.newUser(owner, 'member')
    const path = await pathOf(owner, person)
    const { headers } = await owner.get(path)
    expect((await person.post('/portfolios', { name: 'Book', currency: 'USD' })).status).toBe(403)
    const changed = await owner.patch(path, { roles: ['portfolio_manager'] }, { 'if-match': headers.etag as string })
    expect(changed.body).toMatchObject({ roles: ['portfolio_manager'], version: 2 })
    expect((await person.post('/portfolios', { name: 'Book', currency: 'USD' })).status).toBe(201)
    const late = await owner.patch(path, { roles: ['guest'] }, { 'if-match': headers.etag as string })
    expect(outcome(late)).toEqual([412, 'version_mismatch'])
    const [event] = await eventsOf(sql, changed.body.id)
    expect(event).toMatchObject({
      action: 'member.updated',
      actor_id: owner.id,
      before: { roles: ['member'] },
      after: { roles: ['portfolio_manager'] },
    })
  })

  test('hold a role of the organisation’s own, and nobody gives one that gives more than he has', async ({
    api,
    owner,
    sql,
  }) => {
    const person = await api.newUser(owner, 'member')
    await sql`
      insert into roles (org_id, id, name, permissions) values
        (${owner.orgId}, ${randomUUID()}, 'recruiter', '{members:read,members:manage}'),
        (${owner.orgId}, ${randomUUID()}, 'auditor', '{audit:read}')`
    const path = await pathOf(owner, person)
    expect((await owner.patch(path, { roles: ['recruiter'] })).status).toBe(200)
    const other = await api.newUser(owner, 'guest')
    const otherPath = await pathOf(owner, other)
    for (const role of ['owner', 'admin', 'user', 'auditor'])
      expect(outcome(await person.patch(otherPath, { roles: [role] }))).toEqual([403, 'forbidden'])
    expect((await person.patch(otherPath, { roles: ['recruiter'] })).status).toBe(200)
    expect(
      outcome(await person.post('/users', { email: newEmail(), password: 'Correct-Horse-7', role: 'admin' })),
    ).toEqual([403, 'forbidden'])
    const elsewhere = await api.newOwner()
    const stranger = await api.newUser(elsewhere, 'guest')
    const foreign = await elsewhere.patch(await pathOf(elsewhere, stranger), { roles: ['recruiter'] })
    expect(outcome(foreign)).toEqual([400, 'validation_failed'])
  })

  test('are removed: their sessions and keys end at once and on record, their accounts stay', async ({
    api,
    owner,
    newKey,
    sql,
  }) => {
    const person = await api.newUser(owner, 'member')
    await newKey(person)
    const path = await pathOf(owner, person)
    expect((await person.get('/auth/me')).status).toBe(200)
    expect((await owner.delete(path)).status).toBe(204)
    expect(outcome(await person.get('/auth/me'))).toEqual([401, 'session_ended'])
    expect((await owner.get(path)).status).toBe(404)
    expect((await owner.delete(path)).status).toBe(404)
    expect(await sql`select 1 from users where id = ${person.id}`).toHaveLength(1)
    const [key] = await sql`select id from api_keys where created_by = ${person.id}`
    expect((await eventsOf(sql, key?.id)).at(-1)).toMatchObject({ action: 'api_key.revoked', actor_id: owner.id })
  })

  test('are deactivated and reactivated', async ({ api, owner }) => {
    const person = await api.newUser(owner, 'member')
    const path = await pathOf(owner, person)
    expect((await owner.patch(path, { is_active: false })).body.is_active).toBe(false)
    expect(outcome(await person.get('/portfolios'))).toEqual([401, 'session_ended'])
    await owner.patch(path, { is_active: true })
    expect((await person.get('/portfolios')).status).toBe(200)
  })

  test('come back to no more than who reactivates them may give, and to none of their keys', async ({
    api,
    owner,
    sql,
  }) => {
    await owner.post('/roles', { name: 'recruiter', permissions: ['members:manage', 'members:read'] })
    const [admin, recruiter] = [await api.newUser(owner, 'admin'), await api.newUser(owner, 'recruiter')]
    const path = await pathOf(owner, admin)
    await owner.patch(path, { is_active: false })
    expect(outcome(await recruiter.patch(path, { is_active: true }))).toEqual([403, 'forbidden'])
    expect((await recruiter.patch(path, { is_active: true, roles: ['recruiter'] })).status).toBe(200)
    await owner.patch(path, { roles: ['admin'] })
    const key = await admin.post('/api-keys', { name: 'Robot', permissions: ['credit:read'] })
    expect((await owner.delete(path)).status).toBe(204)
    await join(sql, owner.orgId, admin.id, 'admin')
    const [kept] = await sql`select revoked_at from api_keys where id = ${key.body.id}`
    expect(kept?.revoked_at).not.toBeNull()
  })

  test('who manage portfolios are not removed before somebody else does', async ({ api, owner }) => {
    const person = await api.newUser(owner, 'portfolio_manager')
    const { body } = await owner.post('/portfolios', { name: 'Book', currency: 'USD', manager_id: person.id })
    const path = await pathOf(owner, person)
    expect(outcome(await owner.delete(path))).toEqual([409, 'in_use'])
    await owner.patch(`/portfolios/${body.id}`, { manager_id: null })
    expect((await owner.delete(path)).status).toBe(204)
  })

  test('leave no back door: the invitations of one who was removed or demoted are cancelled', async ({
    api,
    owner,
    sql,
  }) => {
    for (const end of [
      (path: string) => owner.delete(path),
      (path: string) => owner.patch(path, { is_active: false }),
      (path: string) => owner.patch(path, { roles: ['member'] }),
    ]) {
      const admin = await api.newUser(owner, 'admin')
      const email = newEmail()
      const { body } = await admin.post('/invitations', { email, roles: ['admin'] })
      const token = await mintInvitation(api, sql, body.id)
      await end(await pathOf(owner, admin))
      expect((await owner.get(`/invitations/${body.id}`)).body.status).toBe('cancelled')
      expect(outcome(await api.anonymous.post('/invitations/decline', { token }))).toEqual([422, 'mail_token_invalid'])
      expect((await eventsOf(sql, body.id)).map(({ action }) => action)).toEqual([
        'invitation.created',
        'invitation.cancelled',
      ])
    }
  })
})

describe('an owner', () => {
  test('is not touched by an administrator', async ({ api, owner }) => {
    const admin = await api.newUser(owner, 'admin')
    const other = await partner(api, owner)
    const path = await pathOf(owner, other)
    for (const change of [{ roles: ['member'] }, { roles: ['owner', 'user'] }, { is_active: false }])
      expect(outcome(await admin.patch(path, change))).toEqual([403, 'forbidden'])
    expect(outcome(await admin.delete(path))).toEqual([403, 'forbidden'])
    expect(outcome(await admin.delete(`/users/${other.id}`))).toEqual([403, 'forbidden'])
    expect(outcome(await admin.patch(`/users/${other.id}`, { full_name: 'Mallory' }))).toEqual([403, 'forbidden'])
    const made = await api.newUser(owner, 'member')
    expect(outcome(await admin.patch(await pathOf(owner, made), { roles: ['owner'] }))).toEqual([403, 'forbidden'])
  })

  test('demotes another, and neither demotes nor removes himself', async ({ api, owner }) => {
    const other = await partner(api, owner)
    const own = await pathOf(owner, owner)
    for (const change of [{ roles: ['member'] }, { is_active: false }])
      expect(outcome(await owner.patch(own, change))).toEqual([403, 'forbidden'])
    expect(outcome(await owner.delete(own))).toEqual([403, 'forbidden'])
    expect(outcome(await owner.delete(`/users/${owner.id}`))).toEqual([403, 'forbidden'])
    expect((await owner.patch(await pathOf(owner, other), { roles: ['admin'] })).status).toBe(200)
  })

  for (const [what, end] of [
    ['demoting', (by: Person, path: string) => by.patch(path, { roles: ['admin'] })],
    ['deactivating', (by: Person, path: string) => by.patch(path, { is_active: false })],
    ['removing', (by: Person, path: string) => by.delete(path)],
  ] as const)
    test(`is left, however many owners are ${what} each other at once`, async ({ api, owner, sql }) => {
      const owners = [owner, await partner(api, owner), await partner(api, owner), await partner(api, owner)]
      const paths = await Promise.all(owners.map((person) => pathOf(owner, person)))
      const answers = await Promise.all(
        owners.flatMap((by, index) => paths.filter((_, at) => at !== index).map((path) => end(by, path))),
      )
      const left = await sql`
        select 1 from members where org_id = ${owner.orgId} and is_active and 'owner' = any(roles)`
      expect(left.length).toBeGreaterThanOrEqual(1)
      for (const answer of answers) expect(answer.status).toBeLessThan(500)
    })

  test('is the last of two who demote each other at once', async ({ api }) => {
    for (let round = 0; round < 5; round++) {
      const one = await api.newOwner()
      const two = await partner(api, one)
      const [first, second] = [await pathOf(one, one), await pathOf(one, two)]
      const answers = await Promise.all([
        two.patch(first, { roles: ['admin'] }),
        one.patch(second, { roles: ['admin'] }),
      ])
      expect(answers.map(outcome).sort()).toEqual([
        [200, undefined],
        [409, 'last_owner'],
      ])
    }
  })

  test('who cannot act does not count as one', async ({ api, owner, sql }) => {
    const other = await partner(api, owner)
    const { id } = await memberOf(owner, other)
    await sql`update users set is_active = false where id = ${owner.id}`
    // A request of his that has passed the checks already: the rule has to hold by itself.
    const actor = { user_id: owner.id, principal: `user:${owner.id}`, request_id: 'late', ip: '127.0.0.1' }
    const scope = { db: api.app.pools.requests.db, org_id: owner.orgId, actor }
    const manager = { user_id: owner.id, api_key_id: null, roles: ['owner'], permissions: permissionsOf(['owner']) }
    await expect(updateMember(scope, manager, id, { is_active: false })).rejects.toMatchObject({ code: 'last_owner' })
  })
})

describe('adding a member', () => {
  test('takes an account that the manager manages in another organisation', async ({ owner, sql }) => {
    const { id, email } = await sisterUser(sql, owner)
    const made = await owner.post('/members', { email: email.toUpperCase(), roles: ['user'] })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({ user_id: id, email, roles: ['user'], managed: false })
    expect(made.headers.location).toBe(`/api/v1/members/${made.body.id}`)
    expect(outcome(await owner.post('/members', { email, roles: ['user'] }))).toEqual([409, 'already_exists'])
  })

  test('does not tell whether an address has an account, nor take anybody unasked', async ({ api, owner, sql }) => {
    const stranger = await api.newOwner()
    const colleague = await api.newUser(stranger, 'member')
    // The manager is a mere member of the organisation where the colleague is.
    await join(sql, stranger.orgId, owner.id, 'member')
    const unknown = await owner.post('/members', { email: newEmail(), roles: ['user'] })
    expect(outcome(unknown)).toEqual([404, 'not_found'])
    for (const { email } of [stranger, colleague]) {
      const { status, body } = await owner.post('/members', { email, roles: ['user'] })
      expect({ status, detail: body.detail }).toEqual({ status: 404, detail: unknown.body.detail })
    }
  })

  test('ends a pending invitation of the address', async ({ api, owner, sql }) => {
    const { email } = await sisterUser(sql, owner)
    const { body } = await owner.post('/invitations', { email, roles: ['admin'] })
    const token = await mintInvitation(api, sql, body.id)
    await owner.post('/members', { email, roles: ['guest'] })
    expect(outcome(await api.anonymous.post('/invitations/decline', { token }))).toEqual([422, 'mail_token_invalid'])
  })

  test('keeps to the domains the organisation allows', async ({ owner, sql }) => {
    const { email } = await sisterUser(sql, owner)
    await sql`
      update organizations set settings = '{"allowed_email_domains": ["corp.example"]}' where id = ${owner.orgId}`
    expect(outcome(await owner.post('/members', { email, roles: ['user'] }))).toEqual([422, 'email_domain_not_allowed'])
    expect(
      outcome(await owner.post('/users', { email: newEmail(), password: 'Correct-Horse-7', role: 'user' })),
    ).toEqual([422, 'email_domain_not_allowed'])
    const allowed = newEmail().replace('example.com', 'CORP.example')
    expect((await owner.post('/users', { email: allowed, password: 'Correct-Horse-7', role: 'user' })).status).toBe(201)
  })
})

describe('the roles of many members', () => {
  test('change item by item, and another organisation’s member is as unknown as nobody', async ({
    api,
    owner,
    sql,
  }) => {
    const [one, two] = [await api.newUser(owner, 'member'), await api.newUser(owner, 'member')]
    const other = await api.newOwner()
    const foreign = (await memberOf(other, other)).id
    const items = [
      { id: (await memberOf(owner, one)).id, roles: ['user'] },
      { id: foreign, roles: ['guest'] },
      { id: randomUUID(), roles: ['guest'] },
      { id: (await memberOf(owner, owner)).id, roles: ['guest'] },
      { id: (await memberOf(owner, two)).id, roles: ['no such role'] },
    ]
    const { status, body } = await owner.post('/members/bulk', { items })
    expect(status).toBe(200)
    expect([body.succeeded, body.failed]).toEqual([1, 4])
    expect(body.results.map(({ code }: { code?: string }) => code)).toEqual([
      undefined,
      'not_found',
      'not_found',
      'forbidden',
      'validation_failed',
    ])
    expect(body.results[1]).toEqual({ ...body.results[2], index: 1 })
    expect((await memberOf(other, other)).roles).toEqual(['owner'])
    expect((await memberOf(owner, one)).roles).toEqual(['user'])
    expect(await eventsOf(sql, foreign)).toEqual([])
  })

  test('change all or none where asked to', async ({ api, owner }) => {
    const person = await api.newUser(owner, 'member')
    const { id } = await memberOf(owner, person)
    const items = [
      { id, roles: ['user'] },
      { id: randomUUID(), roles: ['guest'] },
    ]
    const { status, body } = await owner.post('/members/bulk', { items, atomic: true })
    expect([status, body.code, body.errors]).toEqual([
      404,
      'not_found',
      [expect.objectContaining({ pointer: '/body/items/1', code: 'not_found' })],
    ])
    expect((await memberOf(owner, person)).roles).toEqual(['member'])
  })

  test('never leave the organisation without an owner', async ({ api, owner, sql }) => {
    const [one, two] = [await partner(api, owner), await partner(api, owner)]
    await sql`update users set is_active = false where id = ${owner.id}`
    const items = [
      { id: (await memberOf(one, one)).id, roles: ['admin'] },
      { id: (await memberOf(one, two)).id, roles: ['admin'] },
    ]
    // By the owner whose account was switched off just now.
    const { body } = await owner.post('/members/bulk', { items })
    expect(body.results.map(({ code }: { code?: string }) => code)).toEqual([undefined, 'last_owner'])
  })

  test('change for a thousand at once, and for no more', { timeout: 60_000 }, async ({ owner, sql }) => {
    await sql`
      with made as (
        insert into users (id, email, password_hash)
        select gen_random_uuid(), n || ${`-${newEmail()}`}, '' from generate_series(1, 1000) n returning id)
      insert into members (org_id, id, user_id, roles)
      select ${owner.orgId}, gen_random_uuid(), id, '{member}' from made`
    const rows = await sql`select id from members where org_id = ${owner.orgId} and user_id <> ${owner.id}`
    const items = rows.map(({ id }) => ({ id, roles: ['user'] }))
    const { body } = await owner.post('/members/bulk', { items, atomic: true })
    expect([body.succeeded, body.failed]).toEqual([1_000, 0])
    const more = await owner.post('/members/bulk', { items: [...items, items[0]] })
    expect(outcome(more)).toEqual([400, 'validation_failed'])
  })
})

test('another organisation an account belongs to sees nothing of it here', async ({ api, owner, sql }) => {
  const other = await api.newOwner()
  const token = await invitationTo(api, sql, other.email)
  const { body } = await other.post('/invitations/accept', { token })
  expect(body.organization_id).not.toBe(owner.orgId)
  expect((await owner.get(`/members?user_id=${other.id}`)).body.data).toEqual([])
})
