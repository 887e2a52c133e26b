import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { canonicalEmail } from '../../../lib/email.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { hashPassword, passwordFault } from '../../../lib/password.ts'
import { created, sendPage } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { mayAssign } from '../roles/rules.ts'
import { createUser, getUser, listUsers } from './queries.ts'
import { OrganizationUser, OrganizationUserCreate, OrganizationUserPage, OrganizationUserQuery } from './schemas.ts'

const tags = ['organizations']

/** The users of the active organisation. */
export const users: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [OrganizationUser, OrganizationUserPage, OrganizationUserCreate]) app.addSchema(model)

  app.get(
    '/users',
    {
      config: { permission: 'members:read' },
      schema: {
        operationId: 'listUsers',
        summary: 'List users',
        tags,
        querystring: OrganizationUserQuery,
        response: { 200: ref(OrganizationUserPage) },
      },
    },
    async (request, reply) => sendPage(request, reply, await listUsers(request.scope, request.query)),
  )

  app.get(
    '/users/:id',
    {
      config: { permission: 'members:read' },
      schema: {
        operationId: 'getUser',
        summary: 'Get a user',
        tags,
        params: IdParams,
        response: { 200: ref(OrganizationUser) },
      },
    },
    async (request) => getUser(request.scope, request.params.id),
  )

  app.post(
    '/users',
    {
      config: { permission: 'members:manage' },
      schema: {
        operationId: 'createUser',
        summary: 'Create a user with a role',
        tags,
        body: ref(OrganizationUserCreate),
        response: { 201: ref(OrganizationUser) },
      },
    },
    async (request, reply) => {
      const { password, role, full_name = null } = request.body
      if (!mayAssign(request.auth?.roles ?? [], role))
        throw new Problem('forbidden', 'Only an owner can make another owner.')
      const email = canonicalEmail(request.body.email)
      if (email === undefined) throw invalidField('/body/email', 'format', 'must be an e-mail address')
      const fault = passwordFault(password, app.config.auth.passwordComposition, [email])
      if (fault) throw invalidField('/body/password', 'password', fault)
      const password_hash = await hashPassword(password)
      const user = await request.once((scope) => createUser(scope, { email, password_hash, full_name, role }))
      return created(reply, `/api/v1/users/${user.id}`, user)
    },
  )
}
