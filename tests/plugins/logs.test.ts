import { randomBytes } from 'node:crypto'
import { test as base, describe, expect } from 'vitest'
import { cloneDatabase } from '../helpers/database.ts'
import { type DatabaseProxy, openProxy } from '../helpers/proxy.ts'
import { type Server, startServer } from '../helpers/server.ts'
import { ownerSql } from '../helpers/sql.ts'
import { withUrl } from '../helpers/url.ts'

/** A text that nobody but this test writes anywhere. */
const canary = (name: string) => `Canary-${name}-${randomBytes(12).toString('hex')}-A1`

const secrets = {
  JWT_SECRET: canary('jwt'),
  ENCRYPTION_KEY: canary('key'),
  METRICS_TOKEN: canary('metrics'),
  FIRST_SUPERUSER_PASSWORD: canary('superuser'),
}

const smtpPassword = canary('smtp')

type Running = { server: Server; proxy: DatabaseProxy; ownerUrl: string; databasePassword: string }

/** The service in production at its most talkative, over a database whose connection can be cut. */
const test = base.extend<{ running: Running }>({
  running: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
    async ({}, use) => {
      const database = await cloneDatabase()
      const proxy = await openProxy(database.url)
      const server = await startServer({
        NODE_ENV: 'production',
        LOG_LEVEL: 'trace',
        REQUIRE_VERIFIED_EMAIL: 'false',
        FIRST_SUPERUSER_EMAIL: 'root@example.com',
        DATABASE_URL: proxy.url,
        MIGRATION_DATABASE_URL: database.ownerUrl,
        SMTP_URL: `smtp://mailer:${smtpPassword}@127.0.0.1:1`,
        ...secrets,
      })
      const databasePassword = decodeURIComponent(new URL(database.url).password)
      await use({ server, proxy, ownerUrl: database.ownerUrl, databasePassword })
      await server.dispose()
      await proxy.close()
      await database.drop()
    },
    { scope: 'file' },
  ],
})

type Send = { method?: string; body?: unknown; headers?: Record<string, string> }

