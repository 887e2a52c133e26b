import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import client from 'prom-client'
import { sameText } from '../lib/crypto.ts'
import { Problem } from '../lib/errors.ts'

const wellFormedId = /^[A-Za-z0-9._-]{1,64}$/

/** The caller's X-Request-Id where it is harmless, else one of ours. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && wellFormedId.test(given) ? given : randomUUID()
}

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** One log line and one measurement a request; `GET /metrics` for Prometheus. */
export default fp(
  async (app: FastifyInstance) => {
    const { metricsToken } = app.config.http
    const registry = new client.Registry()
    client.collectDefaultMetrics({ register: registry })
    const durations = new client.Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from a request to the end of its answer',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    })
    const serverTiming = app.config.environment === 'development'

    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-request-id', request.id)
      done()
    })
    if (serverTiming)
      app.addHook('onSend', (_request, reply, _payload, done) => {
        reply.header('server-timing', `total;dur=${reply.elapsedTime.toFixed(1)}`)
        done()
      })
    app.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.url ?? 'unknown'
      durations.labels(request.method, route, String(reply.statusCode)).observe(reply.elapsedTime / 1_000)
      const trace = request.headers.traceparent
      request.log.info(
        {
          method: request.method,
          path: request.url.split('?', 1)[0],
          route,
          status: reply.statusCode,
          duration_ms: Math.round(reply.elapsedTime * 10) / 10,
          ip: request.ip,
          user_id: request.auth?.user_id,
          org_id: request.auth?.org_id,
          api_key_id: request.auth?.api_key_id ?? undefined,
          impersonator_id: request.auth?.impersonator_id ?? undefined,
          trace_id: typeof trace === 'string' ? traceparent.exec(trace)?.[1] : undefined,
        },
        'request',
      )
      done()
    })

    // Without a token anybody could read it: in production the route is there only where one is set.
    if (metricsToken === undefined && app.config.production) return
    app.get(
      '/metrics',
      { config: { public: true, unlimited: true }, schema: { hide: true } },
      async (request, reply) => {
        const given = /^Bearer (.{1,500})$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
        if (metricsToken !== undefined && !sameText(given, metricsToken))
          throw new Problem('unauthenticated', 'Send Authorization: Bearer <METRICS_TOKEN>.')
        return reply.type(registry.contentType).send(await registry.metrics())
      },
    )
  },
  { name: 'observability', dependencies: ['auth', 'authorize'] },
)
