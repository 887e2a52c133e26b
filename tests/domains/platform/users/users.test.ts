import { randomBytes, randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { platformOrgId } from '../../../../src/db/tables/audit.ts'
import { type Api, Client, newEmail, type Person, password } from '../../../helpers/api.ts'
import { newSuperuser, sessionOf } from '../../../helpers/sessions.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

const test = base.extend<{ root: Person }>({
  root: async ({ api, sql }, use) => use(await newSuperuser(api, sql)),
})

const code = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code]

/** What a trail tells of a subject. */
const told = async (sql: postgres.Sql, subjectId: string, orgId: string) =>
  (await eventsOf(sql, subjectId)).filter(({ org_id }) => org_id === orgId).map(({ action }) => action)

describe('an account, to a superuser,', () => {
  test('is made with a membership, signs in, and is found by what it is', async ({ api, owner, root, sql }) => {
    const sent = { email: newEmail(), password, username: `Kim-${randomBytes(4).toString('hex')}`, full_name: 'Kim' }
    const made = await root.post('/platform/users', { ...sent, organization_id: owner.orgId, roles: ['admin'] })
    expect([made.status, made.headers.location]).toEqual([201, `/api/v1/platform/users/${made.body.id}`])
    expect(made.body).toMatchObject({
      email: sent.email,
      username: sent.username.toLowerCase(),
      is_superuser: false,
      memberships: [{ organization_id: owner.orgId, roles: ['admin'], is_active: true }],
    })
    expect((await api.signIn(sent.email)).orgId).toBe(owner.orgId)
    for (const query of [
      `q=${sent.username}`,
      `q=${sent.email.slice(0, 12)}`,
      `organization_id=${owner.orgId}&sort=email`,
    ]) {
      const { body } = await root.get(`/platform/users?${query}&is_active=true&is_superuser=false&total=exact`)
      expect(
        body.data.map(({ id }: Person) => id),
        query,
      ).toContain(made.body.id)
      expect(body.total).toBe(body.data.length)
    }
    for (const trail of [platformOrgId, owner.orgId])
      expect(await told(sql, made.body.id, trail)).toContain('user.created')
  })

  test('may belong to nothing, and needs a real organisation and real roles otherwise', async ({
    api,
    owner,
    root,
  }) => {
    const sent = { email: newEmail(), password }
    const made = await root.post('/platform/users', sent)
    expect(made.body.memberships).toEqual([])
    expect((await api.signIn(sent.email)).orgId).toBeUndefined()
    const again = (fields: object) => root.post('/platform/users', { ...sent, email: newEmail(), ...fields }).then(code)
    expect(await again({ email: sent.email.toUpperCase() })).toEqual([409, 'email_taken'])
    expect(await again({ password: 'weak' })).toEqual([400, 'validation_failed'])
    expect(await again({ roles: ['admin'] })).toEqual([400, 'validation_failed'])
    expect(await again({ organization_id: randomUUID() })).toEqual([404, 'not_found'])
    expect(await again({ organization_id: owner.orgId, roles: ['emperor'] })).toEqual([400, 'validation_failed'])
    expect(await again({ is_superuser: true })).toEqual([400, 'validation_failed'])
  })

  test('is read and changed page by page, across organisations', async ({ api, root }) => {
    const people = [await api.newOwner(), await api.newOwner(), await api.newOwner()]
    const seen = new Set<string>()
    for (let path = '/platform/users?limit=1'; ; ) {
      const { body } = await root.get(path)
      for (const { id } of body.data) expect(seen.size).toBeLessThan(seen.add(id).size)
      if (body.next_cursor === null) break
      path = `/platform/users?limit=1&cursor=${body.next_cursor}`
    }
    for (const { id } of people) expect(seen).toContain(id)
    const [first, second] = people as [Person, Person]
    const username = `u${randomBytes(4).toString('hex')}`
    const patched = await root.patch(
      `/platform/users/${first.id}`,
      { full_name: 'New', username },
      { 'if-match': '"1"' },
    )
    expect(patched.body).toMatchObject({ full_name: 'New', username, version: 2 })
    expect(code(await root.patch(`/platform/users/${first.id}`, { full_name: 'x' }, { 'if-match': '"1"' }))).toEqual([
      412,
      'version_mismatch',
    ])
    expect(code(await root.patch(`/platform/users/${second.id}`, { username }))).toEqual([409, 'username_taken'])
    for (const field of ['is_superuser', 'is_active', 'email', 'password_hash'])
      expect(code(await root.patch(`/platform/users/${second.id}`, { [field]: true }))[0]).toBe(400)
  })

  test('stops at once when it is suspended, and signs in anew when it is restored', async ({
    api,
    owner,
    root,
    sql,
  }) => {
    const person = await api.newUser(owner, 'admin')
    expect((await root.post(`/platform/users/${person.id}/suspend`)).body.is_active).toBe(false)
    expect(code(await person.get('/auth/me'))).toEqual([401, 'session_ended'])
    expect((await api.anonymous.post('/auth/login', { username: person.email, password })).status).toBe(401)
    await root.post(`/platform/users/${person.id}/suspend`)
    expect((await root.post(`/platform/users/${person.id}/restore`)).body.is_active).toBe(true)
    expect((await person.get('/auth/me')).status).toBe(401)
    expect((await api.anonymous.post('/auth/refresh', { refresh_token: person.refreshToken })).status).toBe(401)
    expect((await (await api.signIn(person.email)).get('/auth/me')).status).toBe(200)
    for (const trail of [platformOrgId, owner.orgId])
      expect(await told(sql, person.id, trail)).toEqual(expect.arrayContaining(['user.suspended', 'user.restored']))
  })

  test('is followed by nobody it invited, once it is suspended or deleted', async ({ api, owner, root, sql }) => {
    for (const end of [
      ({ id }: Person) => root.post(`/platform/users/${id}/suspend`),
      ({ id }: Person) => root.delete(`/platform/users/${id}`),
    ]) {
      const admin = await api.newUser(owner, 'admin')
      const email = `friend-of-${admin.email}`
      await admin.post('/invitations', { email, roles: ['admin'] })
      await end(admin)
      expect(await sql`select status from invitations where email = ${email}`).toEqual([{ status: 'cancelled' }])
    }
  })

  test('is deleted with all it had, unless an organisation would lose its last owner', async ({
    api,
    owner,
    root,
    sql,
  }) => {
    expect(code(await root.delete(`/platform/users/${owner.id}`))).toEqual([409, 'last_owner'])
    const heir = await api.newUser(owner, 'owner')
    await sql`update users set is_active = false where id = ${heir.id}`
    expect(code(await root.delete(`/platform/users/${owner.id}`))).toEqual([409, 'last_owner'])
    await sql`update users set is_active = true where id = ${heir.id}`
    const { body: key } = await owner.post('/api-keys', { name: 'k', permissions: ['credit:read'] })
    expect((await root.delete(`/platform/users/${owner.id}`)).status).toBe(204)
    expect((await owner.get('/auth/me')).status).toBe(401)
    expect((await new Client(api.app, key.key).get('/portfolios')).status).toBe(401)
    expect((await root.get(`/platform/users/${owner.id}`)).status).toBe(404)
    expect((await told(sql, owner.id, owner.orgId)).at(-1)).toBe('user.deleted')
    await sql`update organizations set deleted_at = now() where id = ${owner.orgId}`
    expect((await root.delete(`/platform/users/${heir.id}`)).status).toBe(204)
  })

  test('stays while it manages portfolios', async ({ api, owner, root }) => {
    const manager = await api.newUser(owner, 'portfolio_manager')
    await owner.post('/portfolios', { name: 'Book', currency: 'USD', manager_id: manager.id })
    expect(code(await root.delete(`/platform/users/${manager.id}`))).toEqual([409, 'in_use'])
  })

  test('and its last co-owner cannot both be deleted at once', async ({ api, owner, root }) => {
    const heir = await api.newUser(owner, 'owner')
    const answers = await Promise.all([owner, heir].map(({ id }) => root.delete(`/platform/users/${id}`)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409])
  })
})

