import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { platformOrgId } from '../../../../src/db/tables/audit.ts'
import { Client, type Person } from '../../../helpers/api.ts'
import { newSuperuser, stepUp } from '../../../helpers/sessions.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

const test = base.extend<{ root: Person }>({
  root: async ({ api, sql }, use) => use(await newSuperuser(api, sql)),
})

const code = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code]

describe('an organisation, to a superuser,', () => {
  test('is made for an owner there is, or for himself', async ({ api, owner, root, sql }) => {
    const mark = randomBytes(5).toString('hex')
    const sent = { name: `Harbor ${mark}`, contact_email: 'Desk@Example.com', owner_email: owner.email.toUpperCase() }
    const made = await root.post('/platform/organizations', sent)
    expect([made.status, made.headers.location]).toEqual([201, `/api/v1/platform/organizations/${made.body.id}`])
    expect(made.body).toMatchObject({ code: `harbor-${mark}`, status: 'active', members: 1, owners: 1 })
    expect(made.body.contact_email).toBe('desk@example.com')
    const events = await eventsOf(sql, made.body.id)
    expect(events.map(({ org_id, action }) => [org_id, action]).sort()).toEqual(
      [
        [made.body.id, 'organization.created'],
        [platformOrgId, 'organization.created'],
      ].sort(),
    )
    expect((await root.get(`/platform/users/${owner.id}`)).body.memberships.at(-1)).toMatchObject({
      organization_id: made.body.id,
      roles: ['owner'],
    })
    const own = await root.post('/platform/organizations', { name: `Own ${mark}` })
    expect(own.body.owners).toBe(1)
    const other = await api.newOwner()
    const again = (fields: object) => root.post('/platform/organizations', { name: 'Again', ...fields }).then(code)
    expect(await again({ code: made.body.code })).toEqual([409, 'already_exists'])
    expect(await again({ owner_id: randomUUID() })).toEqual([404, 'not_found'])
    expect(await again({ owner_email: 'nobody@example.com' })).toEqual([404, 'not_found'])
    expect(await again({ owner_id: other.id, owner_email: other.email })).toEqual([400, 'validation_failed'])
    expect(await again({ code: 'No Slug' })).toEqual([400, 'validation_failed'])
  })

  test('is found, counted and changed', async ({ api, owner, root }) => {
    await api.newUser(owner, 'member')
    await owner.post('/api-keys', { name: 'k', permissions: ['credit:read'] })
    const { body } = await root.get(`/platform/organizations/${owner.orgId}`)
    expect(body).toMatchObject({ members: 2, owners: 1, api_keys: 1, sessions: 2, last_event_at: expect.any(String) })
    expect(body).not.toHaveProperty('settings')
    const fields = { name: 'Renamed', code: `c-${randomBytes(5).toString('hex')}`, contact_email: null }
    const patched = await root.patch(`/platform/organizations/${owner.orgId}`, fields, {
      'if-match': `"${body.version}"`,
    })
    expect(patched.body).toMatchObject({ ...fields, version: body.version + 1 })
    expect((await owner.get('/auth/me')).body.organization).toMatchObject({ name: 'Renamed', code: fields.code })
    const stale = { 'if-match': `"${body.version}"` }
    expect((await root.patch(`/platform/organizations/${owner.orgId}`, fields, stale)).status).toBe(412)
    const other = await api.newOwner()
    expect(code(await root.patch(`/platform/organizations/${other.orgId}`, { code: fields.code }))).toEqual([
      409,
      'already_exists',
    ])
    const page = await root.get(`/platform/organizations?q=${fields.code}&status=active&total=exact`)
    expect([page.body.total, page.body.data[0].id]).toEqual([1, owner.orgId])
  })

  test('stops at once on every replica when it is suspended, and goes on when it is restored', async ({
    api,
    owner,
    root,
    replica,
    sql,
  }) => {
    const { body: key } = await owner.post('/api-keys', { name: 'k', permissions: ['credit:read'] })
    const clients = [owner.token, key.key].flatMap((token) => [api, replica].map(({ app }) => new Client(app, token)))
    for (const client of clients) expect((await client.get('/portfolios')).status).toBe(200)
    const path = `/platform/organizations/${owner.orgId}`
    expect((await root.post(`${path}/suspend`)).body.status).toBe('suspended')
    for (const client of clients)
      await expect.poll(async () => (await client.get('/portfolios')).status, { timeout: 2_000, interval: 5 }).toBe(401)
    expect((await root.post(`${path}/restore`)).body.status).toBe('active')
    for (const client of clients)
      await expect.poll(async () => (await client.get('/portfolios')).status, { timeout: 2_000, interval: 5 }).toBe(200)
    const events = await eventsOf(sql, owner.orgId)
    for (const trail of [platformOrgId, owner.orgId])
      expect(
        events
          .filter(({ org_id }) => org_id === trail)
          .map(({ action }) => action)
          .slice(-2),
      ).toEqual(['organization.suspended', 'organization.restored'])
    expect(events.at(-1)).toMatchObject({ actor_id: root.id, before: { is_active: false }, after: { is_active: true } })
  })

  test('is closed for its grace, and brought back within it', async ({ owner, root }) => {
    const path = `/platform/organizations/${owner.orgId}`
    expect((await root.delete(path)).status).toBe(204)
    const closed = await root.get(path)
    expect(closed.body).toMatchObject({ status: 'deleted', deleted_at: expect.any(String) })
    expect((await root.delete(path)).status).toBe(204)
    expect((await root.get(path)).body).toEqual(closed.body)
    expect((await owner.get('/portfolios')).status).toBe(401)
    expect(code(await root.post(`${path}/suspend`))).toEqual([409, 'invalid_state'])
    expect((await root.post(`${path}/restore`)).body).toMatchObject({ status: 'active', deleted_at: null })
    expect((await owner.get('/portfolios')).status).toBe(200)
  })

  test('is brought back by the platform alone, also where its owner had deleted it himself', async ({
    api,
    owner,
    root,
  }) => {
    const path = `/organizations/${owner.orgId}`
    await stepUp(api, owner)
    expect((await owner.delete(path)).status).toBe(204)
    expect((await root.delete(`/platform${path}`)).status).toBe(204)
    const signedIn = await api.signIn(owner.email)
    expect(code(await signedIn.post(`${path}/restore`))).toEqual([409, 'invalid_state'])
    expect((await root.post(`/platform${path}/restore`)).body.status).toBe('active')
    expect((await owner.get(path)).status).toBe(401)
    expect((await signedIn.get(path)).body.status).toBe('active')
  })

  test('is one of many that are changed together', async ({ api, owner, root }) => {
    const other = await api.newOwner()
    const ids = [owner.orgId, randomUUID(), other.orgId]
    const atomic = await root.post('/platform/organizations/bulk', { action: 'suspend', ids, atomic: true })
    expect(code(atomic)).toEqual([404, 'not_found'])
    expect((await owner.get('/portfolios')).status).toBe(200)
    const { body } = await root.post('/platform/organizations/bulk', { action: 'suspend', ids })
    expect(body).toMatchObject({ succeeded: 2, failed: 1 })
    for (const person of [owner, other]) expect((await person.get('/portfolios')).status).toBe(401)
  })
})
