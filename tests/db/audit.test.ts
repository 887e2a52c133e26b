import { sql as expression } from 'drizzle-orm'
import { describe, expect } from 'vitest'
import { insertAudited } from '../../src/db/audit.ts'
import type { TenantScope } from '../../src/db/scope.ts'
import { watchLists } from '../../src/db/tables/analysis.ts'
import { importMappings } from '../../src/db/tables/imports.ts'
import type { Person } from '../helpers/api.ts'
import { test as base, eventsOf } from '../helpers/sql.ts'

const test = base.extend<{ scope: TenantScope }>({
  scope: async ({ api, owner }, use) => use(scopeOf(api.app.pools.requests.db, owner)),
})

const scopeOf = (db: TenantScope['db'], { id, orgId }: Person): TenantScope => ({
  ...{ db, org_id: orgId },
  actor: { user_id: id, principal: `user:${id}`, request_id: 'test', ip: '127.0.0.1' },
})

const list = (name: string) => ({ name, criteria: {} }) as never

describe('an insert with its event', () => {
  test('tells what was made, also where one table holds several kinds', async ({ scope, sql }) => {
    const [one, other] = [
      await insertAudited(scope, 'watch_list', watchLists, list('One')),
      await insertAudited(scope, 'wish_list', watchLists, list('Other')),
    ]
    expect((await eventsOf(sql, one.id)).map(({ action }) => action)).toEqual(['watch_list.created'])
    expect((await eventsOf(sql, other.id)).map(({ action }) => action)).toEqual(['wish_list.created'])
  })

  test('is judged by its own guard, whatever guarded the table before', async ({ scope }) => {
    const refusal = async () => undefined
    const guarded = (name: string, allowed: boolean) =>
      insertAudited(scope, 'watch_list', watchLists, list(name), { sql: expression`select where ${allowed}`, refusal })
    expect(await guarded('Let in', true)).toMatchObject({ name: 'Let in' })
    await expect(guarded('Kept out', false)).rejects.toMatchObject({ code: 'resource_busy' })
  })

  test('claims the key of a request for one row; a second is an error, not lost', async ({ owner, scope, sql }) => {
    const once = {
      org_id: owner.orgId,
      principal: scope.actor.principal,
      route: 'POST /x',
      key: 'k',
      request_hash: 'h',
      hashes: ['h'],
    }
    const keyed = { ...scope, once }
    await insertAudited(keyed, 'watch_list', watchLists, list('First'))
    await expect(insertAudited(keyed, 'import_mapping', importMappings, {} as never)).rejects.toThrow('makes one row')
    expect(await sql`select 1 from watch_lists where org_id = ${owner.orgId}`).toHaveLength(1)
  })
})

test('what is secret is kept as bytes, which no event repeats', async ({ sql }) => {
  // Hashes that are text: of passwords, in tables that are no tenant's, and of requests, keyed.
  const known = [
    'users.password_hash',
    'mail_tokens.password_hash',
    'idempotency_keys.request_hash',
    'imports.request_hash',
  ]
  const columns = await sql<{ name: string }[]>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = 'public' and data_type <> 'bytea'
      and column_name ~ '(secret|password|token|credential|_hash)'`
  expect(columns.map(({ name }) => name).sort()).toEqual(known.sort())
})
