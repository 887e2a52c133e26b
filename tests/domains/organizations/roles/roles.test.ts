import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { permissionsOfRoles } from '../../../../src/db/roles.ts'
import { builtInRoles, granted, permissions } from '../../../../src/domains/organizations/roles/rules.ts'
import { newEmail } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

const auditor = { name: 'auditor', description: 'Looks', permissions: ['audit:read', 'credit:read'] }

describe('roles', () => {
  test('are listed, those of every organisation first, each with what it gives', async ({ api, owner }) => {
    await owner.post('/roles', auditor)
    const member = await api.newUser(owner, 'member')
    const { body } = await member.get('/roles')
    expect(body.data.map(({ name }: { name: string }) => name)).toEqual([...builtInRoles, 'auditor'])
    expect(body.data[0]).toMatchObject({ id: null, built_in: true, permissions, version: null })
    expect(body.data.at(-1)).toMatchObject({ ...auditor, id: expect.any(String), built_in: false, version: 1 })
    expect((await (await api.newOwner()).get('/roles')).body.data.length).toBe(builtInRoles.length)
    expect((await (await api.newUser(owner, 'guest')).get('/roles')).status).toBe(403)
  })

  test('are made of the permissions there are, each described', async ({ owner }) => {
    const { body } = await owner.get('/roles/permissions')
    expect(body.data.map(({ permission }: { permission: string }) => permission)).toEqual(permissions)
    expect(body.data[0]).toEqual({
      permission: 'credit:read',
      description: expect.stringMatching(/^[A-Z]/),
      roles: ['owner', 'admin', 'portfolio_manager', 'user', 'member'],
    })
  })

  test('of another organisation read as ones that never were', async ({ api, owner }) => {
    const { body } = await owner.post('/roles', auditor)
    const other = await api.newOwner()
    for (const id of [body.id, randomUUID()]) {
      expect((await other.get(`/roles/${id}`)).status).toBe(404)
      expect((await other.patch(`/roles/${id}`, { description: null })).status).toBe(404)
      expect((await other.delete(`/roles/${id}`)).status).toBe(404)
    }
    expect((await other.post('/roles', auditor)).status).toBe(201)
  })
})

