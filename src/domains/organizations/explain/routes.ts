import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { notFound, Problem } from '../../../lib/errors.ts'
import { ref } from '../../../lib/schema.ts'
import type { Auth } from '../../../plugins/access-cache.ts'
import { type Guard, refusalOf } from '../../../plugins/authorize.ts'
import { findMember, getKey } from './queries.ts'
import { guardOf, obstacleOf, reasonsFor, verdict } from './rules.ts'
import { Explanation, ExplanationQuery } from './schemas.ts'

/** Why somebody may do something, or may not. */
export const explain: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(Explanation)

  app.get(
    '/authz/explain',
    {
      config: { permission: 'signed_in', apiKeys: true, problems: [404] },
      schema: {
        operationId: 'explainAccess',
        summary: 'Say which rule allows or denies an action',
        tags: ['organizations'],
        querystring: ExplanationQuery,
        response: { 200: ref(Explanation) },
      },
    },
    async (request) => {
      const { action, user_id = request.auth!.user_id } = request.query
      const config = guardOf(action, app.operations)
      const own = user_id === request.auth!.user_id
      const judged = own ? await judgeOwn(request, config) : await judgeMember(request, config, user_id)
      return { action, user_id, organization_id: request.auth!.org_id, ...judged }
    },
  )

  /** By the guard itself, so that the explanation is what would happen. */
  async function judgeOwn(request: FastifyRequest, config: FastifyContextConfig) {
    const { scope, ip } = request
    const { user_id, api_key_id, is_superuser } = request.auth as Auth
    const { roles = [], custom = [] } = (await findMember(scope, user_id)) ?? {}
    const key = api_key_id === null ? undefined : await getKey(scope, api_key_id)
    const reasons = reasonsFor(config.permission, { roles, custom, is_superuser, ...(key && { key }) })
    const asked = { auth: request.auth, authProblem: null, ip, params: {} }
    const refusal = config.public ? undefined : refusalOf(config as Guard, asked)
    return verdict(config, reasons, refusal && { name: refusal.code, message: refusal.message })
  }

  async function judgeMember(request: FastifyRequest, config: FastifyContextConfig, userId: string) {
    const { permissions, api_key_id } = request.auth as Auth
    if (api_key_id !== null) throw new Problem('forbidden', 'An API key may ask about itself only; leave user_id out.')
    if (!permissions.has('members:read'))
      throw new Problem('forbidden', 'To ask about somebody else you need the permission members:read.')
    const member = await findMember(request.scope, userId)
    if (member === undefined) throw notFound()
    const reasons = reasonsFor(config.permission, member)
    const { requireVerifiedEmail } = app.config.auth
    return verdict(config, reasons, obstacleOf(config, reasons, member, requireVerifiedEmail))
  }
}
