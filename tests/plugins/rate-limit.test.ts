import { describe, expect } from 'vitest'
import { networkOf } from '../../src/lib/address.ts'
import { type Api, test as base, Client, password, startApi } from '../helpers/api.ts'

const max = 5

/** Asks from an address, as who has this token, and tells the status. */
type Ask = (from: string, headers?: Record<string, string>, path?: string) => Promise<number>

/** Services that allow five requests a minute: one that trusts no proxy, one that trusts those of 10.0.0.0/8. */
const test = base.extend<{ ask: Ask; proxied: Ask; api: Api }>({
  api: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
    async ({}, use) => {
      const api = await startApi({ RATE_LIMIT_MAX: String(max) })
      await use(api)
      await api.close()
    },
    { scope: 'file' },
  ],
  ask: async ({ api }, use) => use(asker(api)),
  proxied: [
    async ({ api }, use) => {
      const proxied = await startApi({ RATE_LIMIT_MAX: String(max), TRUSTED_PROXIES: '10.0.0.0/8' }, api)
      await use(asker(proxied))
      await proxied.close()
    },
    { scope: 'file' },
  ],
})

const asker =
  ({ app }: Api): Ask =>
  async (remoteAddress, headers = {}, url = '/api/v1/auth/me') =>
    (await app.inject({ url, headers, remoteAddress })).statusCode

/** Uses up what is allowed; the last of them is the first that is refused. */
async function exhaust(ask: () => Promise<number>) {
  for (let n = 0; n < max; n++) expect(await ask()).not.toBe(429)
  expect(await ask()).toBe(429)
}

describe('requests are limited', () => {
  test('by user, whatever address he asks from', async ({ api, ask }) => {
    const [one, other] = [await api.newOwner(), await api.newOwner()]
    const as = (client: Client) => ({ authorization: `Bearer ${client.token}` })
    let port = 0
    // Signing in asked once already.
    for (let n = 1; n < max; n++) expect(await ask(`192.0.2.${port++}`, as(one))).toBe(200)
    expect(await ask(`192.0.2.${port++}`, as(one))).toBe(429)
    expect(await ask('192.0.2.1', as(await api.signIn(other.email)))).toBe(200)
  })

  test('by address for whoever is not signed in, also with tokens that are none', async ({ ask }) => {
    let n = 0
    await exhaust(() => ask('198.51.100.1', { authorization: `Bearer guess-${n++}` }))
    expect(await ask('198.51.100.1')).toBe(429)
    expect(await ask('198.51.100.2')).toBe(401)
  })

  test('by the /64 of an IPv6 address, and by the IPv4 address that one wraps', async ({ ask }) => {
    let n = 0
    await exhaust(() => ask(`2001:db8:1:1::${(n++).toString(16)}`))
    expect(await ask('2001:db8:1:1:ffff:ffff:ffff:ffff')).toBe(429)
    expect(await ask('2001:db8:1:2::1')).toBe(401)
    await exhaust(() => ask('203.0.113.1'))
    expect(await ask('::ffff:203.0.113.1')).toBe(429)
  })

  test('by the address of the connection, whatever the request claims', async ({ ask }) => {
    let n = 0
    await exhaust(() => ask('198.51.100.9', { 'x-forwarded-for': `192.0.2.${n++}`, forwarded: `for=192.0.2.${n}` }))
  })

  test('by the last address that a trusted proxy did not make up', async ({ proxied }) => {
    let n = 0
    await exhaust(() => proxied('10.0.0.1', { 'x-forwarded-for': `192.0.2.${n++}, 198.51.100.9, 10.0.0.7` }))
    expect(await proxied('10.0.0.2', { 'x-forwarded-for': '198.51.100.9' })).toBe(429)
    expect(await proxied('10.0.0.2', { 'x-forwarded-for': '198.51.100.10' })).toBe(401)
    // Who is no proxy of ours is counted by his own address.
    await exhaust(() => proxied('203.0.113.9', { 'x-forwarded-for': `192.0.2.${n++}` }))
  })

  test('together where a proxy names what is no address', async ({ proxied }) => {
    const odd = ['x', '1.2.3.4:5', ':::', 'a:b', '[::1]:80', '-']
    let n = 0
    await exhaust(() => proxied('10.0.0.1', { 'x-forwarded-for': odd[n++ % odd.length] as string }))
  })

  test('with an answer that says so, and when to come back', async ({ api, ask }) => {
    await exhaust(() => ask('198.51.100.77'))
    const answer = await api.app.inject({ url: '/api/v1/auth/me', remoteAddress: '198.51.100.77' })
    expect(answer.statusCode).toBe(429)
    expect(answer.headers['content-type']).toMatch('application/problem+json')
    expect(answer.json()).toMatchObject({ type: '/problems/rate_limited', code: 'rate_limited', status: 429 })
    const wait = Number(answer.headers['retry-after'])
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(60)
    expect(answer.headers).toMatchObject({ 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '0' })
  })

  test('but probes are not', async ({ ask }) => {
    for (const path of ['/health', '/health/live', '/health/ready', '/'])
      for (let n = 0; n <= max; n++) expect(await ask('198.51.100.88', {}, path)).toBe(200)
  })
})

