import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { Client, startApi } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'

const explain = async (client: Client, action: string, userId?: string) =>
  (await client.get(`/authz/explain?action=${action}${userId === undefined ? '' : `&user_id=${userId}`}`)).body

describe('an explanation', () => {
  test('names the roles that give a permission, and those that do not', async ({ api, owner, sql }) => {
    const person = await api.newUser(owner, 'member')
    await owner.post('/roles', { name: 'auditor', permissions: ['audit:read'] })
    await sql`update members set roles = '{member,auditor}' where user_id = ${person.id}`
    api.app.access.clear()
    expect(await explain(person, 'audit:read')).toEqual({
      ...{ allowed: true, action: 'audit:read', permission: 'audit:read' },
      ...{ user_id: person.id, organization_id: owner.orgId },
      rule: 'The permission audit:read comes from: custom role auditor.',
      because: [
        { kind: 'role', name: 'member', grants: false },
        { kind: 'custom_role', name: 'auditor', grants: true },
      ],
    })
    expect(await explain(person, 'credit:write')).toMatchObject({
      allowed: false,
      rule: 'This needs the permission credit:write, which none of your roles gives.',
      because: [{ grants: false }, { grants: false }],
    })
  })

  test('knows every operation, and agrees with what the operation then answers', async ({ api, owner }) => {
    const member = await api.newUser(owner, 'member')
    for (const [operation, call] of [
      ['listPortfolios', () => member.get('/portfolios')],
      ['createPortfolio', () => member.post('/portfolios', { name: 'X', currency: 'USD' })],
      ['createRole', () => member.post('/roles', { name: 'mine', permissions: [] })],
      ['listOrganizations', () => member.get('/organizations')],
      ['deleteOrganization', () => member.delete(`/organizations/${owner.orgId}`)],
    ] as const) {
      const { allowed } = await explain(member, operation)
      expect(allowed, operation).toBe((await call()).status < 300)
    }
    expect(await explain(member, 'login')).toMatchObject({ allowed: true, permission: null, because: [] })
    expect(await explain(member, 'deleteOrganization')).toMatchObject({
      because: [{ kind: 'state', name: 'step_up_required', grants: false }],
    })
  })

  test('refuses an action that there is not', async ({ owner }) => {
    for (const action of ['root', 'constructor', '__proto__', 'credit:*', 'GET /loans', 'signed_in', ''])
      expect(await explain(owner, encodeURIComponent(action)), action).toMatchObject({
        ...{ status: 400, code: 'validation_failed' },
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/querystring/action' })]),
      })
  })

  test('names the state or the policy that stands in the way', async ({ api, owner, sql, withFactor }) => {
    const strict = await startApi({ REQUIRE_VERIFIED_EMAIL: 'true' }, api)
    await sql`update users set email_verified_at = null where id = ${owner.id}`
    expect((await new Client(strict.app, owner.token!).get('/authz/explain?action=credit:read')).body.code).toBe(
      'email_unverified',
    )
    const member = await api.newUser(owner, 'member')
    await sql`update users set email_verified_at = case when id = ${owner.id} then now() end
      where id in (${owner.id}, ${member.id})`
    strict.app.access.clear()
    const asked = await explain(new Client(strict.app, owner.token!), 'credit:read', member.id)
    expect(asked.because.at(-1)).toEqual({ kind: 'state', name: 'email_unverified', grants: false })
    await strict.close()
    await sql`update organizations set settings = '{"mfa_required": true}' where id = ${owner.orgId}`
    await withFactor(owner)
    expect((await explain(owner, 'credit:read', member.id)).because).toEqual([
      { kind: 'role', name: 'member', grants: true },
      { kind: 'policy', name: 'mfa_required', grants: false },
    ])
    await sql`update users set totp_confirmed_at = now() where id = ${member.id}`
    expect((await explain(owner, 'credit:read', member.id)).allowed).toBe(true)
  })

  test('tells a superuser that he is one, and nobody else', async ({ api, owner, sql }) => {
    expect(await explain(owner, 'platform:manage')).toMatchObject({
      allowed: false,
      because: [{ kind: 'superuser', grants: false }],
    })
    await sql`update users set is_superuser = true where id = ${owner.id}`
    await sql`delete from members where user_id = ${owner.id}`
    const homeless = await api.signIn(owner.email)
    expect(await explain(homeless, 'platform:manage')).toMatchObject({
      ...{ allowed: true, organization_id: null },
      because: [{ kind: 'superuser', grants: true }],
    })
    expect(await explain(homeless, 'credit:read')).toMatchObject({
      allowed: false,
      because: [{ kind: 'state', name: 'no_active_organization', grants: false }],
    })
  })
})

describe('about another member', () => {
  test('it is given to who may read members, and to nobody else', async ({ api, owner, sql }) => {
    const guest = await api.newUser(owner, 'guest')
    const member = await api.newUser(owner, 'member')
    expect(await explain(member, 'credit:write', owner.id)).toMatchObject({ allowed: true, user_id: owner.id })
    expect(await explain(member, 'credit:read', guest.id)).toMatchObject({
      allowed: false,
      rule: "None of this member's roles gives credit:read.",
    })
    expect(await explain(guest, 'credit:read', member.id)).toMatchObject({ status: 403, code: 'forbidden' })
    expect(await explain(guest, 'credit:read', guest.id)).toMatchObject({ allowed: false })
    for (const id of [(await api.newOwner()).id, randomUUID()])
      expect(await explain(owner, 'credit:read', id)).toMatchObject({ status: 404 })
    await sql`update members set is_active = false where user_id = ${member.id}`
    expect(await explain(owner, 'credit:read', member.id)).toMatchObject({
      allowed: false,
      because: [
        { kind: 'role', name: 'member', grants: true },
        { kind: 'state', name: 'membership_suspended', grants: false },
      ],
    })
    await sql`update users set is_active = false where id = ${member.id}`
    expect(await explain(owner, 'logout', member.id)).toMatchObject({ because: [{ name: 'account_disabled' }] })
  })
})

describe('an API key', () => {
  test('learns what it lacks itself, and what its maker lacks', async ({ api, owner, newKey, sql }) => {
    const manager = await api.newUser(owner, 'portfolio_manager')
    const key = await newKey(manager, ['credit:write', 'members:manage'])
    const about = async (action: string) => (await explain(key, action)).because
    expect(await explain(key, 'credit:write')).toMatchObject({ allowed: true, user_id: manager.id })
    expect(await about('credit:read')).toEqual([
      { kind: 'key', name: 'Robot', grants: false },
      { kind: 'role', name: 'portfolio_manager', grants: true },
    ])
    expect(await about('members:manage')).toEqual([
      { kind: 'key', name: 'Robot', grants: true },
      { kind: 'role', name: 'portfolio_manager', grants: false },
    ])
    expect((await explain(key, 'members:manage')).allowed).toBe(false)
    expect((await explain(key, 'listOrganizations')).allowed).toBe(false)
    expect((await explain(key, 'explainAccess')).allowed).toBe(true)
    expect(await explain(key, 'credit:read', owner.id)).toMatchObject({ status: 403, code: 'forbidden' })
    await sql`update members set roles = '{guest}' where user_id = ${manager.id}`
    api.app.access.clear()
    expect((await explain(key, 'credit:write')).allowed).toBe(false)
  })
})
