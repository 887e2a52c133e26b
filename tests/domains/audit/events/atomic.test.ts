import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { stateOf } from '../../../helpers/contract.ts'
import { test as base, ownerSql } from '../../../helpers/sql.ts'

/** Makes the database refuse what a condition names, while a change is tried; nothing of the change may stay. */
async function refused(sql: postgres.Sql, table: string, condition: string, change: () => Promise<{ status: number }>) {
  await sql.unsafe(`alter table ${table} add constraint refuse check (not (${condition})) not valid`)
  try {
    const before = await stateOf(sql)
    expect((await change()).status).toBe(500)
    expect(await stateOf(sql)).toEqual(before)
  } finally {
    await sql.unsafe(`alter table ${table} drop constraint refuse`)
  }
}

const test = base.extend<{ portfolio: string }>({
  portfolio: async ({ owner }, use) =>
    use((await owner.post('/portfolios', { name: 'Kept', currency: 'USD' })).body.id),
})

describe('a change and its audit event', () => {
  for (const [table, condition] of [
    ['audit_events', "action like 'portfolio.%'"],
    ['audit_queue', 'true'],
  ] as const)
    test(`stay away together when ${table} refuses its row: a creation, an update and a deletion`, async ({
      owner,
      portfolio,
      sql,
    }) => {
      const path = `/portfolios/${portfolio}`
      await refused(sql, table, condition, () => owner.post('/portfolios', { name: 'New', currency: 'USD' }))
      await refused(sql, table, condition, () => owner.patch(path, { name: 'Changed' }))
      await refused(sql, table, condition, () => owner.delete(path))
      const keyed = { 'idempotency-key': 'atomic' }
      const body = { name: 'New', currency: 'USD' }
      await refused(sql, table, condition, () => owner.post('/portfolios', body, keyed))
      expect((await owner.post('/portfolios', body, keyed)).status).toBe(201)
      expect((await owner.patch(path, { name: 'Changed' })).status).toBe(200)
      expect((await owner.delete(path)).status).toBe(204)
    })

  test('stay away together where the event is written beside the change', async ({ api, owner, sql }) => {
    const user = { email: 'atomic@example.com', password: 'Correct-Horse-7', role: 'member' }
    await refused(sql, 'audit_events', "action = 'user.created'", () => owner.post('/users', user))
    expect((await owner.post('/users', user)).status).toBe(201)
    const login = { username: owner.email, password: 'Correct-Horse-7' }
    await refused(sql, 'audit_events', "action = 'session.created'", () => api.anonymous.post('/auth/login', login))
    await refused(sql, 'audit_events', "action = 'session.ended'", () => owner.post('/auth/logout'))
    expect((await owner.get('/auth/me')).status).toBe(200)
  })

  test('stay away together when the table refuses the change', async ({ owner, portfolio, sql }) => {
    const path = `/portfolios/${portfolio}`
    await refused(sql, 'portfolios', "name = 'Bad'", () => owner.post('/portfolios', { name: 'Bad', currency: 'USD' }))
    await refused(sql, 'portfolios', "name = 'Bad'", () => owner.patch(path, { name: 'Bad' }))
  })
})

test('the role of the service can add to the audit, and change or remove nothing of it', async ({
  api,
  owner,
  sql,
}) => {
  await api.app.runTask('seal audit')
  const before = await stateOf(sql)
  const service = ownerSql(api.url, 1)
  for (const table of ['audit_events', 'audit_seals'])
    for (const statement of [
      `update ${table} set org_id = org_id where org_id = '${owner.orgId}'`,
      `delete from ${table} where org_id = '${owner.orgId}'`,
      `truncate ${table}`,
      `drop table ${table}`,
      `alter table ${table} add column more text`,
    ])
      await expect(service.unsafe(statement), statement).rejects.toMatchObject({ code: '42501' })
  expect(await stateOf(sql)).toEqual(before)
  const [row] = await service`select count(*)::int as count from audit_seals where org_id = ${owner.orgId}`
  expect(row?.count).toBeGreaterThan(0)
  await service.end()
})
