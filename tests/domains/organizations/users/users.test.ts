import { describe, expect } from 'vitest'
import { builtInRoles, permissionsOf } from '../../../../src/domains/organizations/roles/rules.ts'
import { newEmail, password } from '../../../helpers/api.ts'
import { countEvents, eventsOf, test } from '../../../helpers/sql.ts'

describe('a user of the organisation', () => {
  test('is made with any role, signs in, and may what the role gives', async ({ api, owner }) => {
    for (const role of builtInRoles) {
      const sent = { email: newEmail(), password, role, full_name: 'Kim' }
      const made = await owner.post('/users', sent)
      expect(made.status).toBe(201)
      expect(made.headers.location).toBe(`/api/v1/users/${made.body.id}`)
      expect(made.body).toMatchObject({ email: sent.email, full_name: 'Kim', roles: [role], is_active: true })
      expect(made.text).not.toMatch(/password|argon2/)
      const { body } = await (await api.signIn(sent.email)).get('/auth/me')
      expect(body.organization.id).toBe(owner.orgId)
      expect(new Set(body.permissions)).toEqual(permissionsOf([role]))
    }
  })

  test('may be made with a username, by which he signs in and is found, and which nobody else has', async ({
    api,
    owner,
  }) => {
    const email = newEmail()
    const username = `Bo.${email.slice(5, 15)}`
    const sent = { email, username, password, role: 'member' }
    const made = await owner.post('/users', sent)
    expect(made.body).toMatchObject({ username: username.toLowerCase(), email_verified_at: null })
    expect(made.body.updated_at >= made.body.created_at).toBe(true)
    expect((await api.anonymous.post('/auth/login', { username, password })).status).toBe(200)
    expect((await owner.get(`/users?q=${username.toUpperCase()}`)).body.data).toMatchObject([{ id: made.body.id }])
    const { status, body } = await owner.post('/users', { ...sent, email: newEmail() })
    expect([status, body.code]).toEqual([409, 'username_taken'])
    const own = await owner.post('/users', { ...sent, email: newEmail(), username: password })
    expect([own.status, own.body.errors[0].pointer]).toEqual([400, '/body/password'])
  })

  test('with the role of owner is made by an owner only', async ({ api, owner, sql }) => {
    const admin = await api.newUser(owner, 'admin')
    const email = newEmail()
    const { status, body } = await admin.post('/users', { email, password, role: 'owner' })
    expect([status, body.code]).toEqual([403, 'forbidden'])
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(0)
    expect((await admin.post('/users', { email, password, role: 'admin' })).status).toBe(201)
  })

  test('is made by nobody who does not manage members', async ({ api, owner }) => {
    for (const role of ['portfolio_manager', 'user', 'member', 'guest']) {
      const person = await api.newUser(owner, role)
      const { status } = await person.post('/users', { email: newEmail(), password, role: 'guest' })
      expect([role, status]).toEqual([role, 403])
    }
  })

  test('has an address that no account has yet, whatever its case and whosever it is', async ({ api, owner }) => {
    const other = await api.newOwner()
    for (const email of [owner.email.toUpperCase(), other.email]) {
      const { status, body } = await owner.post('/users', { email, password, role: 'member' })
      expect([status, body.code]).toEqual([409, 'email_taken'])
    }
  })

  test('is refused with a weak password, an unknown role or unknown fields', async ({ owner }) => {
    const sent = { email: newEmail(), password, role: 'member' }
    for (const [change, pointer] of [
      [{ password: 'weak' }, '/body/password'],
      [{ role: 'root' }, '/body/role'],
      [{ role: ['member'] }, '/body/role'],
      [{ email: 'nobody' }, '/body/email'],
      [{ is_superuser: true }, '/body/is_superuser'],
      [{ org_id: owner.orgId }, '/body/org_id'],
      [{ verified: true }, '/body/verified'],
    ] as const) {
      const { status, body } = await owner.post('/users', { ...sent, ...change })
      expect([status, body.errors[0].pointer]).toEqual([400, pointer])
    }
  })

  test('is written together with its audit event, or neither is', async ({ owner, sql }) => {
    const before = await countEvents(sql)
    const made = await owner.post('/users', { email: newEmail(), password, role: 'member' }, { 'x-request-id': 'r-1' })
    expect(await countEvents(sql)).toBe(before + 1)
    const [event] = await eventsOf(sql, made.body.id)
    expect(event).toMatchObject({
      action: 'user.created',
      org_id: owner.orgId,
      actor_id: owner.id,
      request_id: 'r-1',
      after: { email: made.body.email, username: null, full_name: null, roles: ['member'] },
    })
    const again = await owner.post('/users', { email: made.body.email, password, role: 'member' })
    expect(again.status).toBe(409)
    expect(await eventsOf(sql, made.body.id)).toHaveLength(1)
  })

  test('is not there when its audit event cannot be written', async ({ owner, sql }) => {
    const email = newEmail()
    await sql`alter table audit_events add constraint refuse check (action <> 'user.created') not valid`
    const { status, body } = await owner.post('/users', { email, password, role: 'member' })
    await sql`alter table audit_events drop constraint refuse`
    expect([status, body.code]).toEqual([500, 'internal_error'])
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(0)
  })
})

