import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { answerHeaders } from '../../src/lib/answer-headers.ts'
import { type Answer, type Api, test as base, startApi } from '../helpers/api.ts'
import { readContract } from '../helpers/contract.ts'
import { ownerSql } from '../helpers/sql.ts'

// Outside tests a .env of the working directory fills what the environment leaves out.
const home = process.cwd()
beforeAll(() => process.chdir(tmpdir()))
afterAll(() => process.chdir(home))

const production = {
  NODE_ENV: 'production',
  JWT_SECRET: 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us',
  ENCRYPTION_KEY: 'Us0aG5fP6dH3cN1bY9wL7eZ4r_Tv2mQ-x8Jk',
}

/** What a service of this configuration answers. */
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

/** A path outside of `/api/v1`. */
const page = ({ anonymous }: Api, path: string) => anonymous.send('GET', `http://host${path}`)

const policyOf = ({ headers }: Answer) => headers['content-security-policy']

describe('every answer', () => {
  test('carries the security headers, errors included', async ({ api, owner }) => {
    for (const answer of [
      await page(api, '/health'),
      await api.anonymous.get('/nothing'),
      await api.anonymous.get('/%zz'),
      await api.anonymous.get('/auth/me'),
      await api.anonymous.post('/auth/login', '{', { 'content-type': 'application/json' }),
      await owner.get('/portfolios'),
    ]) {
      expect(answer.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'content-security-policy': "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
      })
      for (const name of ['strict-transport-security', 'x-powered-by', 'server', 'server-timing'])
        expect(answer.headers).not.toHaveProperty(name)
    }
  })

  test('asks browsers to stay with HTTPS in production', async ({ serve }) => {
    for (const NODE_ENV of ['production', 'staging']) {
      const { headers } = await page(await serve({ ...production, NODE_ENV }), '/')
      expect(headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains')
    }
  })

  test('has the content security policy of CSP_MODE', async ({ serve }) => {
    const relaxed = await serve({ CSP_MODE: 'relaxed' })
    expect(policyOf(await page(relaxed, '/health'))).toMatch(/^default-src 'self';.*frame-ancestors 'none'/)
    const disabled = await serve({ CSP_MODE: 'disabled' })
    for (const path of ['/health', '/docs/', '/redoc']) expect(policyOf(await page(disabled, path))).toBeUndefined()
  })
})

describe('the documentation pages', () => {
  test('have a policy of their own, under which their scripts run and no others', async ({ api }) => {
    for (const path of ['/docs', '/docs/', '/redoc']) {
      const answer = await page(api, path)
      expect([path, answer.status]).toEqual([path, 200])
      expect(policyOf(answer)).toMatch(/^default-src 'none'; script-src 'self'; /)
      expect(policyOf(answer)).not.toMatch(/script-src[^;]*unsafe|https?:/)
    }
  })

  test('load nothing from elsewhere and hold no script inline', async ({ api }) => {
    for (const path of ['/docs/', '/redoc']) {
      const { status, text } = await page(api, path)
      expect(status).toBe(200)
      expect(text).not.toMatch(/(src|href)="(https?:)?\/\//)
      expect(text).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>/)
      const parts = [...text.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)].map(
        ([, part]) => new URL(part!, `http://host${path}`),
      )
      expect(parts.length).toBeGreaterThan(0)
      for (const { pathname } of parts) expect([pathname, (await page(api, pathname)).status]).toEqual([pathname, 200])
    }
  })

  test('are reached from the paths people try', async ({ api }) => {
    for (const [from, to] of [
      ['/api/docs', '/docs'],
      ['/api/v1/docs', '/docs'],
      ['/api/redoc', '/redoc'],
      ['/api/v1/redoc', '/redoc'],
    ]) {
      const answer = await page(api, from as string)
      expect([answer.status, answer.headers.location]).toEqual([308, to])
    }
    const document = await api.anonymous.get('/openapi.json')
    expect([document.status, document.body.openapi]).toEqual([200, '3.1.0'])
  })
})

const allowed = 'https://app.example.com'

/** What a browser learns about a page of this origin. */
async function preflight({ anonymous }: Api, origin: string) {
  const { status, headers } = await anonymous.send('OPTIONS', '/portfolios', undefined, {
    origin,
    'access-control-request-method': 'PATCH',
    'access-control-request-headers': 'authorization, if-match',
  })
  return { status, origin: headers['access-control-allow-origin'], headers }
}

