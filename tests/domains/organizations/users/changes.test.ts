import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { newEmail, type Person, password, startApi } from '../../../helpers/api.ts'
import { invitationTo, sisterUser } from '../../../helpers/members.ts'
import { eventsOf, ownerSql, test } from '../../../helpers/sql.ts'

const outcome = ({ status, body }: { status: number; body: { code?: string } | undefined }) => [status, body?.code]

describe('a user', () => {
  test('reads and changes his own profile whatever his role, and nothing else of himself', async ({
    api,
    owner,
    sql,
  }) => {
    const guest = await api.newUser(owner, 'guest')
    const path = `/users/${guest.id}`
    expect((await guest.get(path)).body).toMatchObject({ email: guest.email, managed: true })
    const profile = { full_name: 'Kim Park', username: `Kim-${guest.id.slice(-6)}`, locale: 'de-AT' }
    const { status, body } = await guest.patch(path, profile)
    expect(status).toBe(200)
    expect(body).toMatchObject({ ...profile, username: profile.username.toLowerCase() })
    for (const change of [{ roles: ['owner'] }, { is_active: true }, { password: 'Another-Horse-8' }])
      expect(outcome(await guest.patch(path, change))).toEqual([403, 'forbidden'])
    for (const field of ['org_id', 'is_superuser', 'verified', 'email', 'email_verified_at', 'managed', 'role']) {
      const refused = await guest.patch(path, { [field]: true })
      expect([refused.status, refused.body.errors[0]]).toMatchObject([
        400,
        { pointer: `/body/${field}`, code: 'unknown_field' },
      ])
    }
    expect(outcome(await guest.patch(`/users/${owner.id}`, { full_name: 'Mallory' }))).toEqual([403, 'forbidden'])
    expect((await eventsOf(sql, guest.id)).at(-1)).toMatchObject({
      action: 'user.updated',
      actor_id: guest.id,
      before: { full_name: null, username: null, locale: null },
      after: { full_name: 'Kim Park' },
    })
  })

  test('has a username nobody else has', async ({ api, owner }) => {
    const [one, two] = [await api.newUser(owner, 'guest'), await api.newUser(owner, 'guest')]
    const username = `kim-${one.id.slice(-6)}`
    await one.patch(`/users/${one.id}`, { username })
    const taken = await two.patch(`/users/${two.id}`, { username: username.toUpperCase() })
    expect(outcome(taken)).toEqual([409, 'username_taken'])
  })

  test('is changed by version', async ({ api, owner }) => {
    const person = await api.newUser(owner, 'member')
    const path = `/users/${person.id}`
    const { headers } = await owner.get(path)
    const match = { 'if-match': headers.etag as string }
    const changed = await owner.patch(path, { full_name: 'Kim', roles: ['user'] }, match)
    expect(changed.body).toMatchObject({ full_name: 'Kim', roles: ['user'] })
    expect(changed.headers.etag).not.toBe(headers.etag)
    expect(outcome(await owner.patch(path, { full_name: 'Lee' }, match))).toEqual([412, 'version_mismatch'])
    expect(outcome(await owner.delete(path, match))).toEqual([412, 'version_mismatch'])
    expect((await owner.delete(path, { 'if-match': changed.headers.etag as string })).status).toBe(204)
  })

  test('holds a role of the organisation’s own from the start', async ({ api, owner, sql }) => {
    await sql`
      insert into roles (org_id, id, name, permissions)
      values (${owner.orgId}, ${randomUUID()}, 'auditor', '{audit:read}')`
    const auditor = await api.newUser(owner, 'auditor')
    expect((await auditor.get('/auth/me')).body.permissions).toEqual(['audit:read'])
  })
})

