import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { Client, newEmail } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

describe('leaving', () => {
  test('ends the membership, its sessions’ part in the organisation and the keys one made there', async ({
    api,
    owner,
    newKey,
    sql,
  }) => {
    const member = await api.newUser(owner, 'admin')
    const key = await newKey(member)
    const elsewhere = await member.post('/organizations', { name: 'Elsewhere' })
    expect((await key.get('/portfolios')).status).toBe(200)
    expect((await member.post(`/organizations/${owner.orgId}/leave`)).status).toBe(204)
    expect((await member.get('/portfolios')).body.code).toBe('session_ended')
    expect((await key.get('/portfolios')).body.code).toBe('invalid_api_key')
    const { body } = await api.anonymous.post('/auth/refresh', { refresh_token: member.refreshToken })
    const after = new Client(api.app, body.access_token)
    expect((await after.get('/portfolios')).body.code).toBe('no_active_organization')
    expect((await after.get('/organizations')).body.data).toMatchObject([{ id: elsewhere.body.id }])
    expect((await after.post(`/organizations/${owner.orgId}/leave`)).status).toBe(404)
    expect(await eventsOf(sql, member.id)).toContainEqual(
      expect.objectContaining({ action: 'member.left', org_id: owner.orgId, before: { roles: ['admin'] } }),
    )
    await sql`insert into members (org_id, id, user_id, roles)
      values (${owner.orgId}, ${randomUUID()}, ${member.id}, '{admin}')`
    expect((await key.get('/portfolios')).status).toBe(401)
  })

  test('is not for the last owner; one whose account or membership is off is none', async ({ api, owner, sql }) => {
    const path = `/organizations/${owner.orgId}/leave`
    await api.newUser(owner, 'admin')
    expect((await owner.post(path)).body).toMatchObject({ status: 409, code: 'last_owner' })
    const second = await api.newUser(owner, 'owner')
    await sql`update users set is_active = false where id = ${second.id}`
    expect((await owner.post(path)).body.code).toBe('last_owner')
    await sql`update users set is_active = true where id = ${second.id}`
    await sql`update members set is_active = false where user_id = ${second.id}`
    expect((await owner.post(path)).body.code).toBe('last_owner')
    await sql`update members set is_active = true where user_id = ${second.id}`
    expect((await owner.post(path)).status).toBe(204)
  })

  test('of all owners at once leaves one of them', async ({ api, owner, sql }) => {
    for (let round = 0; round < 5; round++) {
      const first = await api.newOwner()
      const owners = [first, await api.newUser(first, 'owner'), await api.newUser(first, 'owner')]
      const answers = await Promise.all(owners.map((one) => one.post(`/organizations/${first.orgId}/leave`)))
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 204, 409])
      const left = await sql`select 1 from members where org_id = ${first.orgId} and 'owner' = any(roles)`
      expect(left.length).toBe(1)
    }
    expect((await owner.get('/portfolios')).status).toBe(200)
  })

  test('and a transfer end the invitations one made, so that nobody comes back by them', async ({
    api,
    owner,
    prove,
    sql,
  }) => {
    const admin = await api.newUser(owner, 'admin')
    const invite = async (by: typeof owner, role: string) =>
      (await by.post('/invitations', { email: newEmail(), roles: [role] })).body.id as string
    const made = [await invite(owner, 'owner'), await invite(admin, 'admin')]
    await admin.post(`/organizations/${owner.orgId}/leave`)
    const heir = await api.newUser(owner, 'member')
    await prove(owner)
    expect((await owner.post(`/organizations/${owner.orgId}/transfer`, { user_id: heir.id })).status).toBe(200)
    const states = await sql`select distinct status from invitations where id in ${sql(made)}`
    expect(states).toEqual([{ status: 'cancelled' }])
  })

  test('waits until others manage one’s portfolios', async ({ api, owner }) => {
    const manager = await api.newUser(owner, 'portfolio_manager')
    const book = await owner.post('/portfolios', { name: 'Book', currency: 'USD', manager_id: manager.id })
    expect((await manager.post(`/organizations/${owner.orgId}/leave`)).body.code).toBe('in_use')
    await owner.patch(`/portfolios/${book.body.id}`, { manager_id: owner.id })
    expect((await manager.post(`/organizations/${owner.orgId}/leave`)).status).toBe(204)
  })
})

describe('a transfer', () => {
  test('makes another member the owner and the caller an administrator, tells both, and is on record', async ({
    api,
    owner,
    prove,
    sql,
  }) => {
    const heir = await api.newUser(owner, 'member')
    await prove(owner)
    const { status, body } = await owner.post(`/organizations/${owner.orgId}/transfer`, { user_id: heir.id })
    expect([status, body.roles]).toEqual([200, ['admin']])
    expect((await heir.get('/auth/me')).body.roles).toEqual(['member', 'owner'])
    expect((await owner.get('/auth/me')).body.roles).toEqual(['admin'])
    expect((await owner.post(`/organizations/${owner.orgId}/transfer`, { user_id: heir.id })).body.code).toBe(
      'forbidden',
    )
    const mails = await sql`select template, recipient, data from mail_outbox
      where data ->> 'organization_id' = ${owner.orgId} order by recipient`
    expect(mails.map(({ template, recipient }) => [template, recipient])).toEqual(
      [heir.email, owner.email].sort().map((recipient) => ['ownership_transferred', recipient]),
    )
    expect(mails[0]?.data).toMatchObject({ former_owner: owner.email, new_owner: heir.email })
    expect((await eventsOf(sql, owner.orgId)).at(-1)).toMatchObject({
      action: 'organization.transferred',
      before: { owner_id: owner.id },
      after: { owner_id: heir.id },
    })
  })

  test('needs an owner who just proved himself, and another active member', async ({
    api,
    owner,
    prove,
    join,
    sql,
  }) => {
    const path = `/organizations/${owner.orgId}/transfer`
    const admin = await api.newUser(owner, 'admin')
    const suspended = await api.newUser(owner, 'member')
    await sql`update members set is_active = false where user_id = ${suspended.id}`
    const stranger = await api.newOwner()
    expect((await owner.post(path, { user_id: admin.id })).body.code).toBe('step_up_required')
    await prove(owner)
    await prove(admin)
    expect((await admin.post(path, { user_id: admin.id })).body).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await owner.post(path, { user_id: owner.id })).body.code).toBe('invalid_state')
    for (const user_id of [suspended.id, stranger.id, randomUUID()])
      expect((await owner.post(path, { user_id })).body).toMatchObject({
        status: 404,
        errors: [{ pointer: '/body/user_id' }],
      })
    for (const field of ['roles', 'role', 'org_id'])
      expect((await owner.post(path, { user_id: admin.id, [field]: 'owner' })).body.errors, field).toMatchObject([
        { pointer: `/body/${field}`, code: 'unknown_field' },
      ])
    await join(stranger, owner, 'guest')
    expect((await owner.post(path, { user_id: stranger.id })).status).toBe(200)
  })

  test('to two members at once goes to one of them', async ({ api, owner, prove, sql }) => {
    const heirs = [await api.newUser(owner, 'member'), await api.newUser(owner, 'member')]
    await prove(owner)
    const answers = await Promise.all(
      heirs.map(({ id }) => owner.post(`/organizations/${owner.orgId}/transfer`, { user_id: id })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403])
    const owners = await sql`select 1 from members where org_id = ${owner.orgId} and 'owner' = any(roles)`
    expect(owners.length).toBe(1)
  })
})
