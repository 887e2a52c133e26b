import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import type { Client } from '../../../helpers/api.ts'
import { test } from '../../../helpers/organizations.ts'
import { eventsOf } from '../../../helpers/sql.ts'

const idsOf = async (client: Client, query = '') =>
  (await client.get(`/organizations${query}`)).body.data.map(({ id }: { id: string }) => id)

describe("one's own organisations", () => {
  test('are listed, with what one is there and which is the active one; nobody else’s are', async ({
    api,
    owner,
    join,
  }) => {
    const other = await api.newOwner()
    await join(owner, other, 'guest')
    const { status, body } = await owner.get('/organizations?sort=created_at')
    expect(status).toBe(200)
    expect(body.data).toMatchObject([
      { id: owner.orgId, roles: ['owner'], is_current: true, status: 'active', deletion_due_at: null, version: 1 },
      { id: other.orgId, roles: ['guest'], is_current: false },
    ])
    expect(body.data[0]).not.toHaveProperty('settings')
    expect(await idsOf(other)).toEqual([other.orgId])
  })

  test('come page by page, sorted and filtered', async ({ owner }) => {
    for (const name of ['Beta', 'Alpha', 'Gamma']) await owner.post('/organizations', { name: `${name} Ltd` })
    const first = await owner.get('/organizations?limit=2&sort=name&q=ltd&total=exact')
    expect(first.body.data.map(({ name }: { name: string }) => name)).toEqual(['Alpha Ltd', 'Beta Ltd'])
    expect(first.body.total).toBe(3)
    const next = await owner.get(first.headers.link!.match(/<([^>]+)>/)![1]!)
    expect(next.body.data.map(({ name }: { name: string }) => name)).toEqual(['Gamma Ltd'])
    expect(next.body.next_cursor).toBeNull()
  })

  test('are not those where the membership is suspended', async ({ api, owner, join, sql }) => {
    const other = await api.newOwner()
    await join(owner, other)
    await sql`update members set is_active = false where org_id = ${other.orgId} and user_id = ${owner.id}`
    expect(await idsOf(owner)).toEqual([owner.orgId])
    expect((await owner.get(`/organizations/${other.orgId}`)).status).toBe(404)
  })
})

