import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { keyCredential, newApiKey } from '../../../../src/lib/api-key.ts'
import { sha256 } from '../../../../src/lib/crypto.ts'
import { type Api, Client, type Person, startApi } from '../../../helpers/api.ts'
import { openProxy } from '../../../helpers/proxy.ts'
import { test as base } from '../../../helpers/sql.ts'

/** The longest a replica may go on trusting what it cached. */
const withinMs = 2_000

/** The replica refuses this person while its trust lasts, and a moment for the machine, at the latest. */
async function expectRefused(seen: (person: Person) => Promise<number>, person: Person) {
  const start = performance.now()
  await expect.poll(() => seen(person), { timeout: withinMs + 1_000, interval: 10 }).toBe(401)
  expect(performance.now() - start).toBeLessThan(withinMs + 300)
}

const test = base.extend<{ seen: (person: Person, path?: string) => Promise<number> }>({
  /** How the replica answers this person. */
  seen: async ({ replica }, use) =>
    use(async (person, path = '/auth/me') => (await new Client(replica.app, person.token!).get(path)).status),
})

/** Waits until the replica knows the session and answers from what it cached. */
async function untilCached(replica: Api, person: Person, sql: postgres.Sql) {
  const [session] = await sql`select id from sessions where user_id = ${person.id}`
  await expect
    .poll(
      async () => {
        await new Client(replica.app, person.token!).get('/auth/me')
        return replica.app.access.peek(session?.id)
      },
      { timeout: 5_000, interval: 10 },
    )
    .toBeDefined()
}

describe('what ends on one replica ends on every other', () => {
  test('a session that is signed out, within milliseconds', async ({ owner, replica, seen, sql }) => {
    await untilCached(replica, owner, sql)
    await owner.post('/auth/logout')
    await expect.poll(() => seen(owner), { timeout: withinMs, interval: 5 }).toBe(401)
  })

  test('a session that is signed out while nobody listens', async ({ api, owner, replica, seen, sql }) => {
    await untilCached(replica, owner, sql)
    const killed = await sql`
      select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and application_name = 'tenon-access'`
    expect(killed.length).toBeGreaterThanOrEqual(2)
    await owner.post('/auth/logout')
    await expectRefused(seen, owner)
    await untilCached(replica, await api.newOwner(), sql)
  })

  test('a session that is signed out while a listener hears nothing on a connection that stands', async ({
    api,
    owner,
    sql,
  }) => {
    const proxy = await openProxy(api.url)
    const deaf = await startApi({}, { ...api, url: proxy.url })
    await untilCached(deaf, owner, sql)
    proxy.freeze('tenon-access')
    await owner.post('/auth/logout')
    await expectRefused(async ({ token }) => (await new Client(deaf.app, token!).get('/auth/me')).status, owner)
    await deaf.close()
    await proxy.close()
  })

  test('a role that is taken away, and an account that is switched off', async ({ api, owner, replica, seen, sql }) => {
    const member = await api.newUser(owner, 'member')
    await untilCached(replica, member, sql)
    expect(await seen(member, '/portfolios')).toBe(200)
    await sql.begin(async (tx) => {
      await tx`update members set roles = '{guest}' where user_id = ${member.id}`
      await tx`select pg_notify('tenon_access', ${`user:${member.id}`})`
    })
    await expect.poll(() => seen(member, '/portfolios'), { timeout: withinMs, interval: 5 }).toBe(403)
    await sql.begin(async (tx) => {
      await tx`update users set is_active = false where id = ${member.id}`
      await tx`select pg_notify('tenon_access', ${`user:${member.id}`})`
    })
    await expect.poll(() => seen(member), { timeout: withinMs, interval: 5 }).toBe(401)
  })

  test('an API key that is revoked, loses a permission, or whose maker loses his role', async ({
    api,
    owner,
    replica,
    sql,
  }) => {
    const maker = await api.newUser(owner, 'portfolio_manager')
    const { key, prefix } = newApiKey()
    const [row] = await sql`
      insert into api_keys (org_id, id, name, prefix, key_hash, permissions, ip_allowlist, created_by)
      values (${owner.orgId}, gen_random_uuid(), 'Robot', ${prefix}, ${sha256(key)}, '{credit:read,credit:write}', '{}',
        ${maker.id}) returning id`
    const robot = new Client(replica.app, key)
    const reads = async () => (await robot.get('/portfolios')).status
    const writes = async () => (await robot.post('/portfolios', { name: 'Book', currency: 'USD' })).status
    const soon = { timeout: withinMs, interval: 5 }
    expect([await reads(), await writes()]).toEqual([200, 201])
    await expect.poll(() => replica.app.access.peek(keyCredential(key) as string), soon).toBeDefined()
    await sql.begin(async (tx) => {
      await tx`update members set roles = '{member}' where user_id = ${maker.id}`
      await tx`select pg_notify('tenon_access', ${`user:${maker.id}`})`
    })
    await expect.poll(writes, soon).toBe(403)
    expect(await reads()).toBe(200)
    await sql.begin(async (tx) => {
      await tx`update api_keys set permissions = '{}' where id = ${row?.id}`
      await tx`select pg_notify('tenon_access', ${`key:${row?.id}`})`
    })
    await expect.poll(reads, soon).toBe(403)
    await sql.begin(async (tx) => {
      await tx`update api_keys set revoked_at = now() where id = ${row?.id}`
      await tx`select pg_notify('tenon_access', ${`key:${row?.id}`})`
    })
    await expect.poll(reads, soon).toBe(401)
  })

  test('every session of a user who signs out everywhere, or ends the others', async ({
    api,
    owner,
    replica,
    seen,
    sql,
  }) => {
    const other = await api.signIn(owner.email)
    await untilCached(replica, owner, sql)
    expect(await seen(other)).toBe(200)
    await owner.post('/auth/sessions/revoke-others')
    await expect.poll(() => seen(other), { timeout: withinMs, interval: 5 }).toBe(401)
    expect(await seen(owner)).toBe(200)
    await owner.post('/auth/logout-all')
    await expect.poll(() => seen(owner), { timeout: withinMs, interval: 5 }).toBe(401)
  })

  test('every session of an organisation that is suspended or left', async ({ api, owner, replica, seen, sql }) => {
    const member = await api.newUser(owner, 'member')
    await untilCached(replica, member, sql)
    await sql`delete from members where user_id = ${member.id}`
    await sql`select pg_notify('tenon_access', ${`org:${owner.orgId}`})`
    await expect.poll(() => seen(member), { timeout: withinMs, interval: 5 }).toBe(401)
    await untilCached(replica, owner, sql)
    await sql`update organizations set is_active = false where id = ${owner.orgId}`
    await sql`select pg_notify('tenon_access', ${`org:${owner.orgId}`})`
    await expect.poll(() => seen(owner), { timeout: withinMs, interval: 5 }).toBe(401)
  })

  test('a session survives a restart of the service', async ({ api, owner }) => {
    const restarted = await startApi({}, api)
    expect((await new Client(restarted.app, owner.token!).get('/auth/me')).status).toBe(200)
    await owner.post('/auth/logout')
    await restarted.close()
    const again = await startApi({}, api)
    expect((await new Client(again.app, owner.token!).get('/auth/me')).status).toBe(401)
    await again.close()
  })
})
