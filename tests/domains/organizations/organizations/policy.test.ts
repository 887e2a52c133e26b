import { describe, expect } from 'vitest'
import { Client, type Person } from '../../../helpers/api.ts'
import { test as base } from '../../../helpers/organizations.ts'

type Policy = Record<string, unknown>
type Changing = { orgId: string } & Client

const setPolicy = (owner: Changing, settings: Policy) => owner.patch(`/organizations/${owner.orgId}`, { settings })

/** Waits until the other replica answers so: it learns of a change when that commits. */
const untilSeen = (client: Client, status: number) =>
  expect.poll(async () => (await client.get('/portfolios')).status, { timeout: 2_000, interval: 5 }).toBe(status)

type Fixtures = { there: (client: Client) => Client; cached: (person: Person) => Promise<void> }

const test = base.extend<Fixtures>({
  /** The same credential at the other replica. */
  there: async ({ replica }, use) => use(({ token }) => new Client(replica.app, token!)),
  /** Waits until the other replica lets this user in out of what it cached. */
  cached: async ({ replica, sql, there }, use) =>
    use(async (person) => {
      const [session] = await sql`select id from sessions where user_id = ${person.id}`
      const peek = async () => {
        expect((await there(person).get('/portfolios')).status).toBe(200)
        return replica.app.access.peek(session?.id)
      }
      await expect.poll(peek, { timeout: 5_000, interval: 10 }).toBeDefined()
    }),
})

describe('a policy', () => {
  test('is changed field by field, and kept in one form', async ({ owner }) => {
    const first = await setPolicy(owner, { allowed_email_domains: ['BÜCHER.example', 'bücher.example'] })
    expect(first.body.settings).toEqual({
      ...{ session_lifetime_s: null, mfa_required: false, ip_allowlist: [] },
      allowed_email_domains: ['xn--bcher-kva.example'],
    })
    const second = await setPolicy(owner, { session_lifetime_s: 3_600, ip_allowlist: ['127.0.0.1', '127.0.0.1'] })
    expect(second.body.settings).toEqual({
      ...{ session_lifetime_s: 3_600, mfa_required: false, ip_allowlist: ['127.0.0.1'] },
      allowed_email_domains: ['xn--bcher-kva.example'],
    })
    const third = await setPolicy(owner, { session_lifetime_s: null, allowed_email_domains: [] })
    expect(third.body.settings).toMatchObject({ session_lifetime_s: null, allowed_email_domains: [] })
  })

  test('takes nothing that is no address, network, domain or length of time', async ({ owner }) => {
    const refused: Policy[] = [
      ...['10', '010.0.0.1', '0x7f.0.0.1', '10.0.0.0/33', '1.2.3/8', 'localhost', '::1/129', '10.0.0.1/'].map(
        (text) => ({
          ip_allowlist: ['127.0.0.1', text],
        }),
      ),
      ...['', 'a b', 'a@b.example', '@', 'x'.repeat(254)].map((text) => ({ allowed_email_domains: [text] })),
      ...[299, 7_776_001, 3_600.5, '3600'].map((session_lifetime_s) => ({ session_lifetime_s })),
      { ip_allowlist: Array(101).fill('127.0.0.1') },
      { mfa_required: 'yes' },
      { mfa_required: null },
      { retention_days: 1 },
    ]
    for (const settings of refused)
      expect((await setPolicy(owner, settings)).body, JSON.stringify(settings).slice(0, 80)).toMatchObject({
        status: 400,
        code: 'validation_failed',
      })
    expect((await owner.get(`/organizations/${owner.orgId}`)).body.version).toBe(1)
  })

  test('that would shut its maker out is refused', async ({ owner }) => {
    for (const settings of [{ ip_allowlist: ['10.0.0.0/8', '::1'] }, { mfa_required: true }])
      expect((await setPolicy(owner, settings)).body).toMatchObject({ status: 422, code: 'policy_locks_out' })
    expect((await owner.get('/portfolios')).status).toBe(200)
  })

  test('holds on the organisation’s own page too, from within another one', async ({ api, owner, join, sql }) => {
    const other = await api.newOwner()
    await join(other, owner, 'admin')
    const path = `/organizations/${owner.orgId}`
    await sql`update organizations set settings = '{"mfa_required": true}' where id = ${owner.orgId}`
    expect((await other.get(path)).body.code).toBe('mfa_required')
    expect((await other.patch(path, { settings: { mfa_required: false } })).body.code).toBe('mfa_required')
    await sql`update organizations set settings = '{"ip_allowlist": ["10.0.0.0/8"]}' where id = ${owner.orgId}`
    expect((await other.patch(path, { settings: { ip_allowlist: [] } })).body.code).toBe('ip_not_allowed')
    await sql`update organizations set settings = '{"session_lifetime_s": 300}' where id = ${owner.orgId}`
    await sql`update sessions set created_at = now() - interval '6 minutes' where user_id = ${other.id}`
    expect((await other.patch(path, { name: 'X' })).body.code).toBe('invalid_state')
  })
})