describe('a page of another origin', () => {
  test('may read answers where its origin is listed, exactly', async ({ serve }) => {
    const api = await serve({ CORS_ORIGINS: `${allowed}, https://b.example.com:8443` })
    const answer = await preflight(api, allowed)
    expect([answer.status, answer.origin]).toEqual([204, allowed])
    expect(answer.headers).toMatchObject({
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': expect.stringContaining('If-Match'),
      vary: expect.stringMatching(/origin/i),
    })
    expect((await preflight(api, 'https://b.example.com:8443')).origin).toBe('https://b.example.com:8443')
    const simple = await api.anonymous.get('/auth/me', { origin: allowed })
    expect(simple.headers).toMatchObject({
      'access-control-allow-origin': allowed,
      'access-control-expose-headers': expect.stringContaining('ETag'),
    })
    for (const origin of [
      'https://app.example.com.evil.example',
      'https://evil-app.example.com',
      'http://app.example.com',
      'https://app.example.com:444',
      'https://APP.example.com',
      'https://app.example.com/',
      'null',
      'http://localhost:3000',
    ]) {
      expect([origin, (await preflight(api, origin)).origin]).toEqual([origin, undefined])
      expect((await api.anonymous.get('/auth/me', { origin })).headers).not.toHaveProperty(
        'access-control-allow-origin',
      )
    }
  })

  test('sees the headers a client needs, who acts as its user among them', async ({ owner, serve }) => {
    const api = await serve({ CORS_ORIGINS: allowed })
    const superuser = await api.newOwner()
    const sql = ownerSql(api.ownerUrl, 1)
    const acting = await api.signIn(owner.email)
    await sql`update users set is_superuser = true where id = ${superuser.id}`
    await sql`
      update sessions set impersonator_id = ${superuser.id}
      where id = (select id from sessions where user_id = ${owner.id} order by created_at desc, id desc limit 1)`
    await sql.end()
    api.app.access.forget(`user:${owner.id}`)
    const { status, headers } = await acting.get('/auth/me', { origin: allowed })
    expect([status, headers['x-impersonated-by']]).toEqual([200, superuser.id])
    expect(headers['access-control-expose-headers']?.split(', ')).toEqual(Object.keys(answerHeaders))
    expect((await superuser.get('/auth/me')).headers).not.toHaveProperty('x-impersonated-by')
  })

  test('may use every method and every header that an operation documents', async ({ serve }) => {
    const { headers } = await preflight(await serve({ CORS_ORIGINS: allowed }), allowed)
    const named = (name: string) => headers[`access-control-allow-${name}`]?.toLowerCase().split(', ')
    const { operations } = await readContract()
    const understood = operations.flatMap(({ parameters }) => parameters.filter((one) => one.in === 'header'))
    expect(named('methods')).toEqual(expect.arrayContaining(operations.map(({ method }) => method.toLowerCase())))
    expect(named('headers')).toEqual(expect.arrayContaining(understood.map(({ name }) => name)))
  })

  test('may read nothing where none is listed, and a star opens nothing', async ({ api, serve }) => {
    expect((await preflight(api, allowed)).origin).toBeUndefined()
    const star = await serve({ CORS_ORIGINS: '*' })
    expect((await preflight(star, allowed)).origin).toBeUndefined()
    expect((await preflight(star, '*')).origin).not.toBe(allowed)
    const odd = await star.anonymous.send('OPTIONS', '/portfolios', undefined, { origin: '*' })
    expect([odd.status, odd.text]).toEqual([204, ''])
  })

  test('on the same machine may read answers in development only', async ({ api, serve }) => {
    const development = await serve({ NODE_ENV: 'development' })
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1:5173', 'http://[::1]:8080', 'https://localhost']) {
      expect((await preflight(development, origin)).origin).toBe(origin)
      expect((await preflight(api, origin)).origin).toBeUndefined()
    }
    for (const origin of ['http://localhost.evil.example', 'http://127.0.0.1.evil.example', 'http://localhost:x'])
      expect((await preflight(development, origin)).origin).toBeUndefined()
    expect((await preflight(await serve(production), 'http://localhost:3000')).origin).toBeUndefined()
  })
})
