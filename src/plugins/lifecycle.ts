import type { Socket } from 'node:net'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../lib/errors.ts'
import { named, StringEnum, Timestamp } from '../lib/schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** `starting` until the database is migrated; `stopping` from the signal to the end. */
    lifecycle: { state: 'starting' | 'ready' | 'stopping' }
  }
}

const Health = named(
  'Health',
  Type.Object({
    status: StringEnum(['ok', 'unavailable']),
    version: Type.String(),
    environment: Type.String(),
    database: Type.Object({
      connected: Type.Boolean(),
      latency_ms: Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'null without a connection' }),
    }),
    timestamp: Timestamp(),
  }),
)

const Service = named(
  'Service',
  Type.Object({ name: Type.String(), version: Type.String(), links: Type.Record(Type.String(), Type.String()) }),
)

const Probe = named('Probe', Type.Object({ status: StringEnum(['ok', 'unavailable']) }))

/** Status pages, the gate that answers 503 until the database is migrated, and a prompt end. */
export default fp(
  async (app: FastifyInstance) => {
    for (const model of [Health, Service, Probe]) app.addSchema(model)
    const open = { public: true, unlimited: true, always: true } as const
    const answers = (id: string) => ({ 200: { $ref: `${id}#` }, 503: { $ref: `${id}#` } })
    const tags = ['system']

    app.addHook('onRequest', (request, _reply, done) => {
      const closed = app.lifecycle.state === 'starting' && !request.routeOptions.config.always
      done(closed ? starting() : undefined)
    })

    // A connection that has not sent a request yet counts as busy for Node, and would hold the end up.
    const silent = new Set<Socket>()
    app.server
      .on('connection', (socket) => silent.add(socket.once('close', () => silent.delete(socket))))
      .on('request', ({ socket }) => silent.delete(socket))
    app.addHook('preClose', async () => {
      for (const socket of silent) socket.destroy()
    })
    app.addHook('onSend', (_request, reply, _payload, done) => {
      if (app.lifecycle.state === 'stopping') reply.header('connection', 'close')
      done()
    })

    app.get(
      '/',
      {
        config: open,
        schema: {
          operationId: 'getService',
          summary: 'Name, version and links',
          tags,
          response: { 200: { $ref: 'Service#' } },
        },
      },
      async () => ({
        name: 'tenon',
        version: app.release,
        links: { api: '/api/v1', openapi: '/api/v1/openapi.json', docs: '/docs', redoc: '/redoc', health: '/health' },
      }),
    )

    app.get(
      '/health',
      {
        config: open,
        schema: {
          operationId: 'getHealth',
          summary: 'Whether the service and its database work',
          tags,
          response: answers('Health'),
        },
      },
      async (_request, reply) => {
        const latency = await pingMs(app)
        const ok = latency !== null && app.lifecycle.state === 'ready'
        return reply.code(ok ? 200 : 503).send({
          status: ok ? 'ok' : 'unavailable',
          version: app.release,
          environment: app.config.environment,
          database: { connected: latency !== null, latency_ms: latency },
          timestamp: new Date().toISOString(),
        })
      },
    )

    app.get(
      '/health/live',
      {
        config: open,
        schema: {
          operationId: 'getLiveness',
          summary: 'Whether the process answers',
          tags,
          response: answers('Probe'),
        },
      },
      async () => ({ status: 'ok' }),
    )

    app.get(
      '/health/ready',
      {
        config: open,
        schema: {
          operationId: 'getReadiness',
          summary: 'Whether to send requests here',
          tags,
          response: answers('Probe'),
        },
      },
      async (_request, reply) => {
        const ok = app.lifecycle.state === 'ready' && (await pingMs(app)) !== null
        return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable' })
      },
    )
  },
  { name: 'lifecycle', dependencies: ['database'] },
)

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers also while the service starts. */
    always?: true
  }
}

const starting = () =>
  new Problem('unavailable', 'The service is starting and waits for its database.', { retryAfterS: 2 })

/** A round trip to the database in milliseconds, or null when there is none to be had. */
async function pingMs(app: FastifyInstance): Promise<number | null> {
  const start = performance.now()
  try {
    await app.pools.requests.sql`select 1`
    return Math.round((performance.now() - start) * 10) / 10
  } catch (error) {
    app.log.warn({ err: error }, 'the database does not answer')
    return null
  }
}