describe('on every replica, at once', () => {
  test('a session ends when the organisation says, but an API key does not', async ({
    api,
    owner,
    newKey,
    cached,
    sql,
    there,
  }) => {
    const member = await api.newUser(owner, 'member')
    const key = await newKey(owner)
    await cached(member)
    await sql`update sessions set created_at = now() - interval '601 seconds' where user_id = ${member.id}`
    expect((await setPolicy(owner, { session_lifetime_s: 660 })).status).toBe(200)
    expect((await member.get('/portfolios')).status).toBe(200)
    expect((await setPolicy(owner, { session_lifetime_s: 600 })).status).toBe(200)
    expect((await member.get('/portfolios')).body.code).toBe('session_ended')
    await untilSeen(there(member), 401)
    const { body } = await api.anonymous.post('/auth/refresh', { refresh_token: member.refreshToken })
    expect((await new Client(api.app, body.access_token).get('/portfolios')).status).toBe(401)
    for (const client of [key, there(key), owner, await api.signIn(member.email)])
      expect((await client.get('/portfolios')).status).toBe(200)
  })

  test('a session without a second factor gets no further than to set one up', async ({
    api,
    owner,
    newKey,
    cached,
    there,
    withFactor,
  }) => {
    const member = await api.newUser(owner, 'member')
    const key = await newKey(owner)
    await cached(member)
    await withFactor(owner)
    expect((await setPolicy(owner, { mfa_required: true })).status).toBe(200)
    expect((await member.get('/portfolios')).body).toMatchObject({ status: 403, code: 'mfa_required' })
    await untilSeen(there(member), 403)
    expect((await member.get('/auth/me')).status).toBe(200)
    await withFactor(member)
    for (const client of [member, owner, key, there(key)]) expect((await client.get('/portfolios')).status).toBe(200)
  })

  test('only the addresses of the list get in, with an API key too', async ({ api, owner, newKey, there, sql }) => {
    const member = await api.newUser(owner, 'member')
    const key = await newKey(owner)
    const everybody = [member, key, there(member), there(key)]
    for (const client of everybody) await untilSeen(client, 200)
    expect((await setPolicy(owner, { ip_allowlist: ['127.0.0.0/8', '2001:db8::/32'] })).status).toBe(200)
    for (const client of everybody) await untilSeen(client, 200)
    await sql`update organizations set settings = '{"ip_allowlist": ["10.0.0.0/8"]}' where id = ${owner.orgId}`
    await sql`select pg_notify('tenon_access', ${`org:${owner.orgId}`})`
    for (const client of everybody) await untilSeen(client, 403)
    expect((await key.get('/portfolios')).body.code).toBe('ip_not_allowed')
    expect((await member.get('/auth/me')).status).toBe(200)
  })
})
