import diagnostics from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { describe, expect, test } from 'vitest'
import { appWithoutDatabase, type Operation, readContract } from '../helpers/contract.ts'
import { modelOf } from '../helpers/contract-maker.ts'

const contract = await readContract()
const operations = contract.operations.map((operation) => [operation.title, operation] as const)

/** Every route the service registers, the undocumented ones too. */
async function routesOf(): Promise<RouteOptions[]> {
  const routes: RouteOptions[] = []
  const watch = (message: unknown) =>
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', (route) => void routes.push({ ...route }))
  diagnostics.subscribe('fastify.initialization', watch)
  const app = await appWithoutDatabase()
  diagnostics.unsubscribe('fastify.initialization', watch)
  await app.ready()
  await app.close()
  return routes
}

describe('a route', () => {
  for (const [what, config] of [
    ['neither a permission nor that it is public', {}],
    ['both a permission and that it is public', { permission: 'credit:read', public: true as const }],
  ] as const)
    test(`that states ${what} fails the boot`, async () => {
      const app = await appWithoutDatabase()
      app.register(async (scope) => scope.get('/oversight', { config }, async () => 'open'))
      const boot = app.ready().then(() => 'ready')
      await expect(boot).rejects.toThrow('GET /oversight must state either config.permission or config.public')
      await app.close()
    })

  test('is open to everybody only where it is meant to be', async () => {
    const routes = await routesOf()
    const open = routes.filter(({ config, method }) => config?.permission === undefined && method !== 'HEAD')
    expect(open.map(({ method, url }) => `${[method].flat().at(-1)} ${url}`).sort()).toEqual([
      'GET /',
      'GET /api/docs',
      'GET /api/redoc',
      'GET /api/v1/docs',
      'GET /api/v1/openapi.json',
      'GET /api/v1/redoc',
      'GET /docs',
      'GET /docs/json',
      'GET /docs/static/*',
      'GET /docs/static/index.html',
      'GET /docs/static/swagger-initializer.js',
      'GET /docs/yaml',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /metrics',
      'GET /redoc',
      'GET /redoc/redoc.standalone.js',
      'OPTIONS *',
      'POST /api/v1/auth/confirm-email',
      'POST /api/v1/auth/forgot-password',
      'POST /api/v1/auth/login',
      'POST /api/v1/auth/refresh',
      'POST /api/v1/auth/register',
      'POST /api/v1/auth/resend-verification',
      'POST /api/v1/auth/reset-password',
      'POST /api/v1/auth/verify-email',
      'POST /api/v1/invitations/decline',
    ])
  })

  test('that needs a permission is in the document, and asks there for the same one', async () => {
    const guarded = (await routesOf()).filter(({ config, method }) => config?.permission && method !== 'HEAD')
    const documented = contract.operations.filter(({ permission }) => permission !== 'public')
    expect(documented.map(({ title, permission }) => `${title} ${permission}`).sort()).toEqual(
      guarded
        .map(({ method, url, config }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')} ${config?.permission}`)
        .sort(),
    )
  })

  test('answers HEAD only to those who may GET', async () => {
    const routes = await routesOf()
    const permissionOf = (verb: string, path: string) =>
      routes.find(({ method, url }) => method === verb && url === path)?.config?.permission
    const heads = routes.filter(({ method, config }) => method === 'HEAD' && config !== undefined)
    expect(heads.length).toBeGreaterThan(0)
    for (const { url } of heads) expect(permissionOf('HEAD', url), url).toBe(permissionOf('GET', url))
  })
})

describe('an operation', () => {
  test('has an id of its own', () => {
    const ids = contract.operations.map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test.each(operations)('%s is named by a verb and a noun, summarised and in one area', (_title, operation) => {
    const { operationId, summary, tags } = operation
    const word = ['login', 'logout', 'refresh', 'register'].includes(operationId as string)
    expect(operationId).toMatch(word ? /^[a-z]+$/ : /^[a-z]+([A-Z][a-z0-9]+)+$/)
    if (contract.isList(operation)) expect(operationId).toMatch(/^list/)
    expect(summary).toMatch(/^[A-Z].{3,}[^.]$/)
    expect(tags).toHaveLength(1)
    expect(contract.document.tags.map(({ name }) => name)).toContain(tags?.[0])
  })

  test.each(operations)(
    '%s says what it answers when all is well, and each error as a problem',
    (_title, operation) => {
      const statuses = Object.keys(operation.responses)
      expect(statuses.some((status) => status.startsWith('2'))).toBe(true)
      expect(statuses).toEqual(expect.arrayContaining(errorsOf(operation).map(String)))
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (status < '400' || isUnhealthy(operation, status)) continue
        expect(content, status).toEqual({
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        })
      }
    },
  )
})

test('whoever may only read changes nothing', () => {
  const changing = contract.operations.filter(({ method }) => method !== 'GET')
  expect(changing.filter(({ permission }) => permission?.endsWith(':read')).map(({ title }) => title)).toEqual([])
})

/** The errors an operation cannot do without. */
function errorsOf({ method, path, permission, parameters, body, tags }: Operation): number[] {
  const errors = [500, 503]
  if (!tags?.includes('system')) errors.push(429)
  if (permission !== 'public') errors.push(401, 403)
  if (body !== undefined || parameters.length > 0) errors.push(400)
  if (body !== undefined) errors.push(413, 415)
  if (path.includes('{')) errors.push(404)
  if (method === 'POST') errors.push(409, 422)
  if (parameters.some(({ name }) => name === 'if-match')) errors.push(412)
  return errors
}

/** A probe answers the same model whether the service is well or not. */
const isUnhealthy = (operation: Operation, status: string) =>
  status === '503' && operation.responses[503]?.content?.['application/json']?.schema.$ref === modelOf(operation)
