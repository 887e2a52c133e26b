import { STATUS_CODES } from 'node:http'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../lib/errors.ts'
import type { Auth } from './access-cache.ts'
import { problemType } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What each operation asks of its caller, by its id; `reads` where it changes nothing. */
    operations: Map<string, FastifyContextConfig & { reads: boolean }>
  }
  interface FastifyRequest {
    /**
     * Asks the route's guard once more, for requests that last: why it would turn the caller away by now, if so.
     * @param begun what was begun with an access token may be ended after it has expired
     */
    recheck(begun?: boolean): Promise<Problem | undefined>
  }
  interface FastifyContextConfig {
    /** The permission a credential needs, or `signed_in` for whoever is signed in. */
    permission?: string
    /** Open to everybody. */
    public?: true
    /** Works also while the address is to be verified or the second factor to be set up: the way to do so. */
    unverified?: true
    /** `signed_in` asks for a session; API keys may call such a route where it says so. */
    apiKeys?: true
    /** The path parameter that may name the caller himself: he then needs no permission. */
    self?: string
    /** The session must have proved itself again just now, by POST /auth/step-up. */
    stepUp?: true
    /** A change of what is one's own (`signed_in`) that a superuser who acts as the user may make, too. */
    impersonated?: true
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
    app.decorate('operations', new Map())
    app.addHook('onRoute', (route) => {
      const config = route.config ?? {}
      const { operationId } = (route.schema ?? {}) as { operationId?: string }
      if ((config.public === true) === (config.permission !== undefined))
        throw new Error(`${route.method} ${route.url} must state either config.permission or config.public`)
      document(route)
      const asked = { ...config, reads: reads(String(route.method)) }
      if (operationId !== undefined) app.operations.set(operationId, asked)
      if (config.public) return
      const guard = guardFor(asked as Guard)
      route.onRequest = [...[route.onRequest ?? []].flat(), guard]
    })
    app.decorateRequest('recheck', async function recheck(this: FastifyRequest, begun = false) {
      const { config } = this.routeOptions
      if (config.public) return undefined
      const found = await this.reidentify(begun)
      const judged = found instanceof Problem ? { auth: null, authProblem: found } : { auth: found, authProblem: null }
      const { ip, params } = this
      return refusalOf({ ...(config as unknown as Guard), reads: reads(this.method) }, { ...judged, ip, params })
    })
  },
  { name: 'authorize', dependencies: ['auth'] },
)

const reads = (method: string) => /^(GET|HEAD)$/.test(method)

export type Guard = {
  permission: string
  unverified?: true
  apiKeys?: true
  self?: string
  stepUp?: true
  impersonated?: true
  reads: boolean
}
type Guarded = { auth: Auth | null; authProblem: Problem | null; ip: string; params: unknown }

const guardFor = (guard: Guard) => (request: Guarded, _reply: unknown, done: (error?: Error) => void) =>
  done(refusalOf(guard, request))

/** Why the guard turns this request away; undefined where it lets it in. */
export function refusalOf(guard: Guard, { auth, authProblem, ip, params }: Guarded): Problem | undefined {
  if (auth === null) return authProblem ?? unauthenticated()
  return conditionUnmet(guard, auth, ip) ?? permissionMissing(guard, auth, params) ?? proofMissing(guard, auth)
}

/** What the service and the organisation ask of every credential before they look at what it may do. */
function conditionUnmet({ unverified, permission }: Guard, auth: Auth, ip: string): Problem | undefined {
  if (unverified && auth.api_key_id === null) return undefined
  if (!auth.verified)
    return new Problem('email_unverified', 'Verify your e-mail address first; until then only /auth routes answer.')
  return permission === platformPermission ? undefined : policyUnmet(auth, ip)
}

/** What an organisation's policy asks of a credential and its address. */
export function policyUnmet(auth: Pick<Auth, 'admits' | 'lacks_factor'>, ip: string): Problem | undefined {
  if (auth.admits?.(ip) === false)
    return new Problem('ip_not_allowed', `Your address ${ip} is not among those that may use this.`)
  if (auth.lacks_factor)
    return new Problem(
      'mfa_required',
      'This organisation asks for a second factor: set one up at POST /api/v1/auth/totp, then sign in with it.',
    )
  return undefined
}