describe('an account the organisation manages', () => {
  test('is changed by its administrators, its password too until its address is verified', async ({
    api,
    owner,
    sql,
  }) => {
    const person = await api.newUser(owner, 'member')
    const path = `/users/${person.id}`
    expect(outcome(await owner.patch(path, { password: 'weak' }))).toEqual([400, 'validation_failed'])
    const changed = await owner.patch(path, { full_name: 'Kim', password: 'Another-Horse-8' })
    expect(changed.status).toBe(200)
    expect((await person.get('/auth/me')).status).toBe(401)
    const signIn = (secret: string) => api.anonymous.post('/auth/login', { username: person.email, password: secret })
    expect([(await signIn('Another-Horse-8')).status, (await signIn(password)).status]).toEqual([200, 401])
    const [mail] = await sql`select template from mail_outbox where recipient = ${person.email} order by id desc`
    expect(mail?.template).toBe('password_changed')
    await sql`update users set email_verified_at = now() where id = ${person.id}`
    expect(outcome(await owner.patch(path, { password: 'Another-Horse-9' }))).toEqual([403, 'forbidden'])
    expect((await owner.patch(path, { full_name: 'Lee' })).status).toBe(200)
  })

  test('gets no password from somebody who may do less than its holder', async ({ api, owner, sql }) => {
    await sql`
      insert into roles (org_id, id, name, permissions)
      values (${owner.orgId}, ${randomUUID()}, 'recruiter', '{members:read,members:manage}')`
    const recruiter = await api.newUser(owner, 'recruiter')
    const [admin, guest] = [await api.newUser(owner, 'admin'), await api.newUser(owner, 'guest')]
    const sent = { password: 'Another-Horse-8' }
    expect(outcome(await recruiter.patch(`/users/${admin.id}`, sent))).toEqual([403, 'forbidden'])
    expect((await recruiter.patch(`/users/${guest.id}`, sent)).status).toBe(200)
  })

  test('is deleted with its sessions', async ({ api, owner, sql }) => {
    const person = await api.newUser(owner, 'member')
    expect((await owner.delete(`/users/${person.id}`)).status).toBe(204)
    expect((await person.get('/auth/me')).status).toBe(401)
    expect(await sql`select 1 from users where id = ${person.id}`).toHaveLength(0)
    expect(await sql`select 1 from sessions where user_id = ${person.id}`).toHaveLength(0)
    expect((await eventsOf(sql, person.id)).at(-1)).toMatchObject({
      action: 'user.deleted',
      actor_id: owner.id,
      before: { email: person.email },
    })
  })

  test('is its holder’s own once he belongs to another organisation, or rules the platform', async ({
    api,
    owner,
    sql,
  }) => {
    const elsewhere = await api.newUser(owner, 'member')
    await elsewhere.post('/invitations/accept', { token: await invitationTo(api, sql, elsewhere.email) })
    const ruler = await api.newUser(owner, 'member')
    await sql`update users set is_superuser = true where id = ${ruler.id}`
    for (const { id } of [elsewhere, ruler]) {
      for (const change of [{ full_name: 'Kim' }, { password: 'Another-Horse-8' }])
        expect(outcome(await owner.patch(`/users/${id}`, change))).toEqual([403, 'forbidden'])
      expect((await owner.delete(`/users/${id}`)).status).toBe(204)
      expect(await sql`select 1 from users where id = ${id}`).toHaveLength(1)
      expect((await owner.get(`/users/${id}`)).status).toBe(404)
    }
  })
})

test('an account of somebody else is not changed by administrators, its membership is', async ({ owner, sql }) => {
  const { id, email } = await sisterUser(sql, owner)
  await owner.post('/members', { email, roles: ['guest'] })
  expect(outcome(await owner.patch(`/users/${id}`, { username: 'stolen' }))).toEqual([403, 'forbidden'])
  const { status, body } = await owner.patch(`/users/${id}`, { roles: ['user'], is_active: false })
  expect([status, body.roles, body.is_active]).toEqual([200, ['user'], false])
})

test('a change that is refused in one part is not made in the other', async ({ owner, sql }) => {
  const { id, email } = await sisterUser(sql, owner)
  await owner.post('/members', { email, roles: ['guest'] })
  expect((await owner.patch(`/users/${id}`, { full_name: 'Kim', roles: ['user'] })).status).toBe(403)
  expect((await owner.get(`/users/${id}`)).body.roles).toEqual(['guest'])
})

