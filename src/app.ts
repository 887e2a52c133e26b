import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { findAccess } from './access.ts'
import type { Config } from './config.ts'
import { audit } from './domains/audit/events/routes.ts'
import { bulk } from './domains/credit/bulk/routes.ts'
import { charts } from './domains/credit/charts/routes.ts'
import { concentration } from './domains/credit/concentration/routes.ts'
import { defaultRateTarget } from './domains/credit/default-rates/queries.ts'
import { defaultRates } from './domains/credit/default-rates/routes.ts'
import { delinquency } from './domains/credit/delinquency/routes.ts'
import { history } from './domains/credit/history/routes.ts'
import { loanTarget } from './domains/credit/loans/queries.ts'
import { loans } from './domains/credit/loans/routes.ts'
import { metrics } from './domains/credit/metrics/routes.ts'
import { portfolios } from './domains/credit/portfolios/routes.ts'
import { ratingScales } from './domains/credit/rating-scales/routes.ts'
import { ratingTarget } from './domains/credit/ratings/imported/queries.ts'
import { ratings } from './domains/credit/ratings/routes.ts'
import { rollRates } from './domains/credit/roll-rates/routes.ts'
import { snapshotTarget } from './domains/credit/snapshots/imported/queries.ts'
import { snapshots } from './domains/credit/snapshots/routes.ts'
import { stress } from './domains/credit/stress/routes.ts'
import { transitions } from './domains/credit/transitions/routes.ts'
import { vintages } from './domains/credit/vintages/routes.ts'
import { watchLists } from './domains/credit/watch-lists/routes.ts'
import { account } from './domains/identity/account/routes.ts'
import { auth } from './domains/identity/auth/routes.ts'
import { impersonation } from './domains/identity/impersonation/routes.ts'
import { login } from './domains/identity/login/routes.ts'
import { mailDelivery } from './domains/identity/mail/delivery.ts'
import { me } from './domains/identity/me/routes.ts'
import { sessions } from './domains/identity/sessions/routes.ts'
import { stepUp } from './domains/identity/step-up/routes.ts'
import { totp } from './domains/identity/totp/routes.ts'
import { importEvents } from './domains/imports/events/routes.ts'
import { imports } from './domains/imports/imports/routes.ts'
import { importMappings } from './domains/imports/mappings/routes.ts'
import { suggestions } from './domains/imports/suggest/routes.ts'
import { apiKeys } from './domains/organizations/api-keys/routes.ts'
import { explain } from './domains/organizations/explain/routes.ts'
import { invitationAnswers, invitations } from './domains/organizations/invitations/routes.ts'
import { members } from './domains/organizations/members/routes.ts'
import { organizations } from './domains/organizations/organizations/routes.ts'
import { ownership } from './domains/organizations/ownership/routes.ts'
import { roles } from './domains/organizations/roles/routes.ts'
import { granted } from './domains/organizations/roles/rules.ts'
import { switching } from './domains/organizations/switch/routes.ts'
import { users } from './domains/organizations/users/routes.ts'
import { platformOrganizations } from './domains/platform/organizations/routes.ts'
import { platformStatistics } from './domains/platform/statistics/routes.ts'
import { platformUsers } from './domains/platform/users/routes.ts'
import { loggerOptions } from './lib/logger.ts'
import { buildSerializer } from './lib/serializer.ts'
import { buildValidator } from './lib/validator.ts'
import accessPlugin from './plugins/access.ts'
import authPlugin from './plugins/auth.ts'
import authorize from './plugins/authorize.ts'
import background from './plugins/background.ts'
import database from './plugins/database.ts'
import deadlinePlugin from './plugins/deadline.ts'
import errors, { clientError, frameworkErrors } from './plugins/errors.ts'
import events from './plugins/events.ts'
import exports from './plugins/exports.ts'
import idempotency from './plugins/idempotency.ts'
import lifecycle from './plugins/lifecycle.ts'
import mail from './plugins/mail.ts'
import observability, { requestId } from './plugins/observability.ts'
import openapi from './plugins/openapi.ts'
import rateLimit from './plugins/rate-limit.ts'
import refusals from './plugins/refusals.ts'
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
const deadline = { limitMs: 30_000, sweepEveryMs: 1_000 }

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
    schemaController: {
      compilersFactory: { buildValidator: buildValidator as never, buildSerializer: buildSerializer as never },
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.removeContentTypeParser('text/plain')
  app.decorate('config', config)
  app.decorate('release', version)
  app.decorate('lifecycle', { state: 'starting' })

  await app.register(errors)
  await app.register(deadlinePlugin, deadline)
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
  await app.register(refusals)
  await app.register(idempotency)
  await app.register(mail)
  await app.register(exports)
  await app.register(events)

  await app.register(routes, { prefix: '/api/v1' })
  return app
}

/** Every resource there is, by domain. */
async function routes(api: FastifyInstance): Promise<void> {
  for (const resource of [auth, login, me, account, sessions, stepUp, totp, mailDelivery]) await api.register(resource)
  for (const resource of [organizations, ownership, switching, explain, invitationAnswers, audit])
    await api.register(resource)
  await api.register(platformUsers, { builtInRoles: granted })
  for (const resource of [platformOrganizations, platformStatistics, impersonation]) await api.register(resource)
  await api.register(tenantRoutes)
}

/** What is known of loans, and what follows from it. */
const book = [portfolios, loans, bulk, history, snapshots, watchLists, ratingScales, ratings, defaultRates]
const analyses = [metrics, delinquency, concentration, vintages, transitions, rollRates, stress, charts]

/** Those which need an active organisation. */
async function tenantRoutes(own: FastifyInstance): Promise<void> {
  const { domains } = own.config
  await own.register(tenant)
  for (const resource of [users, members, invitations, roles, apiKeys]) await own.register(resource)
  const credit = domains.has('credit')
  if (credit) for (const resource of [...book, ...analyses]) await own.register(resource)
  const targets = credit ? [loanTarget, snapshotTarget, ratingTarget, defaultRateTarget] : []
  if (domains.has('imports'))
    for (const resource of [importMappings, suggestions, imports, importEvents])
      await own.register(resource, { targets })
}