base('guessing at passwords is limited more strictly, by address and whoever is signed in', async ({ api, owner }) => {
  const strict = await startApi({ RATE_LIMIT_AUTH_MAX: '3' }, api)
  const guess = async (remoteAddress: string, token?: string) =>
    (
      await strict.app.inject({
        method: 'POST',
        url: '/api/v1/auth/login',
        remoteAddress,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        payload: { username: owner.email, password: 'Wrong-Horse-7' },
      })
    ).statusCode
  for (let n = 0; n < 3; n++) expect(await guess('192.0.2.1')).toBe(401)
  expect(await guess('192.0.2.1')).toBe(429)
  expect(await guess('192.0.2.1', owner.token)).toBe(429)
  expect(await guess('192.0.2.2')).toBe(401)
  expect((await new Client(strict.app, owner.token).get('/auth/me')).status).toBe(200)
  expect((await strict.anonymous.post('/auth/login', { username: owner.email, password })).status).toBe(200)
  await strict.close()
})

base(
  'sending files and inviting is limited by caller, and no key may more than it was given',
  async ({ api, owner }) => {
    const strict = await startApi({ RATE_LIMIT_IMPORT_MAX: '3', RATE_LIMIT_AUTH_MAX: '3' }, api)
    const as = (token?: string) => new Client(strict.app, token)
    const made = await owner.post('/api-keys', {
      ...{ name: 'Robot', permissions: ['credit:write', 'members:manage'], rate_limit: 2 },
    })
    const limits = async (client: Client, path: string) => (await client.post(path)).headers['x-ratelimit-limit']
    const portfolio = '/portfolios/00000000-0000-7000-8000-000000000000'
    for (const path of [`${portfolio}/loans/import`, `${portfolio}/ratings/import`, '/import-mappings/suggest'])
      for (const [client, max] of [
        [as(owner.token), '3'],
        [as(made.body.key), '2'],
      ] as const)
        expect([path, await limits(client, path)]).toEqual([path, max])
    expect(await limits(as(made.body.key), '/invitations')).toBe('2')
    const path = `${portfolio}/snapshots/import`
    for (let n = 0; n < 3; n++) expect((await as(owner.token).post(path)).status).toBe(415)
    expect((await as(owner.token).post(path)).body.code).toBe('rate_limited')
    expect((await as((await api.newUser(owner, 'owner')).token).post(path)).status).toBe(415)
    await strict.close()
  },
)

base('an address stands for its network', () => {
  expect(networkOf('192.0.2.1')).toBe('192.0.2.1')
  expect(networkOf('2001:DB8::1')).toBe('2001:db8:0:0::/64')
  expect(networkOf('2001:db8:0:0:1:2:3:4')).toBe('2001:db8:0:0::/64')
  expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1')
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
})
