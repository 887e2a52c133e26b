import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { platformOrgId } from '../../../../src/db/tables/audit.ts'
import { Client, type Person } from '../../../helpers/api.ts'
import { newSuperuser } from '../../../helpers/sessions.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

const reason = 'Ticket 4711'

const test = base.extend<{ root: Person; actAs: (person: Person, fields?: object) => Promise<Client> }>({
  root: async ({ api, sql }, use) => use(await newSuperuser(api, sql)),
  actAs: async ({ api, root }, use) =>
    use(async ({ id }, fields = {}) => {
      const { status, body } = await root.post(`/platform/users/${id}/impersonate`, { reason, ...fields })
      expect(status, JSON.stringify(body)).toBe(201)
      return new Client(api.app, body.access_token)
    }),
})

describe('who acts as a user', () => {
  test('does what the user may, and every answer and every event names him', async ({ actAs, owner, root, sql }) => {
    const acting = await actAs(owner)
    const me = await acting.get('/auth/me')
    expect([me.body.user.id, me.headers['x-impersonated-by']]).toEqual([owner.id, root.id])
    const made = await acting.post('/portfolios', { name: 'Book', currency: 'USD' })
    expect([made.status, made.headers['x-impersonated-by']]).toEqual([201, root.id])
    expect((await acting.get('/nowhere')).headers['x-impersonated-by']).toBe(root.id)
    expect((await acting.patch(`/portfolios/${made.body.id}`, { name: 7 })).headers['x-impersonated-by']).toBe(root.id)
    const [event] = await sql`select * from audit_events where subject_id = ${made.body.id}`
    expect(event).toMatchObject({ actor_id: owner.id, impersonator_id: root.id, org_id: owner.orgId })
    expect((await owner.get('/auth/me')).headers['x-impersonated-by']).toBeUndefined()
  })

  test('is in the trail of the platform and of the organisation, with his reason', async ({
    actAs,
    owner,
    root,
    sql,
  }) => {
    await actAs(owner)
    const events = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'user.impersonated')
    expect(events.map(({ org_id }) => org_id).sort()).toEqual([platformOrgId, owner.orgId].sort())
    for (const event of events) {
      expect(event).toMatchObject({ actor_id: root.id, after: { reason, organization_id: owner.orgId } })
      expect(event.after).not.toHaveProperty('access_token')
    }
  })

  test('changes nothing that is the user’s own, makes no keys and reaches no platform', async ({
    actAs,
    owner,
    sql,
  }) => {
    const acting = await actAs(owner)
    await sql`update sessions set stepped_up_at = now() where impersonator_id is not null`
    const { body: key } = await owner.post('/api-keys', { name: 'k', permissions: ['credit:read'] })
    for (const [method, path] of [
      ['GET', '/api-keys'],
      ['POST', '/api-keys'],
      ['POST', `/api-keys/${key.id}/rotate`],
      ['DELETE', `/api-keys/${key.id}`],
      ['GET', '/platform/users'],
      ['POST', `/platform/users/${owner.id}/impersonate`],
    ] as const)
      expect([path, (await acting.send(method, path)).body.code]).toEqual([path, 'forbidden'])
    for (const path of ['/auth/me', `/users/${owner.id}`])
      expect([path, (await acting.patch(path, { full_name: 'Other' })).body.code]).toEqual([path, 'forbidden'])
    expect((await acting.get(`/users/${owner.id}`)).status).toBe(200)
    expect((await acting.get('/auth/me')).body.permissions).not.toContain('api_keys:manage')
  })

  test('stops when he signs out, and the user does not', async ({ actAs, owner }) => {
    const acting = await actAs(owner)
    expect((await acting.post('/auth/logout')).status).toBe(204)
    expect((await acting.get('/auth/me')).status).toBe(401)
    expect((await owner.get('/auth/me')).status).toBe(200)
  })

  test('stops when the time is over, by the database’s clock', async ({ api, actAs, owner, sql }) => {
    const acting = await actAs(owner, { minutes: 60 })
    const [session] = await sql`
      select id, extract(epoch from ends_at - now()) / 60 as minutes from sessions where impersonator_id is not null
      and user_id = ${owner.id}`
    expect(Number(session?.minutes)).toBeCloseTo(60, 0)
    expect((await acting.get('/auth/me')).status).toBe(200)
    await sql`update sessions set ends_at = now() + interval '200 milliseconds' where id = ${session?.id}`
    api.app.access.forget(`session:${session?.id}`)
    await expect.poll(async () => (await acting.get('/auth/me')).status, { timeout: 5_000, interval: 20 }).toBe(401)
  })

  test.for(['revoke-superuser', 'suspend'])(
    'stops on every replica when another superuser does %s to him',
    async (action, { api, actAs, owner, replica, root, sql }) => {
      const acting = await actAs(owner)
      const clients = [acting, new Client(replica.app, acting.token)]
      for (const client of clients) expect((await client.get('/auth/me')).status).toBe(200)
      const other = await newSuperuser(api, sql)
      expect((await other.post(`/platform/users/${root.id}/${action}`)).status).toBe(200)
      for (const client of clients)
        await expect.poll(async () => (await client.get('/auth/me')).status, { timeout: 2_000, interval: 5 }).toBe(401)
      expect((await owner.get('/auth/me')).status).toBe(200)
    },
  )

  test('stops when the user is suspended', async ({ actAs, owner, root }) => {
    const acting = await actAs(owner)
    await root.post(`/platform/users/${owner.id}/suspend`)
    expect((await acting.get('/auth/me')).status).toBe(401)
  })
})

describe('nobody acts', () => {
  const act = async (client: Client, id: string, fields: object = {}) => {
    const { status, body } = await client.post(`/platform/users/${id}/impersonate`, { reason, ...fields })
    return [status, body.code]
  }

  test('as himself, as a superuser, as somebody suspended or as nobody', async ({ api, owner, root, sql }) => {
    expect(await act(root, root.id)).toEqual([403, 'forbidden'])
    expect(await act(root, (await newSuperuser(api, sql)).id)).toEqual([403, 'forbidden'])
    expect(await act(root, randomUUID())).toEqual([404, 'not_found'])
    await root.post(`/platform/users/${owner.id}/suspend`)
    expect(await act(root, owner.id)).toEqual([409, 'invalid_state'])
  })

  test('without being a superuser who has just proved himself', async ({ api, owner, root }) => {
    expect(await act(owner, root.id)).toEqual([403, 'forbidden'])
    expect(await act(await api.signIn(root.email), owner.id)).toEqual([403, 'step_up_required'])
  })

  test('for longer than an hour, without a reason, or where the user does not belong', async ({ api, owner, root }) => {
    const other = await api.newOwner()
    expect(await act(root, owner.id, { minutes: 61 })).toEqual([400, 'validation_failed'])
    expect(await act(root, owner.id, { reason: ' ' })).toEqual([400, 'validation_failed'])
    expect(await act(root, owner.id, { organization_id: other.orgId })).toEqual([404, 'not_found'])
  })

  test('with more than the user had, when the user becomes a superuser meanwhile', async ({
    actAs,
    owner,
    root,
    sql,
  }) => {
    const acting = await actAs(owner)
    await sql`update users set email_verified_at = now() where id = ${owner.id}`
    expect((await root.post(`/platform/users/${owner.id}/grant-superuser`)).status).toBe(200)
    expect((await acting.get('/platform/users')).status).toBe(403)
  })
})