const send = async ({ address }: Server, path: string, { method, body, headers = {} }: Send = {}) => {
  const json = body === undefined ? headers : { 'content-type': 'application/json', ...headers }
  const payload = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const answer = await fetch(`${address}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: json,
    ...(payload !== undefined && { body: payload }),
  })
  const text = await answer.text()
  return { status: answer.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined }
}

/** The records of the log, which are all lines but those that greet the starter. */
const records = ({ output }: Server): Record<string, unknown>[] =>
  output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

describe('the log', () => {
  test('tells of each request who asked for what, when, and how it ended', async ({ running: { server } }) => {
    const login = { username: 'root@example.com', password: secrets.FIRST_SUPERUSER_PASSWORD }
    const { access_token } = (await send(server, '/api/v1/auth/login', { body: login })).body
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const headers = {
      authorization: `Bearer ${access_token}`,
      'x-request-id': 'log-1',
      traceparent: `00-${trace}-00f067aa0ba902b7-01`,
    }
    const me = await send(server, '/api/v1/auth/me', { headers: { authorization: headers.authorization } })
    expect((await send(server, '/api/v1/organizations?limit=1', { headers })).status).toBe(200)
    const find = () => records(server).find(({ request_id }) => request_id === 'log-1')
    await expect.poll(find, { timeout: 2_000, interval: 10 }).toBeDefined()
    expect(find()).toMatchObject({
      level: 'info',
      msg: 'request',
      method: 'GET',
      path: '/api/v1/organizations',
      route: '/api/v1/organizations',
      status: 200,
      duration_ms: expect.any(Number),
      ip: '127.0.0.1',
      user_id: me.body.user.id,
      org_id: me.body.organization.id,
      trace_id: trace,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
  })

  test('and the answers hold no secret, whichever way it came', async ({ running }) => {
    const { server, proxy, ownerUrl, databasePassword } = running
    const planted: string[] = [...Object.values(secrets), databasePassword, smtpPassword]
    const plant = (name: string) => {
      planted.push(canary(name))
      return planted.at(-1) as string
    }
    const answers: string[] = []
    const ask = async (path: string, options?: Send) => {
      const answer = await send(server, path, options)
      answers.push(answer.text)
      return answer
    }
    const email = `${randomBytes(6).toString('hex')}@example.com`
    const password = plant('password')
    await ask('/api/v1/auth/register', { body: { email, password } })
    await ask('/api/v1/auth/register', { body: { email, password, extra: plant('field') } })
    await ask('/api/v1/auth/login', { body: { username: email, password: plant('wrong-password') } })
    await ask('/api/v1/auth/login', { body: { username: plant('username'), password: 'x' } })
    await ask('/api/v1/auth/login', { body: `{"password":"${plant('malformed')}` })
    await ask('/api/v1/auth/login', { body: { username: email, password: [plant('type')] } })
    await ask('/api/v1/auth/login', { body: plant('text'), headers: { 'content-type': 'text/plain' } })
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const signIn = `username=${email}&password=${plant('form-password')}`
    await ask('/api/v1/auth/login', { body: signIn, headers: form })
    await ask('/api/v1/auth/login', { body: `${signIn}&client_secret=${plant('form-field')}`, headers: form })
    await ask('/api/v1/auth/login', { body: { username: email, password, totp_code: plant('totp') } })
    await ask('/api/v1/auth/verify-email', { body: { token: plant('verify-token') } })
    await ask('/api/v1/auth/reset-password', { body: { token: plant('reset-token'), password: plant('new-password') } })
    await ask('/api/v1/auth/refresh', { body: { refresh_token: plant('refresh') } })
    const apiKey = `tn_${randomBytes(32).toString('base64url')}`
    planted.push(apiKey)
    const keyed = await ask('/api/v1/portfolios', { headers: { authorization: `Bearer ${apiKey}` } })
    expect(keyed.body.code).toBe('invalid_api_key')
    await ask(`/api/v1/portfolios?api_key=${plant('key-in-query')}`, { headers: { 'x-api-key': plant('key-header') } })
    await ask(`/api/v1/auth/verify-email?token=${plant('token-in-query')}`)
    await ask('/api/v1/auth/me', { headers: { authorization: `Bearer ${plant('bearer')}` } })
    await ask('/api/v1/auth/me', { headers: { authorization: `Basic ${plant('basic')}`, cookie: plant('cookie') } })
    await ask('/metrics', { headers: { authorization: `Bearer ${plant('metrics-token')}` } })
    const signedIn = await send(server, '/api/v1/auth/login', { body: { username: email, password } })
    const { access_token, refresh_token } = signedIn.body
    planted.push(access_token, refresh_token)
    const headers = { authorization: `Bearer ${access_token}` }
    await ask(`/api/v1/loans?q=${plant('query')}`, { headers })
    await ask(`/api/v1/loans?sort=${plant('sort')}`, { headers: { ...headers, 'user-agent': plant('agent') } })
    await ask(`/api/v1/loans?cursor=${plant('cursor')}`, { headers: { ...headers, referer: plant('referer') } })
    const book = { name: plant('name'), currency: 'USD', code: plant('code').slice(0, 50) }
    await send(server, '/api/v1/portfolios', { body: book, headers })
    await ask('/api/v1/portfolios', { body: book, headers: { ...headers, 'idempotency-key': plant('idempotency') } })

    // Postgres quotes the row that it refuses.
    const sql = ownerSql(ownerUrl, 1)
    await sql`alter table portfolios add constraint refuse check (description is null) not valid`
    const failed = await ask('/api/v1/portfolios', {
      body: { name: 'x', currency: 'USD', description: plant('description') },
      headers,
    })
    expect(failed.status).toBe(500)
    await sql.end()

    // The mail server is away: what it is called with is in the URL, and what the mail holds is a live token.
    await ask('/api/v1/auth/forgot-password', { body: { email } })
    const mailFailed = () => records(server).some((record) => JSON.stringify(record).includes('ECONNREFUSED'))
    await expect.poll(mailFailed, { timeout: 10_000, interval: 20 }).toBe(true)

    await proxy.down()
    const away = await ask('/api/v1/portfolios', { body: { ...book, code: plant('lost').slice(0, 50) }, headers })
    expect(away.status).toBe(503)
    await ask('/api/v1/auth/refresh', { body: { refresh_token } })
    await proxy.up()
    await ask('/nothing', { headers: { 'x-request-id': 'log-last' } })
    const ended = () => records(server).some(({ request_id }) => request_id === 'log-last')
    await expect.poll(ended, { timeout: 2_000, interval: 10 }).toBe(true)
    const log = server.output()
    expect(records(server).filter(({ level }) => level === 'error').length).toBeGreaterThanOrEqual(2)
    for (const secret of planted) {
      const body = secret.slice(0, 40)
      expect(log.includes(body), `the log holds ${secret}`).toBe(false)
      expect(
        answers.some((text) => text.includes(body)),
        `an answer holds ${secret}`,
      ).toBe(false)
    }
  })

  test('keeps one line a record, whatever a request holds', async ({ running: { server } }) => {
    const forged = '{"level":"fatal","msg":"forged"}'
    await send(server, `/api/v1/${encodeURIComponent(`\r\n${forged}\r\n`)}`)
    await send(server, `/api/v1/loans?q=%0d%0a${encodeURIComponent(forged)}`, { headers: { 'user-agent': forged } })
    await send(server, '/nothing', { headers: { 'x-request-id': `log-2 ${forged}` } })
    await send(server, '/api/v1/auth/login', { body: { username: `a\r\n${forged}\r\n`, password: `\n${forged}` } })
    await send(server, `/api/v1/loans/%0d%0a${encodeURIComponent(forged)}\u2028`)
    await send(server, '/nothing', { headers: { 'x-request-id': 'log-3' } })
    const ended = () => records(server).some(({ request_id }) => request_id === 'log-3')
    await expect.poll(ended, { timeout: 2_000, interval: 10 }).toBe(true)
    expect(records(server).some(({ msg }) => msg === 'forged')).toBe(false)
    const greeting = /^( {2}\S|$)/
    for (const line of server.output().split('\n')) if (!line.startsWith('{')) expect(line).toMatch(greeting)
  })
})

base('a service that cannot start says why without telling secrets', async () => {
  const password = canary('dsn')
  const database = await cloneDatabase()
  const url = withUrl(database.url, { username: 'nobody_at_all', password })
  const refused = await startServer({ DATABASE_URL: url, ...secrets }).then(
    (server) => server.dispose().then(() => 'it started'),
    (error: Error) => error.message,
  )
  expect(refused).toMatch(/authentication failed|does not exist/)
  for (const secret of [password, ...Object.values(secrets)]) expect(refused).not.toContain(secret)
  await database.drop()
})
