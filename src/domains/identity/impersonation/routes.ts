import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { created } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { impersonate } from './queries.ts'
import { type Impersonation, ImpersonationCreate, Impersonation as ImpersonationModel } from './schemas.ts'

/** A superuser acts as a user, for a while and for all to see. */
export const impersonation: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [ImpersonationCreate, ImpersonationModel]) app.addSchema(model)

  app.post(
    '/platform/users/:id/impersonate',
    {
      config: { permission: platformPermission, stepUp: true },
      schema: {
        operationId: 'impersonateUser',
        summary: 'Act as a user for a while',
        description: 'Every answer to the token names you in X-Impersonated-By, and so does every audit event.',
        tags: ['platform'],
        params: IdParams,
        body: ref(ImpersonationCreate),
        response: { 201: ref(ImpersonationModel) },
      },
    },
    async (request, reply) => {
      const { minutes = 15 } = request.body
      const made = await request.once(async (scope): Promise<Impersonation> => {
        const { id, user_id, org_id, ends_at } = await impersonate(scope, request.params.id, {
          ...request.body,
          minutes,
        })
        const expires_in = minutes * 60
        const access_token = app.signAccessToken({ id, user_id, org_id }, expires_in)
        return {
          access_token,
          token_type: 'bearer',
          expires_in,
          session_id: id,
          user_id,
          organization_id: org_id,
          ends_at,
        }
      })
      return created(reply, '/api/v1/auth/me', made)
    },
  )
}