describe('the rights of a superuser', () => {
  test('are given and taken by another one, who has just proved himself', async ({ api, root, sql }) => {
    const person = await api.newOwner()
    const stale = await api.signIn(root.email)
    for (const action of ['grant-superuser', 'revoke-superuser'])
      expect(code(await stale.post(`/platform/users/${person.id}/${action}`))).toEqual([403, 'step_up_required'])
    expect((await person.get('/platform/users')).status).toBe(403)
    expect(code(await root.post(`/platform/users/${person.id}/grant-superuser`))).toEqual([409, 'invalid_state'])
    await sql`update users set email_verified_at = now() where id = ${person.id}`
    expect((await root.post(`/platform/users/${person.id}/grant-superuser`)).body.is_superuser).toBe(true)
    expect((await person.get('/platform/users')).status).toBe(200)
    expect((await root.post(`/platform/users/${person.id}/revoke-superuser`)).body.is_superuser).toBe(false)
    expect((await person.get('/platform/users')).status).toBe(403)
    expect((await told(sql, person.id, platformOrgId)).slice(-2)).toEqual([
      'user.superuser_granted',
      'user.superuser_revoked',
    ])
  })

  test('let nobody in for good, and delete nobody, without a proof', async ({ api, owner, root }) => {
    const stale = await api.signIn(root.email)
    const intruder = { email: newEmail(), password, organization_id: owner.orgId, roles: ['owner'] }
    for (const [method, path, body] of [
      ['POST', '/platform/users', intruder],
      ['POST', '/platform/users/bulk', { action: 'delete', ids: [owner.id] }],
      ['DELETE', `/platform/users/${owner.id}`, undefined],
    ] as const)
      expect(code(await stale.send(method, path, body))).toEqual([403, 'step_up_required'])
  })

  test('are nobody’s to take from himself, nor is his account', async ({ root }) => {
    for (const action of ['revoke-superuser', 'suspend'])
      expect(code(await root.post(`/platform/users/${root.id}/${action}`))).toEqual([403, 'forbidden'])
    expect(code(await root.delete(`/platform/users/${root.id}`))).toEqual([403, 'forbidden'])
    const { body } = await root.post('/platform/users/bulk', { action: 'delete', ids: [root.id] })
    expect(body.results).toEqual([expect.objectContaining({ status: 'failed', code: 'forbidden' })])
  })

  test('never vanish when the last two take them from each other at once', async ({ api, sql }) => {
    for (const act of ['revoke-superuser', 'suspend', 'delete']) {
      await sql`update users set is_superuser = false`
      const pair = [await newSuperuser(api, sql), await newSuperuser(api, sql)] as [Person, Person]
      await sql`update organizations set deleted_at = now() where id <> ${platformOrgId}`
      const sessions = await Promise.all(pair.map((one) => sessionOf(api, sql, { ...one, orgId: undefined } as never)))
      const answers = await Promise.all(
        sessions.map((session, n) => {
          const path = `/platform/users/${pair[1 - n]?.id}`
          return act === 'delete' ? session.delete(path) : session.post(`${path}/${act}`)
        }),
      )
      expect(answers.filter(({ status }) => status < 300)).toHaveLength(1)
      expect(await sql`select 1 from users where is_superuser and is_active`).toHaveLength(1)
    }
  })

  test('are not given to a suspended account', async ({ api, root }) => {
    const person = await api.newOwner()
    await root.post(`/platform/users/${person.id}/suspend`)
    expect(code(await root.post(`/platform/users/${person.id}/grant-superuser`))).toEqual([409, 'invalid_state'])
  })
})