function permissionMissing(guard: Guard, auth: Auth, params: unknown): Problem | undefined {
  const { permission, apiKeys, self } = guard
  if (permission === 'signed_in') {
    if (auth.api_key_id !== null && !apiKeys)
      return new Problem('forbidden', 'This needs a signed-in user; an API key cannot do it.')
    return inPersonOnly(guard, auth) ? actsForAnother() : undefined
  }
  const own = self !== undefined && (params as Record<string, string>)[self] === auth.user_id
  if (own && inPersonOnly(guard, auth)) return actsForAnother()
  if (auth.permissions.has(permission) || (own && auth.api_key_id === null)) return undefined
  return auth.org_id === null && permission !== platformPermission
    ? new Problem('no_active_organization', 'No organisation is active in this session; switch to one first.')
    : new Problem('forbidden', `This needs the permission ${permission}, which none of your roles gives.`)
}

/** Who acts as a user, or a key of his, does what his roles allow, and changes nothing that is the user's own. */
const inPersonOnly = ({ reads, impersonated }: Guard, auth: Auth) =>
  (auth.impersonator_id !== null || auth.api_key_id !== null) && !reads && !impersonated

const actsForAnother = () => new Problem('forbidden', 'Only the user himself can do this, not who acts in his name.')

function proofMissing({ stepUp }: Guard, auth: Auth): Problem | undefined {
  if (!stepUp) return undefined
  if (auth.api_key_id !== null) return new Problem('forbidden', 'This needs a signed-in user; an API key cannot do it.')
  if (auth.impersonator_id !== null) return actsForAnother()
  return auth.stepped_up_until > performance.now() ? undefined : stepUpRequired()
}

export const stepUpRequired = () =>
  new Problem(
    'step_up_required',
    'Prove who you are again first: POST /api/v1/auth/step-up with your password or a code.',
  )

/** What a superuser's own session may do, and no role or key. */
export const platformPermission = 'platform:manage'

const unauthenticated = () =>
  new Problem('unauthenticated', 'Send Authorization: Bearer <access token>; POST /api/v1/auth/login gives one.')

/** Adds what the guard makes true of the route to its schema: security and the problems it can answer. */
function document(route: RouteOptions) {
  const schema = route.schema as (Record<string, unknown> & { response?: Record<string, unknown> }) | undefined
  if (!schema || schema.hide) return
  const { config = {} } = route
  const codes = new Set([400, 500, 503, ...(config.problems ?? [])])
  if (!config.unlimited) codes.add(429)
  if (schema.params || (schema.body && !config.public)) codes.add(404)
  if (!config.public) codes.add(401).add(403)
  if (!config.public && config.permission !== 'signed_in') codes.add(409)
  if (schema.body) codes.add(413).add(415)
  if (route.method === 'POST') codes.add(409).add(422)
  if (route.method === 'PATCH' || route.method === 'DELETE') codes.add(409)
  const response = { ...schema.response }
  for (const code of codes) response[code] ??= problemResponse(code)
  schema.response = response
  // A GET shares its schema with the HEAD that goes with it.
  if (schema.security === undefined)
    schema.description = [schema.description, whoMay(config)].filter(Boolean).join('\n\n')
  schema.security = config.public ? [] : [{ bearer: [] }, { oauth2: [] }]
  if (config.public) return
  schema['x-permission'] = config.permission
  if (config.apiKeys) schema['x-api-keys'] = true
  if (config.self) schema['x-self'] = config.self
  if (config.stepUp) schema['x-step-up'] = true
  if (config.impersonated) schema['x-impersonated'] = true
}

/** What the guard asks, in words. */
function whoMay({ permission, public: open, self, stepUp, apiKeys }: FastifyContextConfig): string {
  if (open) return 'Open to everybody.'
  const proof = stepUp ? ' It takes a step-up (`POST /api/v1/auth/step-up`).' : ''
  if (permission === platformPermission) return `For superusers.${proof}`
  if (permission === 'signed_in') return `For whoever is signed in${apiKeys ? ', and for API keys' : ''}.${proof}`
  return `Needs the permission \`${permission}\`${self ? ', except for oneself' : ''}.${proof}`
}

/** The documented answer of one error status. */
const problemResponse = (status: number) => ({
  description: STATUS_CODES[status],
  content: { [problemType]: { schema: { $ref: 'Problem#' } } },
})
