import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ifMatch } from '../../../lib/reply.ts'
import { ref } from '../../../lib/schema.ts'
import { User } from '../auth/schemas.ts'
import { getMe, updateUser } from './queries.ts'
import { ActiveOrganization, Me, UserUpdate } from './schemas.ts'

const tags = ['identity']

/** Each path, and the ids of its two operations. */
const paths = [
  ['/auth/me', 'getMe', 'updateMe'],
  ['/users/me', 'getOwnUser', 'updateOwnUser'],
] as const

/** Who one is, and one's own profile. */
export const me: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [User, ActiveOrganization, Me, UserUpdate]) app.addSchema(model)

  const show = async (request: FastifyRequest, reply: FastifyReply): Promise<Me> => {
    const { user_id, roles, permissions, session_id, impersonator_id } = request.auth!
    const found = await getMe(request.scope, user_id)
    reply.header('etag', `"${found.user.version}"`)
    const may = { roles: [...roles], permissions: [...permissions] }
    return { ...found, ...may, session_id, impersonated_by: impersonator_id }
  }

  for (const [path, getId, updateId] of paths) {
    app.get(
      path,
      {
        config: { permission: 'signed_in', unverified: true, apiKeys: true },
        schema: {
          operationId: getId,
          summary: 'The signed-in user, the active organisation, roles and permissions',
          tags,
          response: { 200: ref(Me) },
        },
      },
      show,
    )

    app.patch(
      path,
      {
        config: { permission: 'signed_in', unverified: true },
        schema: {
          operationId: updateId,
          summary: 'Change one’s own name, username or language',
          tags,
          body: ref(UserUpdate),
          response: { 200: ref(Me) },
        },
      },
      async (request, reply) => {
        const { username, ...rest } = request.body
        const patch = { ...rest, ...(username !== undefined && { username: username?.toLowerCase() ?? null }) }
        await updateUser(request.scope, request.auth!.user_id, patch, ifMatch(request))
        return show(request, reply)
      },
    )
  }
}