describe('a role of one’s own', () => {
  test('has a name of its own, like no other and unlike the built-in ones', async ({ owner }) => {
    expect((await owner.post('/roles', auditor)).status).toBe(201)
    for (const name of ['auditor', ...builtInRoles])
      expect((await owner.post('/roles', { ...auditor, name })).body, name).toMatchObject({
        ...{ status: 409, code: 'already_exists' },
        errors: [{ pointer: '/body/name' }],
      })
    for (const name of ['Owner', 'a b', 'ö', '', '1st', 'x'.repeat(51), '__proto__'])
      expect((await owner.post('/roles', { ...auditor, name })).body.code, name).toBe('validation_failed')
  })

  test('gives what is in the table, and its name never changes', async ({ owner }) => {
    for (const permission of ['platform:manage', 'signed_in', 'credit:*', 'root', ''])
      expect((await owner.post('/roles', { ...auditor, permissions: [permission] })).status, permission).toBe(400)
    const { body } = await owner.post('/roles', auditor)
    for (const change of [{ name: 'other' }, { built_in: true }, { permissions: ['root'] }, { permissions: null }])
      expect((await owner.patch(`/roles/${body.id}`, change)).body.code).toBe('validation_failed')
  })

  test('never gives what its maker does not have', async ({ api, owner, newKey, sql }) => {
    const clerk = await api.newUser(owner, 'member')
    const { body: own } = await owner.post('/roles', { name: 'clerk', permissions: ['roles:manage', 'audit:read'] })
    await sql`update members set roles = '{member,clerk}' where user_id = ${clerk.id}`
    api.app.access.clear()
    const refused = await clerk.post('/roles', { name: 'mine', permissions: ['credit:read', 'credit:write'] })
    expect(refused.body).toMatchObject({
      status: 403,
      code: 'forbidden',
      detail: expect.stringMatching(/credit:write/),
    })
    expect((await clerk.post('/roles', { name: 'mine', permissions: ['credit:read'] })).status).toBe(201)
    const more = { permissions: ['roles:manage', 'audit:read', 'members:manage'] }
    expect((await clerk.patch(`/roles/${own.id}`, more)).body.detail).toMatch(/members:manage/)
    const key = await newKey(owner, ['roles:manage'])
    expect((await key.post('/roles', { name: 'keyed', permissions: ['audit:read'] })).body.code).toBe('forbidden')
    expect((await clerk.get(`/roles/${own.id}`)).body.permissions).toEqual(['roles:manage', 'audit:read'])
  })

  test('that holds more than one has may still be made smaller', async ({ api, owner, sql }) => {
    const clerk = await api.newUser(owner, 'member')
    await owner.post('/roles', { name: 'clerk', permissions: ['roles:manage'] })
    const { body: big } = await owner.post('/roles', { name: 'big', permissions: ['audit:read', 'jobs:manage'] })
    await sql`update members set roles = '{clerk}' where user_id = ${clerk.id}`
    api.app.access.clear()
    const { body } = await clerk.patch(`/roles/${big.id}`, { permissions: ['jobs:manage'] })
    expect(body.permissions).toEqual(['jobs:manage'])
  })

  test('changes at once what its holders may do, in the version one saw, and is on record', async ({
    api,
    owner,
    sql,
  }) => {
    const { body, headers } = await owner.post('/roles', auditor)
    const holder = await api.newUser(owner, 'guest')
    await sql`update members set roles = '{auditor}' where user_id = ${holder.id}`
    api.app.access.clear()
    expect((await holder.get('/portfolios')).status).toBe(200)
    const path = `/roles/${body.id}`
    const changed = await owner.patch(path, { permissions: ['audit:read'] }, { 'if-match': headers.etag! })
    expect(changed.body).toMatchObject({ permissions: ['audit:read'], version: 2, description: 'Looks' })
    expect((await holder.get('/portfolios')).status).toBe(403)
    expect((await owner.patch(path, { description: 'X' }, { 'if-match': headers.etag! })).status).toBe(412)
    expect((await owner.delete(path, { 'if-match': headers.etag! })).body.code).toBe('in_use')
    await sql`update members set roles = '{guest}' where user_id = ${holder.id}`
    expect((await owner.delete(path, { 'if-match': headers.etag! })).status).toBe(412)
    expect(await eventsOf(sql, body.id)).toMatchObject([
      { action: 'role.created', after: { name: 'auditor' } },
      { action: 'role.updated', before: { permissions: auditor.permissions }, after: { permissions: ['audit:read'] } },
    ])
  })

  test('takes with what it gives no more the invitations its holders made, and with less changes none', async ({
    api,
    owner,
    sql,
  }) => {
    const { body: role } = await owner.post('/roles', { name: 'hr', permissions: ['members:manage', 'members:read'] })
    const holder = await api.newUser(owner, 'hr')
    const invite = async (person: typeof owner) =>
      (await person.post('/invitations', { email: newEmail(), roles: ['hr'] })).body.id as string
    const [theirs, ours] = [await invite(holder), await invite(owner)]
    const status = async (id: string) => (await owner.get(`/invitations/${id}`)).body.status
    await owner.patch(`/roles/${role.id}`, { permissions: ['members:manage', 'members:read', 'audit:read'] })
    expect(await status(theirs)).toBe('pending')
    await owner.patch(`/roles/${role.id}`, { permissions: ['members:read'] })
    expect([await status(theirs), await status(ours)]).toEqual(['cancelled', 'pending'])
    expect((await eventsOf(sql, theirs)).at(-1)).toMatchObject({ action: 'invitation.cancelled', actor_id: owner.id })
  })

  test('stays while a member or an open invitation has it', async ({ api, owner, sql }) => {
    const { body } = await owner.post('/roles', auditor)
    const holder = await api.newUser(owner, 'member')
    await sql`update members set roles = '{member,auditor}' where user_id = ${holder.id}`
    expect((await owner.delete(`/roles/${body.id}`)).body).toMatchObject({ status: 409, code: 'in_use' })
    await sql`update members set roles = '{member}' where user_id = ${holder.id}`
    const id = randomUUID()
    await sql`insert into invitations (org_id, id, email, roles, expires_at)
      values (${owner.orgId}, ${id}, 'kim@example.com', '{auditor}', now())`
    expect((await owner.delete(`/roles/${body.id}`)).body.code).toBe('in_use')
    await sql`update invitations set status = 'cancelled' where id = ${id}`
    expect((await owner.delete(`/roles/${body.id}`)).status).toBe(204)
    expect((await owner.get(`/roles/${body.id}`)).status).toBe(404)
  })

  test('is not deleted while it is being given to somebody', async ({ api, owner, sql }) => {
    const { body } = await owner.post('/roles', auditor)
    const holder = await api.newUser(owner, 'member')
    let deleted: ReturnType<typeof owner.delete> | undefined
    await api.app.pools.requests.transaction(async (db, tx) => {
      const { unknown, permissions: given } = await permissionsOfRoles(db, owner.orgId, ['guest', 'auditor'], granted)
      expect([unknown, [...given].sort()]).toEqual([[], [...auditor.permissions].sort()])
      deleted = owner.delete(`/roles/${body.id}`)
      const waiting = () =>
        sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      await expect.poll(async () => (await waiting()).length, { interval: 10 }).toBe(1)
      await tx`update members set roles = '{auditor}' where user_id = ${holder.id}`
    })
    expect((await deleted)?.body.code).toBe('in_use')
    const { unknown } = await permissionsOfRoles(api.app.pools.requests.db, owner.orgId, ['ghost', 'toString'], granted)
    expect(unknown).toEqual(['ghost', 'toString'])
  })

  test('is one of a hundred at most', async ({ owner, sql }) => {
    await sql`insert into roles (org_id, id, name, permissions)
      select ${owner.orgId}, gen_random_uuid(), 'role-' || n, '{}' from generate_series(1, 100) n`
    expect((await owner.post('/roles', auditor)).body).toMatchObject({ status: 409, code: 'invalid_state' })
    expect((await owner.get('/roles')).body.data.length).toBe(100 + builtInRoles.length)
  })
})
