import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { completeHeaders, type Document } from './openapi-headers.ts'

const title = 'Tenon API'
const documentPath = '/api/v1/openapi.json'

/** The two documentation pages run scripts of ours and style themselves inline; nothing else may load. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const tags = {
  system: 'Status of the service',
  identity: 'Accounts, sessions and the signed-in user',
  organizations: 'Organisations, their policy, users and roles',
  platform: 'Every user and organisation of the service, for superusers',
  audit: 'Who did what and when, in a chain of hashes that shows tampering',
  credit: 'Portfolios, loans and their metrics',
  imports: 'CSV files streamed in',
}

/** The OpenAPI 3.1 document at `/api/v1/openapi.json`, Swagger UI at `/docs`, ReDoc at `/redoc`. */
export default fp(
  async (app: FastifyInstance) => {
    const page = { public: true, contentSecurityPolicy: pagePolicy } as const
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title,
          version: app.release,
          description: 'Accounts, organisations, streamed CSV ingest and a credit book, isolated per organisation.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: '/' }],
        tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
        components: {
          securitySchemes: {
            bearer: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: 'An access token from POST /api/v1/auth/login.',
            },
            oauth2: {
              type: 'oauth2',
              description: 'The same token, fetched with username and password.',
              flows: { password: { tokenUrl: '/api/v1/auth/login', scopes: {} } },
            },
          },
        },
      },
      transformObject: (made) => {
        const { openapiObject } = made as unknown as { openapiObject: Document }
        completeHeaders(openapiObject, app.operations)
        return openapiObject as never
      },
      refResolver: { buildLocalReference: (json) => String(json.$id) },
    })
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      uiConfig: { deepLinking: true, persistAuthorization: true, docExpansion: 'none', layout: 'BaseLayout' },
      uiHooks: {
        onRequest: async (_request, reply) => {
          if (app.config.http.cspMode !== 'disabled') reply.header('content-security-policy', pagePolicy)
        },
      },
    })

    const hidden = { schema: { hide: true }, config: page }
    app.get(documentPath, hidden, async () => app.swagger())
    app.get('/redoc', hidden, async (_request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .send(
          `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title><meta name="viewport" content="width=device-width, initial-scale=1"></head><body><redoc spec-url="${documentPath}"></redoc><script src="/redoc/redoc.standalone.js"></script></body></html>`,
        ),
    )
    const bundle = createRequire(import.meta.url).resolve('redoc/bundles/redoc.standalone.js')
    app.get('/redoc/redoc.standalone.js', hidden, async (_request, reply) =>
      reply
        .type('text/javascript; charset=utf-8')
        .header('cache-control', 'public, max-age=86400')
        .send(await readFile(bundle)),
    )
    for (const [from, to] of [
      ['/api/docs', '/docs'],
      ['/api/v1/docs', '/docs'],
      ['/api/redoc', '/redoc'],
      ['/api/v1/redoc', '/redoc'],
    ] as const)
      app.get(from, hidden, async (_request, reply) => reply.redirect(to, 308))
  },
  { name: 'openapi' },
)
