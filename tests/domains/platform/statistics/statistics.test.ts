import { expect } from 'vitest'
import { newSuperuser } from '../../../helpers/sessions.ts'
import { countEvents, test } from '../../../helpers/sql.ts'

test('the statistics count what there is, for superusers alone', async ({ api, owner, sql }) => {
  const root = await newSuperuser(api, sql)
  const before = (await root.get('/platform/statistics')).body
  await api.newUser(owner, 'member')
  const other = await api.newOwner()
  await root.post(`/platform/organizations/${other.orgId}/suspend`)
  await owner.post('/api-keys', { name: 'k', permissions: ['credit:read'] })
  const { status, body } = await root.get('/platform/statistics')
  expect(status).toBe(200)
  expect(body.users).toEqual({ ...before.users, total: before.users.total + 2, active: before.users.active + 2 })
  expect(body.users.superusers).toBe(1)
  expect(body.organizations.suspended).toBe(before.organizations.suspended + 1)
  expect(body.api_keys).toBe(before.api_keys + 1)
  expect(body.sessions).toBe(before.sessions + 2)
  const perDay: { day: string; events: number }[] = body.events_per_day
  expect(perDay.reduce((sum, { events }) => sum + events, 0)).toBe(await countEvents(sql))
  expect(perDay[0]?.day).toMatch(/^\d{4}-\d\d-\d\d$/)
  expect(body.database_bytes).toBeGreaterThan(1_000_000)
  expect((await owner.get('/platform/statistics')).status).toBe(403)
})