test('users are found by role and by whether they may act here', async ({ api, owner, sql }) => {
  const [idle, gone] = [await api.newUser(owner, 'user'), await api.newUser(owner, 'user')]
  await owner.patch(`/users/${idle.id}`, { is_active: false })
  await sql`update users set is_active = false where id = ${gone.id}`
  const idsOf = async (query: string) =>
    (await owner.get(`/users?${query}`)).body.data.map(({ id }: { id: string }) => id).sort()
  expect(await idsOf('is_active=false')).toEqual([idle.id, gone.id].sort())
  expect(await idsOf('is_active=true')).toEqual([owner.id])
  expect(await idsOf('role=user&is_active=false&total=exact')).toEqual([idle.id, gone.id].sort())
  expect(await idsOf('role=owner')).toEqual([owner.id])
})

describe('many users', () => {
  test('are activated, given roles and deleted item by item', async ({ api, owner, sql }) => {
    const people: Person[] = []
    for (let made = 0; made < 3; made++) people.push(await api.newUser(owner, 'member'))
    const manager = await api.newUser(owner, 'portfolio_manager')
    await owner.post('/portfolios', { name: 'Book', currency: 'USD', manager_id: manager.id })
    const [idle, promoted, gone] = people as [Person, Person, Person]
    const other = await api.newOwner()
    const items = [
      { id: idle.id, is_active: false },
      { id: manager.id, delete: true },
      { id: promoted.id, roles: ['user'] },
      { id: other.id, delete: true },
      { id: randomUUID(), delete: true },
      { id: gone.id, delete: true },
      { id: gone.id, is_active: true },
      { id: owner.id, delete: true },
    ]
    const { status, body } = await owner.post('/users/bulk', { items })
    expect(status).toBe(200)
    expect(body.results.map(({ code }: { code?: string }) => code)).toEqual([
      undefined,
      'in_use',
      undefined,
      'not_found',
      'not_found',
      undefined,
      'not_found',
      'forbidden',
    ])
    expect(body.results[3]).toEqual({ ...body.results[4], index: 3 })
    expect((await idle.get('/auth/me')).status).toBe(401)
    expect((await promoted.get('/auth/me')).body.roles).toEqual(['user'])
    expect(await sql`select 1 from users where id = ${gone.id}`).toHaveLength(0)
    expect((await other.get('/auth/me')).status).toBe(200)
    expect((await manager.get('/auth/me')).status).toBe(200)
  })

  test('are changed all or none where asked to', async ({ api, owner }) => {
    const person = await api.newUser(owner, 'member')
    const other = await api.newOwner()
    const send = (id: string) =>
      owner.post('/users/bulk', {
        atomic: true,
        items: [
          { id: person.id, delete: true },
          { id, is_active: false },
        ],
      })
    const [foreign, unknown] = [await send(other.id), await send(randomUUID())]
    for (const { status, body } of [foreign, unknown])
      expect([status, body.code, body.errors]).toEqual([
        404,
        'not_found',
        [{ pointer: '/body/items/1', code: 'not_found', message: 'No such resource in this organisation.' }],
      ])
    expect((await person.get('/auth/me')).status).toBe(200)
    expect((await other.get('/auth/me')).status).toBe(200)
  })

  test('need something to be done, and no field that is not theirs', async ({ owner }) => {
    for (const item of [{ id: owner.id }, { id: owner.id, is_superuser: true }, { id: owner.id, org_id: owner.orgId }])
      expect(outcome(await owner.post('/users/bulk', { items: [item] }))).toEqual([400, 'validation_failed'])
  })
})

test('an account that is made ends the pending invitation of its address', async ({ owner }) => {
  const email = newEmail()
  const { body } = await owner.post('/invitations', { email, roles: ['admin'] })
  await owner.post('/users', { email, password, role: 'guest' })
  expect((await owner.get(`/invitations/${body.id}`)).body.status).toBe('cancelled')
})

test('where addresses must be verified, an account that is made is mailed a link', async () => {
  const api = await startApi({ REQUIRE_VERIFIED_EMAIL: 'true' })
  const sql = ownerSql(api.ownerUrl)
  const email = newEmail()
  await api.anonymous.post('/auth/register', { email, password })
  await sql`update users set email_verified_at = now()`
  const owner = await api.signIn(email)
  const made = await owner.post('/users', { email: newEmail(), password, role: 'guest' })
  const mail = await sql`select template from mail_outbox where recipient = ${made.body.email}`
  expect(mail).toEqual([{ template: 'verify_email' }])
  await sql.end()
  await api.close()
})
