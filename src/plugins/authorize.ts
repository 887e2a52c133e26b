import { STATUS_CODES } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../lib/errors.ts'
import type { Auth } from './access-cache.ts'
import { problemType } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The permission a credential needs, or `signed_in` for whoever is signed in. */
    permission?: string
    /** Open to everybody. */
    public?: true
    /** Works for users whose address is not verified yet. */
    unverified?: true
    /** Statuses the route can answer a problem with, beyond those that follow from its guard and its schema. */
    problems?: readonly number[]
  }
}

/**
 * The guard of every route. A route that states neither `permission` nor `public` fails the boot, so that
 * none is open by oversight; what it states also becomes its security and error answers in the OpenAPI document.
 */
export default fp(
  async (app: FastifyInstance) => {
    app.addHook('onRoute', (route) => {
      const config = route.config ?? {}
      if ((config.public === true) === (config.permission !== undefined))
        throw new Error(`${route.method} ${route.url} must state either config.permission or config.public`)
      document(route)
      if (config.public) return
      const guard = guardFor(config.permission as string, config.unverified === true)
      route.onRequest = [...[route.onRequest ?? []].flat(), guard]
    })
  },
  { name: 'authorize', dependencies: ['auth'] },
)

type Guarded = { auth: Auth | null; authProblem: Problem | null }

function guardFor(permission: string, unverified: boolean) {
  const refusal = ({ auth, authProblem }: Guarded): Problem | undefined => {
    if (auth === null) return authProblem ?? unauthenticated()
    if (!unverified && !auth.verified)
      return new Problem('email_unverified', 'Verify your e-mail address first; until then only /auth routes answer.')
    if (permission === 'signed_in' || auth.permissions.has(permission)) return undefined
    return auth.org_id === null
      ? new Problem('no_active_organization', 'No organisation is active in this session; switch to one first.')
      : new Problem('forbidden', `This needs the permission ${permission}, which none of your roles gives.`)
  }
  return (request: Guarded, _reply: unknown, done: (error?: Error) => void) => done(refusal(request))
}

const unauthenticated = () =>
  new Problem('unauthenticated', 'Send Authorization: Bearer <access token>; POST /api/v1/auth/login gives one.')

/** Adds what the guard makes true of the route to its schema: security and the problems it can answer. */
function document(route: RouteOptions) {
  const schema = route.schema as (Record<string, unknown> & { response?: Record<string, unknown> }) | undefined
  if (!schema || schema.hide) return
  const { config = {} } = route
  const codes = new Set([429, 500, 503, ...(config.problems ?? [])])
  if (schema.body || schema.querystring || schema.params || route.method === 'POST') codes.add(400)
  if (schema.params || (schema.body && !config.public)) codes.add(404)
  if (!config.public) codes.add(401).add(403)
  if (!config.public && config.permission !== 'signed_in') codes.add(409)
  if (schema.body) codes.add(413).add(415)
  if (route.method === 'POST') codes.add(409).add(422)
  if (route.method === 'PATCH' || route.method === 'DELETE') codes.add(409).add(412)
  const response: Record<string, unknown> = Object.fromEntries(
    Object.entries(schema.response ?? {}).map(([code, answer]) => [
      code,
      { 'x-response-description': STATUS_CODES[code], ...(answer as object) },
    ]),
  )
  for (const code of codes) response[code] ??= problemResponse(code)
  schema.response = response
  schema.security = config.public ? [] : [{ bearer: [] }]
  if (!config.public) schema['x-permission'] = config.permission
}

/** The documented answer of one error status. */
const problemResponse = (status: number) => ({
  description: STATUS_CODES[status],
  content: { [problemType]: { schema: { $ref: 'Problem#' } } },
})
