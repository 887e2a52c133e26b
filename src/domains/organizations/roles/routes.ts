import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { createRole, deleteRole, getRole, listRoles, updateRole } from './queries.ts'
import { builtInRoles, granted, permissions, permissionTable } from './rules.ts'
import { Permission, PermissionPage, Role, RoleCreate, RolePage, RoleUpdate } from './schemas.ts'

const tags = ['organizations']
const read = { permission: 'members:read' }
const manage = { permission: 'roles:manage' }

const shared: Role[] = builtInRoles.map((name) => ({
  ...{ id: null, name, description: null, permissions: [...granted[name]], built_in: true },
  ...{ version: null, created_at: null, updated_at: null },
}))

const table = permissions.map((permission) => ({
  permission,
  description: permissionTable[permission],
  roles: builtInRoles.filter((role) => granted[role].includes(permission)),
}))

/** The roles that members of the active organisation can have. */
export const roles: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Role, RolePage, RoleCreate, RoleUpdate, Permission, PermissionPage]) app.addSchema(model)

  app.get(
    '/roles',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listRoles',
        summary: "List roles: those every organisation has, then the organisation's own",
        description: 'All on one page, as an organisation has a hundred of its own at most.',
        tags,
        response: { 200: listAnswer(ref(RolePage)) },
      },
    },
    async (_request, reply) =>
      reply.sendList({
        subject: 'role',
        model: Role,
        query: {},
        read: async (scope) => ({ data: [...shared, ...(await listRoles(scope))], next_cursor: null }),
      }),
  )

  app.get(
    '/roles/permissions',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listPermissions',
        summary: 'List every permission and the roles that give it',
        description: 'All on one page.',
        tags,
        response: { 200: listAnswer(ref(PermissionPage)) },
      },
    },
    async (_request, reply) =>
      reply.sendList({
        subject: 'permission',
        model: Permission,
        query: {},
        read: async () => ({ data: table, next_cursor: null }),
      }),
  )

  app.post(
    '/roles',
    {
      config: manage,
      schema: {
        operationId: 'createRole',
        summary: 'Create a role of permissions one has',
        tags,
        body: ref(RoleCreate),
        response: { 201: ref(Role) },
      },
    },
    async (request, reply) => {
      const { permissions: has } = request.auth!
      const role = await request.once((scope) => createRole(scope, request.body, has))
      return created(reply, `/api/v1/roles/${role.id}`, role)
    },
  )

  app.get(
    '/roles/:id',
    {
      config: read,
      schema: {
        operationId: 'getRole',
        summary: "Get one of the organisation's own roles",
        tags,
        params: IdParams,
        response: { 200: ref(Role) },
      },
    },
    async (request, reply) => send(reply, await getRole(request.scope, request.params.id)),
  )

  app.patch(
    '/roles/:id',
    {
      config: manage,
      schema: {
        operationId: 'updateRole',
        summary: 'Change what a role gives',
        tags,
        params: IdParams,
        body: ref(RoleUpdate),
        response: { 200: ref(Role) },
      },
    },
    async (request, reply) => {
      const { scope, params, body, auth } = request
      const role = await updateRole(scope, params.id, body, auth!.permissions, ifMatch(request))
      app.access.forget(`org:${scope.org_id}`)
      return send(reply, role)
    },
  )

  app.delete(
    '/roles/:id',
    {
      config: manage,
      schema: {
        operationId: 'deleteRole',
        summary: 'Delete a role that nobody has',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteRole(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