describe('the users of an organisation', () => {
  test('are listed to members, and to no guest', async ({ api, owner }) => {
    const [member, guest] = [await api.newUser(owner, 'member'), await api.newUser(owner, 'guest')]
    const { body } = await member.get('/users')
    expect(body.data.map(({ id }: { id: string }) => id).sort()).toEqual([owner.id, member.id, guest.id].sort())
    for (const path of ['/users', `/users/${owner.id}`, '/portfolios', '/loans'])
      expect([path, (await guest.get(path)).status]).toEqual([path, 403])
    expect((await guest.get('/auth/me')).status).toBe(200)
  })

  test('of another organisation do not exist', async ({ api, owner }) => {
    const other = await api.newOwner()
    const { status, body } = await owner.get(`/users/${other.id}`)
    const { body: never } = await owner.get('/users/00000000-0000-7000-8000-000000000000')
    expect(status).toBe(404)
    const { request_id, instance, ...rest } = body
    expect(never).toMatchObject(rest)
    const { body: list } = await owner.get('/users')
    expect(list.data.map(({ id }: { id: string }) => id)).toEqual([owner.id])
    expect((await owner.get(`/users?q=${encodeURIComponent(other.email)}`)).body.data).toEqual([])
  })

  test('are found by a part of name or address, and paged without loss', async ({ owner, sql }) => {
    const people = Array.from({ length: 9 }, (_, index) => ({ name: `Kim ${index}`, email: newEmail() }))
    await sql.begin(async (tx) => {
      for (const { name, email } of people) {
        const [user] = await tx`
          insert into users (id, email, full_name, password_hash) values (gen_random_uuid(), ${email}, ${name}, '')
          returning id`
        await tx`
          insert into members (org_id, id, user_id, roles)
          values (${owner.orgId}, gen_random_uuid(), ${user?.id}, '{member}')`
      }
    })
    for (const sort of ['created_at', '-created_at']) {
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page = await owner.get(`/users?q=kim&limit=2&sort=${sort}${cursor ? `&cursor=${cursor}` : ''}`)
        expect(page.status).toBe(200)
        seen.push(...page.body.data.map(({ email }: { email: string }) => email))
        cursor = page.body.next_cursor
      } while (cursor)
      expect(seen).toHaveLength(9)
      expect(new Set(seen)).toEqual(new Set(people.map(({ email }) => email)))
    }
    expect((await owner.get(`/users?q=${people[0]?.email.slice(0, 12)}&total=exact`)).body.total).toBe(1)
  })
})
