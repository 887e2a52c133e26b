import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import helmet, { type HelmetOptions } from 'helmet'
import { answerHeaders } from '../lib/answer-headers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What every answer carries. */
    securityHeaders: Record<string, string>
  }
  interface FastifyContextConfig {
    /** A Content-Security-Policy of the route's own, for the few that answer a page. */
    contentSecurityPolicy?: string
  }
}

const localFrontEnd = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/

/** An API answers no page, so its policy allows nothing; `relaxed` allows what a page of the same origin needs. */
const policies = {
  strict: {
    'default-src': ["'none'"],
    'frame-ancestors': ["'none'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  },
  relaxed: {
    'default-src': ["'self'"],
    'img-src': ["'self'", 'data:'],
    'style-src': ["'self'", "'unsafe-inline'"],
    'frame-ancestors': ["'none'"],
    'base-uri': ["'self'"],
  },
}

/** What only tells browsers how to treat pages or plugins of old, which an API has none of. */
const forPages = {
  originAgentCluster: false,
  dnsPrefetchControl: false,
  ieNoOpen: false,
  permittedCrossDomainPolicies: false,
  xssFilter: false,
} as const

/** Security headers on every answer, and the origins whose pages may read answers. */
export default fp(
  async (app: FastifyInstance) => {
    const { cspMode, corsOrigins } = app.config.http
    const headers = headersOf({
      contentSecurityPolicy: cspMode === 'disabled' ? false : { useDefaults: false, directives: policies[cspMode] },
      strictTransportSecurity: app.config.production && { maxAge: 31_536_000, includeSubDomains: true },
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      frameguard: { action: 'deny' },
      ...forPages,
    })
    app.decorate('securityHeaders', headers)
    app.addHook('onRequest', (request, reply, done) => {
      reply.headers(headers)
      const { contentSecurityPolicy } = request.routeOptions.config
      if (contentSecurityPolicy !== undefined && cspMode !== 'disabled')
        reply.header('content-security-policy', contentSecurityPolicy)
      done()
    })

    const allowed = new Set(corsOrigins)
    const development = app.config.environment === 'development'
    await app.register(cors, {
      origin: (origin, decide) =>
        decide(null, origin !== undefined && (allowed.has(origin) || (development && localFrontEnd.test(origin)))),
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: [
        'Authorization',
        'Content-Type',
        'Idempotency-Key',
        'If-Match',
        'If-None-Match',
        'Last-Event-ID',
        'X-Request-Id',
        'traceparent',
      ],
      exposedHeaders: Object.keys(answerHeaders),
      credentials: true,
      strictPreflight: false,
      maxAge: 600,
    })
  },
  { name: 'security-headers' },
)

/** Helmet's headers are the same for every answer, so it is asked once. */
function headersOf(options: HelmetOptions): Record<string, string> {
  const headers: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value),
    removeHeader: () => {},
  }
  helmet(options)({} as never, response as never, (error) => {
    if (error) throw error
  })
  return headers
}
