import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { TenantScope } from '../../../db/scope.ts'
import { BulkResult } from '../../../lib/bulk.ts'
import { assertPassword, hashPassword } from '../../../lib/password.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { callerLimit } from '../../../plugins/rate-limit.ts'
import { admittedEmail, requireGrant } from '../members/queries.ts'
import { changeUsers, createUser, deleteUser, getUser, listUsers, type UserPatch, updateUser } from './queries.ts'
import {
  OrganizationUser,
  OrganizationUserCreate,
  OrganizationUserPage,
  OrganizationUserQuery,
  OrganizationUserUpdate,
  UserBulk,
  UserChange,
} from './schemas.ts'

const models = [
  OrganizationUser,
  OrganizationUserPage,
  OrganizationUserCreate,
  OrganizationUserUpdate,
  UserChange,
  UserBulk,
  BulkResult,
]
const tags = ['organizations']

/** The users of the active organisation. */
export const users: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of models) app.addSchema(model)
  // It tells whether an address has an account, so it is limited as guessing is.
  const rateLimit = callerLimit(app.config.http.rateLimitAuthMax)
  const { passwordComposition, requireVerifiedEmail } = app.config.auth

  const hashed = (password: string, own: (string | undefined)[]) => {
    assertPassword(password, passwordComposition, own)
    return hashPassword(password)
  }

  const patchOf = async (scope: TenantScope, id: string, body: OrganizationUserUpdate): Promise<UserPatch> => {
    const { password, roles, is_active, ...profile } = body
    if (profile.username) profile.username = profile.username.toLowerCase()
    const membership = { ...(roles && { roles }), ...(is_active !== undefined && { is_active }) }
    if (password === undefined) return { profile, membership }
    const { email, username } = await getUser(scope, id)
    return {
      profile,
      membership,
      password_hash: await hashed(password, [email, profile.username ?? username ?? undefined]),
    }
  }

  app.get(
    '/users',
    {
      config: { permission: 'members:read', problems: [406] },
      schema: {
        operationId: 'listUsers',
        summary: 'List users',
        tags,
        querystring: OrganizationUserQuery,
        response: { 200: listAnswer(ref(OrganizationUserPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'user', model: OrganizationUser, query, read: listUsers }),
  )

  app.get(
    '/users/:id',
    {
      config: { permission: 'members:read', self: 'id' },
      schema: {
        operationId: 'getUser',
        summary: 'Get a user',
        tags,
        params: IdParams,
        response: { 200: ref(OrganizationUser) },
      },
    },
    async (request, reply) => send(reply, await getUser(request.scope, request.params.id)),
  )

  app.post(
    '/users',
    {
      config: { permission: 'members:manage', rateLimit },
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
      const username = request.body.username?.toLowerCase()
      await requireGrant(request.scope, request.auth!, [role], '/body/role')
      const email = await admittedEmail(request.scope, request.body.email)
      const password_hash = await hashed(password, [email, username])
      const account = { email, username: username ?? null, full_name, password_hash, role }
      const user = await request.once((scope) => createUser(scope, account, requireVerifiedEmail))
      return created(reply, `/api/v1/users/${user.id}`, user)
    },
  )

  app.post(
    '/users/bulk',
    {
      config: { permission: 'members:manage' },
      schema: {
        operationId: 'bulkChangeUsers',
        summary: 'Activate, deactivate, delete or give roles to many users',
        tags,
        body: ref(UserBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => {
      const result = await request.once((scope) => changeUsers(scope, request.auth!, request.body))
      app.access.forget(`org:${request.scope.org_id}`)
      return result
    },
  )

  app.patch(
    '/users/:id',
    {
      config: { permission: 'members:manage', self: 'id' },
      schema: {
        operationId: 'updateUser',
        summary: "Change one's own profile, or a user one manages",
        tags,
        params: IdParams,
        body: ref(OrganizationUserUpdate),
        response: { 200: ref(OrganizationUser) },
      },
    },
    async (request, reply) => {
      const { scope, auth, params, body } = request
      const user = await updateUser(scope, auth!, params.id, await patchOf(scope, params.id, body), ifMatch(request))
      app.access.forget(`user:${user.id}`)
      return send(reply, user)
    },
  )

  app.delete(
    '/users/:id',
    {
      config: { permission: 'members:manage' },
      schema: {
        operationId: 'deleteUser',
        summary: 'Delete a user whose account the organisation manages; remove another one',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Gone from this organisation' }) },
      },
    },
    async (request, reply) => {
      await deleteUser(request.scope, request.auth!, request.params.id, ifMatch(request))
      app.access.forget(`user:${request.params.id}`)
      return reply.code(204).send(null)
    },
  )
}