describe('a new organisation', () => {
  test('belongs to its maker, with a code made of its name, and does not become the active one', async ({
    owner,
    sql,
  }) => {
    const made = await owner.post('/organizations', { name: 'Müller & Söhne', contact_email: 'Info@Müller.example' })
    expect(made.status).toBe(201)
    expect(made.headers.location).toBe(`/api/v1/organizations/${made.body.id}`)
    expect(made.body).toMatchObject({
      ...{ code: 'muller-sohne', contact_email: 'info@xn--mller-kva.example', roles: ['owner'], is_current: false },
      settings: { session_lifetime_s: null, mfa_required: false, ip_allowlist: [], allowed_email_domains: [] },
    })
    expect((await owner.get('/auth/me')).body.organization.id).toBe(owner.orgId)
    expect(await eventsOf(sql, made.body.id)).toMatchObject([
      { action: 'organization.created', org_id: made.body.id, actor_id: owner.id },
    ])
  })

  test('gets another code where its name’s is taken, and a code that is asked for must be free', async ({ owner }) => {
    const names = await Promise.all(Array.from({ length: 4 }, () => owner.post('/organizations', { name: 'Twin' })))
    expect(names.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect(new Set(names.map(({ body }) => body.code)).size).toBe(4)
    const taken = await owner.post('/organizations', { name: 'Third', code: names[0]!.body.code })
    expect(taken.body).toMatchObject({ status: 409, code: 'already_exists', errors: [{ pointer: '/body/code' }] })
  })

  test('takes no field that is not the maker’s to set', async ({ owner }) => {
    for (const field of ['settings', 'is_active', 'deleted_at', 'roles', 'owner_id', 'version', 'id'])
      expect((await owner.post('/organizations', { name: 'X', [field]: null })).body.errors, field).toMatchObject([
        { pointer: `/body/${field}`, code: 'unknown_field' },
      ])
  })
})

describe('an organisation', () => {
  test('that is not one’s own reads as one that never was, whatever is asked of it', async ({ api, owner, prove }) => {
    const other = await api.newOwner()
    await prove(owner)
    const calls = (id: string) => [
      owner.get(`/organizations/${id}`),
      owner.patch(`/organizations/${id}`, { name: 'Mine' }),
      owner.delete(`/organizations/${id}`),
      owner.post(`/organizations/${id}/leave`),
      owner.post(`/organizations/${id}/restore`),
      owner.post(`/organizations/${id}/transfer`, { user_id: owner.id }),
      owner.post('/auth/switch-organization', { organization_id: id }),
    ]
    const [foreign, unknown] = await Promise.all([other.orgId, randomUUID()].map((id) => Promise.all(calls(id))))
    for (const [index, { body }] of foreign!.entries()) {
      expect(body).toMatchObject({ status: 404, code: 'not_found' })
      expect(body.detail).toBe(unknown![index]!.body.detail)
    }
    expect((await other.get('/auth/me')).status).toBe(200)
  })

  test('is judged by the membership in it, whatever is active in the session', async ({ api, owner, join }) => {
    const other = await api.newOwner()
    await join(owner, other, 'member')
    const { status, body } = await owner.get(`/organizations/${other.orgId}`)
    expect([status, body.settings]).toEqual([200, null])
    expect((await owner.patch(`/organizations/${other.orgId}`, { name: 'Mine' })).body.code).toBe('forbidden')
    await join(other, owner, 'admin')
    expect((await other.patch(`/organizations/${owner.orgId}`, { name: 'Renamed' })).body.name).toBe('Renamed')
  })

  test('is changed by who may manage it, also by a role of its own, and by nobody else', async ({
    api,
    owner,
    sql,
  }) => {
    const path = `/organizations/${owner.orgId}`
    const member = await api.newUser(owner, 'member')
    expect((await member.patch(path, { name: 'Mine' })).body).toMatchObject({ status: 403, code: 'forbidden' })
    await owner.post('/roles', { name: 'steward', permissions: ['organization:manage'] })
    await sql`update members set roles = '{steward}' where user_id = ${member.id}`
    expect((await member.patch(path, { name: 'Ours' })).body).toMatchObject({ name: 'Ours', version: 2 })
    expect((await member.get(path)).body.settings).toMatchObject({ mfa_required: false })
    expect((await member.delete(path)).body.code).toBe('step_up_required')
  })

  test('is changed field by field, in the version one saw, and the audit tells what changed', async ({
    owner,
    sql,
  }) => {
    const path = `/organizations/${owner.orgId}`
    const { headers, body } = await owner.get(path)
    const changed = await owner.patch(path, { name: 'New', contact_email: null }, { 'if-match': headers.etag! })
    expect(changed.body).toMatchObject({ name: 'New', contact_email: null, code: body.code, version: 2 })
    expect((await owner.patch(path, { name: 'Late' }, { 'if-match': headers.etag! })).body.code).toBe(
      'version_mismatch',
    )
    expect((await owner.patch(path, {})).body.version).toBe(2)
    expect((await eventsOf(sql, owner.orgId)).slice(1)).toMatchObject([
      {
        action: 'organization.updated',
        before: { name: body.name, contact_email: owner.email },
        after: { name: 'New', contact_email: null },
      },
    ])
  })

  test('takes no code of another one, no malformed address, and no field of the platform', async ({ api, owner }) => {
    const path = `/organizations/${owner.orgId}`
    const { body } = await (await api.newOwner()).get('/auth/me')
    const refusals: [object, number, string][] = [
      [{ code: body.organization.code }, 409, 'already_exists'],
      [{ code: 'Not A Slug' }, 400, 'validation_failed'],
      [{ contact_email: 'nobody' }, 400, 'validation_failed'],
      [{ name: null }, 400, 'validation_failed'],
      [{ is_active: true }, 400, 'validation_failed'],
      [{ deleted_at: null }, 400, 'validation_failed'],
    ]
    for (const [patch, status, code] of refusals)
      expect((await owner.patch(path, patch)).body, JSON.stringify(patch)).toMatchObject({ status, code })
    expect((await owner.get(path)).body.version).toBe(1)
  })

  test('that the platform suspended is seen by its members, and stays as it is', async ({ owner, prove, sql }) => {
    const { body } = await owner.post('/organizations', { name: 'Suspended' })
    await sql`update organizations set is_active = false where id = ${body.id}`
    await prove(owner)
    const path = `/organizations/${body.id}`
    expect((await owner.get(path)).body.status).toBe('suspended')
    expect((await owner.patch(path, { name: 'X' })).body.code).toBe('invalid_state')
    expect((await owner.delete(path)).body.code).toBe('invalid_state')
    expect((await owner.post('/auth/switch-organization', { organization_id: body.id })).status).toBe(404)
  })

  test('is not for API keys', async ({ owner, newKey }) => {
    const key = await newKey(owner, ['organization:manage', 'members:read'])
    expect((await key.get('/organizations')).status).toBe(403)
    expect((await key.patch(`/organizations/${owner.orgId}`, { name: 'X' })).status).toBe(403)
  })
})
