import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { BuiltInRoles } from '../../../db/roles.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { BulkResult } from '../../../lib/bulk.ts'
import { requiredEmail } from '../../../lib/email.ts'
import { invalidField } from '../../../lib/errors.ts'
import { assertPassword, hashPassword } from '../../../lib/password.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { platformScope } from '../shared/queries.ts'
import {
  bulkUsers,
  createUser,
  deleteUser,
  getUser,
  grantSuperuser,
  listUsers,
  restoreUser,
  revokeSuperuser,
  suspendUser,
  updateUser,
} from './queries.ts'
import {
  PlatformUser,
  PlatformUserBulk,
  PlatformUserCreate,
  PlatformUserPage,
  PlatformUserQuery,
  PlatformUserSummary,
  PlatformUserUpdate,
} from './schemas.ts'

const tags = ['platform']
const config = { permission: platformPermission }
/** For what lets somebody in for good, and what cannot be undone. */
const proven = { ...config, stepUp: true } as const

type Options = { builtInRoles: BuiltInRoles }

/** What can be done to an account, beside reading and changing its profile. */
const actions = [
  {
    path: 'suspend',
    run: suspendUser,
    operationId: 'suspendPlatformUser',
    summary: 'Suspend a user and end his sessions',
  },
  { path: 'restore', run: restoreUser, operationId: 'restorePlatformUser', summary: 'Let a suspended user in again' },
  {
    path: 'grant-superuser',
    run: grantSuperuser,
    operationId: 'grantSuperuser',
    summary: 'Make a user a superuser',
    stepUp: true,
  },
  {
    path: 'revoke-superuser',
    run: revokeSuperuser,
    operationId: 'revokeSuperuser',
    summary: 'Take the rights of a superuser from another one',
    stepUp: true,
  },
] as const

/** Every account there is, for superusers. */
export const platformUsers: FastifyPluginAsyncTypebox<Options> = async (app, { builtInRoles }) => {
  for (const model of [
    PlatformUserSummary,
    PlatformUser,
    PlatformUserPage,
    PlatformUserCreate,
    PlatformUserUpdate,
    PlatformUserBulk,
    BulkResult,
  ])
    app.addSchema(model)

  app.get(
    '/platform/users',
    {
      config: { ...config, problems: [406] },
      schema: {
        operationId: 'listPlatformUsers',
        summary: 'List all users',
        tags,
        querystring: PlatformUserQuery,
        response: { 200: listAnswer(ref(PlatformUserPage)) },
      },
    },
    async ({ scope, query }, reply) =>
      reply.sendList({
        ...{ scope: platformScope(scope), subject: 'user', model: PlatformUserSummary, query },
        read: listUsers,
      }),
  )

  app.post(
    '/platform/users',
    {
      config: proven,
      schema: {
        operationId: 'createPlatformUser',
        summary: 'Create a user, in an organisation or in none',
        tags,
        body: ref(PlatformUserCreate),
        response: { 201: ref(PlatformUser) },
      },
    },
    async (request, reply) => {
      const account = await newUser(request.body, app.config.auth.passwordComposition)
      const user = await request.once((scope) => createUser(scope, account, builtInRoles))
      return created(reply, `/api/v1/platform/users/${user.id}`, user)
    },
  )

  app.post(
    '/platform/users/bulk',
    {
      config: proven,
      schema: {
        operationId: 'bulkUpdatePlatformUsers',
        summary: 'Suspend, restore or delete many users',
        tags,
        body: ref(PlatformUserBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request, reply) => {
      const result = await request.once((scope) => bulkUsers(scope, request.body))
      app.access.clear()
      return reply.code(200).send(result)
    },
  )

  app.get(
    '/platform/users/:id',
    {
      config,
      schema: {
        operationId: 'getPlatformUser',
        summary: 'Get a user and his memberships',
        tags,
        params: IdParams,
        response: { 200: ref(PlatformUser) },
      },
    },
    async (request, reply) => send(reply, await getUser(request.scope, request.params.id)),
  )

  app.patch(
    '/platform/users/:id',
    {
      config,
      schema: {
        operationId: 'updatePlatformUser',
        summary: 'Change the profile of a user',
        tags,
        params: IdParams,
        body: ref(PlatformUserUpdate),
        response: { 200: ref(PlatformUser) },
      },
    },
    async (request, reply) => {
      const { username, ...patch } = request.body
      const lower = username === undefined ? {} : { username: username?.toLowerCase() ?? null }
      return send(reply, await updateUser(request.scope, request.params.id, { ...patch, ...lower }, ifMatch(request)))
    },
  )

  app.delete(
    '/platform/users/:id',
    {
      config: proven,
      schema: {
        operationId: 'deletePlatformUser',
        summary: 'Delete a user for good',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await deleteUser(request.scope, id, ifMatch(request))
      app.access.forget(`user:${id}`)
      return reply.code(204).send(null)
    },
  )

  for (const { path, run, ...action } of actions)
    app.post(
      `/platform/users/:id/${path}`,
      {
        config: 'stepUp' in action ? proven : config,
        schema: {
          operationId: action.operationId,
          summary: action.summary,
          tags,
          params: IdParams,
          response: { 200: ref(PlatformUser) },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const user = await request.once((scope: TenantScope) => run(scope, id))
        app.access.forget(`user:${id}`)
        return send(reply, user)
      },
    )
}

/** Checks what the schema cannot, and hashes the password. */
async function newUser(body: PlatformUserCreate, composition: boolean) {
  const { password, username, full_name = null, organization_id, roles } = body
  const email = requiredEmail(body.email)
  if (roles !== undefined && organization_id === undefined)
    throw invalidField('/body/roles', 'organization', 'needs an organization_id')
  assertPassword(password, composition, [email, username])
  const password_hash = await hashPassword(password)
  const lower = username?.toLowerCase() ?? null
  return { email, username: lower, full_name, password_hash, organization_id, roles: roles ?? ['member'] }
}
