import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Redis } from 'ioredis'
import { networkOf } from '../lib/address.ts'
import { Problem } from '../lib/errors.ts'

/** Callers counted at once; the library's default of 5,000 would forget active tenants. */
const callersMax = 100_000

/** A Redis that is away or hangs must not hold requests up: nothing is queued for it, and it has little time. */
const redisOptions = { connectTimeout: 1_000, commandTimeout: 500, enableOfflineQueue: false }

/** Limits each caller: a credential by itself, everybody else by address. Routes may state a stricter `config.rateLimit`. */
export default fp(
  async (app: FastifyInstance) => {
    const { rateLimitMax, redisUrl } = app.config.http
    const redis = redisUrl === undefined ? undefined : new Redis(redisUrl, redisOptions)
    redis?.on('error', (error) => app.log.warn({ err: error }, 'Redis is away: requests pass uncounted'))
    app.addHook('onClose', async () => redis?.disconnect())
    await app.register(rateLimit, {
      max: (request) => Math.min(request.auth?.rate_limit ?? rateLimitMax, rateLimitMax),
      timeWindow: 60_000,
      cache: callersMax,
      nameSpace: 'tenon-rate-',
      ...(redis && { redis, skipOnError: true }),
      keyGenerator: (request) => request.auth?.principal ?? networkOf(request.ip),
      allowList: (request) => request.routeOptions.config.unlimited === true,
      errorResponseBuilder: (_request, { ttl }) =>
        new Problem('rate_limited', `Too many requests; try again in ${Math.ceil(ttl / 1_000)} seconds.`, {
          retryAfterS: Math.ceil(ttl / 1_000),
        }),
    })
  },
  { name: 'rate-limit', dependencies: ['auth'] },
)

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Not counted: probes of the platform that runs the service. */
    unlimited?: true
  }
}

/** The limit of routes that guess at credentials: by address, whoever claims to ask. */
export const authLimit = (app: FastifyInstance) => ({
  max: app.config.http.rateLimitAuthMax,
  timeWindow: 60_000,
  keyGenerator: (request: FastifyRequest) => networkOf(request.ip),
})

/** The limit of routes that cost more than others: by caller, and never more than his API key may. */
export const callerLimit = (max: number) => ({
  max: ({ auth }: FastifyRequest) => Math.min(auth?.rate_limit ?? max, max),
  timeWindow: 60_000,
})