describe('many accounts at once', () => {
  const crowd = async (api: Api) => [await api.newOwner(), await api.newOwner()] as [Person, Person]

  test('are changed each by itself', async ({ api, root }) => {
    const [one, two] = await crowd(api)
    const ids = [one.id, randomUUID(), two.id]
    const { status, body } = await root.post('/platform/users/bulk', { action: 'suspend', ids })
    expect([status, body.succeeded, body.failed]).toEqual([200, 2, 1])
    expect(body.results).toMatchObject([{ id: one.id, status: 'done' }, { status: 'failed', code: 'not_found' }, {}])
    expect((await one.get('/auth/me')).status).toBe(401)
    const restored = await root.post('/platform/users/bulk', { action: 'restore', ids: [one.id, two.id] })
    expect(restored.body.succeeded).toBe(2)
    const deleted = await root.post('/platform/users/bulk', { action: 'delete', ids: [one.id] })
    expect(deleted.body.results).toMatchObject([{ status: 'failed', code: 'last_owner' }])
  })

  test('or all or none', async ({ api, root }) => {
    const [one, two] = await crowd(api)
    const ids = [one.id, two.id, randomUUID()]
    const answer = await root.post('/platform/users/bulk', { action: 'suspend', ids, atomic: true })
    expect(code(answer)).toEqual([404, 'not_found'])
    expect(answer.body.errors).toEqual([expect.objectContaining({ pointer: '/body/ids/2' })])
    for (const person of [one, two]) expect((await person.get('/auth/me')).status).toBe(200)
  })
})
