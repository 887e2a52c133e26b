import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type Api, test as base, startApi } from '../helpers/api.ts'
import { openProxy } from '../helpers/proxy.ts'

// Outside tests a .env of the working directory fills what the environment leaves out.
const home = process.cwd()
beforeAll(() => process.chdir(tmpdir()))
afterAll(() => process.chdir(home))

const strong = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'

const test = base.extend<{ serve: (overrides: Record<string, string>) => Promise<Api> }>({
  serve: async ({ api }, use) => {
    const running: Api[] = []
    await use(async (overrides) => {
      running.push(await startApi(overrides, api))
      return running.at(-1) as Api
    })
    for (const each of running) await each.close()
  },
})

describe('the status of the service', () => {
  test('tells name, version, links and health', async ({ api }) => {
    const root = await api.anonymous.send('GET', 'http://host/')
    expect(root.body).toMatchObject({ name: 'tenon', links: { docs: '/docs', openapi: '/api/v1/openapi.json' } })
    const health = await api.anonymous.send('GET', 'http://host/health')
    expect(health.status).toBe(200)
    expect(health.body).toEqual({
      status: 'ok',
      version: root.body.version,
      environment: 'test',
      database: { connected: true, latency_ms: expect.any(Number) },
      timestamp: expect.stringMatching(/Z$/),
    })
  })

  test('is unavailable without its database, while the process lives', async ({ api }) => {
    const proxy = await openProxy(api.url)
    const cut = await startApi({}, { ...api, url: proxy.url })
    const status = async (path: string) => (await cut.anonymous.send('GET', `http://host${path}`)).status
    expect([await status('/health'), await status('/health/ready')]).toEqual([200, 200])
    await proxy.down()
    const { status: code, body } = await cut.anonymous.send('GET', 'http://host/health')
    expect([code, body.status, body.database]).toEqual([503, 'unavailable', { connected: false, latency_ms: null }])
    expect([await status('/health/ready'), await status('/health/live')]).toEqual([503, 200])
    await proxy.up()
    await expect.poll(() => status('/health/ready'), { timeout: 2_000, interval: 20 }).toBe(200)
    await cut.close()
    await proxy.close()
  })

  test('is starting until the database is migrated: only status pages answer, none says ready', async ({
    api,
    owner,
  }) => {
    const starting = await startApi({}, api)
    starting.app.lifecycle.state = 'starting'
    const ask = (path: string) =>
      starting.app.inject({ url: path, headers: { authorization: `Bearer ${owner.token}` } })
    for (const path of ['/api/v1/auth/me', '/api/v1/portfolios', '/nothing', '/docs/', '/api/v1/openapi.json']) {
      const answer = await ask(path)
      expect([path, answer.statusCode, answer.json().code]).toEqual([path, 503, 'unavailable'])
      expect(answer.headers['retry-after']).toBe('2')
    }
    expect([(await ask('/health/live')).statusCode, (await ask('/')).statusCode]).toEqual([200, 200])
    expect([(await ask('/health/ready')).statusCode, (await ask('/health')).statusCode]).toEqual([503, 503])
    await starting.close()
  })
})

describe('measurements', () => {
  test('are open in development, and count requests by route and never by path', async ({ api, owner }) => {
    await owner.get(`/users/${owner.id}`)
    const { status, text, headers } = await api.anonymous.send('GET', 'http://host/metrics')
    expect(status).toBe(200)
    expect(headers['content-type']).toMatch(/^text\/plain/)
    expect(text).toMatch(
      /http_request_duration_seconds_count\{method="GET",route="\/api\/v1\/users\/:id",status="200"\} 1/,
    )
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).not.toContain(owner.id)
  })

  test('need their token where one is set, and no other token will do', async ({ serve, owner }) => {
    const { app } = await serve({ METRICS_TOKEN: strong })
    const ask = async (authorization?: string) =>
      app.inject({ url: '/metrics', headers: authorization === undefined ? {} : { authorization } })
    expect((await ask(`Bearer ${strong}`)).statusCode).toBe(200)
    expect((await ask(`bearer ${strong}`)).statusCode).toBe(200)
    for (const wrong of [
      undefined,
      strong,
      `Basic ${strong}`,
      'Bearer ',
      `Bearer ${strong}x`,
      `Bearer ${owner.token}`,
    ]) {
      const answer = await ask(wrong)
      expect([wrong, answer.statusCode]).toEqual([wrong, 401])
      expect(answer.json().code).toBe('unauthenticated')
    }
  })

  test('are not there in production without a token', async ({ serve }) => {
    const production = { NODE_ENV: 'production', JWT_SECRET: strong, ENCRYPTION_KEY: `${strong}+` }
    const closed = await serve(production)
    expect((await closed.app.inject('/metrics')).statusCode).toBe(404)
    const open = await serve({ ...production, METRICS_TOKEN: `${strong}-` })
    expect((await open.app.inject('/metrics')).statusCode).toBe(401)
  })
})
