import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { findAccess } from './access.ts'
import type { Config } from './config.ts'
import { loanTarget } from './domains/credit/loans/queries.ts'
import { loans } from './domains/credit/loans/routes.ts'
import { metrics } from './domains/credit/metrics/routes.ts'
import { portfolios } from './domains/credit/portfolios/routes.ts'
import { auth } from './domains/identity/auth/routes.ts'
import { imports } from './domains/imports/imports/routes.ts'
import { users } from './domains/organizations/users/routes.ts'
import { loggerOptions } from './lib/logger.ts'
import { buildValidator } from './lib/validator.ts'
import accessPlugin from './plugins/access.ts'
import authPlugin from './plugins/auth.ts'
import authorize from './plugins/authorize.ts'
import background from './plugins/background.ts'
import database from './plugins/database.ts'
import errors, { clientError, frameworkErrors } from './plugins/errors.ts'
import idempotency from './plugins/idempotency.ts'
import lifecycle from './plugins/lifecycle.ts'
import observability, { requestId } from './plugins/observability.ts'
import openapi from './plugins/openapi.ts'
import rateLimit from './plugins/rate-limit.ts'
import scopePlugin from './plugins/scope.ts'
import securityHeaders from './plugins/security-headers.ts'
import tenant from './plugins/tenant.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /** The version of this service. */
    release: string
  }
}

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  version: string
}

const bodyMax = 1_048_576
const handlerTimeoutMs = 30_000

/**
 * The whole service, not listening yet. Every option is set here, so that tests run what production runs.
 * @param databaseUrl where the tables are; the service's role suffices
 */
export async function buildApp(config: Config, databaseUrl: string): Promise<FastifyInstance> {
  const app = Fastify({
    logger: loggerOptions(config.logLevel, config.environment === 'test'),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    requestIdHeader: false,
    trustProxy: config.http.trustedProxies as string[] | false,
    bodyLimit: bodyMax,
    handlerTimeout: handlerTimeoutMs,
    keepAliveTimeout: 72_000,
    connectionTimeout: 0,
    requestTimeout: 0,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000 },
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    exposeHeadRoutes: true,
    frameworkErrors,
    clientErrorHandler: clientError,
    schemaController: { compilersFactory: { buildValidator: buildValidator as never } },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.removeContentTypeParser('text/plain')
  app.decorate('config', config)
  app.decorate('release', version)
  app.decorate('lifecycle', { state: 'starting' })

  await app.register(errors)
  await app.register(securityHeaders)
  await app.register(openapi)
  await app.register(database, { url: databaseUrl })
  await app.register(accessPlugin, {
    url: databaseUrl,
    find: (credential: string) => findAccess(app.pools.requests.db, credential, config.auth.requireVerifiedEmail),
  })
  await app.register(authPlugin)
  await app.register(rateLimit)
  await app.register(authorize)
  await app.register(observability)
  await app.register(lifecycle)
  await app.register(background)
  await app.register(scopePlugin)
  await app.register(idempotency)

  await app.register(
    async (api) => {
      await api.register(auth)
      await api.register(async (own) => {
        await own.register(tenant)
        await own.register(users)
        if (config.domains.has('credit'))
          for (const resource of [portfolios, loans, metrics]) await own.register(resource)
        if (config.domains.has('imports'))
          await own.register(imports, { targets: config.domains.has('credit') ? [loanTarget] : [] })
      })
    },
    { prefix: '/api/v1' },
  )
  return app
}
