import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { requiredEmail, withContact } from '../../../lib/email.ts'
import { invalidField } from '../../../lib/errors.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { platformScope } from '../shared/queries.ts'
import {
  bulkOrganizations,
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  restoreOrganization,
  suspendOrganization,
  updateOrganization,
} from './queries.ts'
import {
  PlatformOrganization,
  PlatformOrganizationBulk,
  PlatformOrganizationCreate,
  PlatformOrganizationPage,
  PlatformOrganizationQuery,
  PlatformOrganizationSummary,
  PlatformOrganizationUpdate,
} from './schemas.ts'

const tags = ['platform']
const config = { permission: platformPermission }

const actions = [
  {
    path: 'suspend',
    run: suspendOrganization,
    operationId: 'suspendPlatformOrganization',
    summary: 'Suspend an organisation: its sessions and keys stop at once',
  },
  {
    path: 'restore',
    run: restoreOrganization,
    operationId: 'restorePlatformOrganization',
    summary: 'Bring back a suspended or deleted organisation',
  },
] as const

/** Every organisation there is, for superusers. */
export const platformOrganizations: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [
    PlatformOrganizationSummary,
    PlatformOrganization,
    PlatformOrganizationPage,
    PlatformOrganizationCreate,
    PlatformOrganizationUpdate,
    PlatformOrganizationBulk,
    BulkResult,
  ])
    app.addSchema(model)

  app.get(
    '/platform/organizations',
    {
      config: { ...config, problems: [406] },
      schema: {
        operationId: 'listPlatformOrganizations',
        summary: 'List all organisations',
        tags,
        querystring: PlatformOrganizationQuery,
        response: { 200: listAnswer(ref(PlatformOrganizationPage)) },
      },
    },
    async ({ scope, query }, reply) =>
      reply.sendList({
        ...{ scope: platformScope(scope), subject: 'organization', model: PlatformOrganizationSummary, query },
        read: listOrganizations,
      }),
  )

  app.post(
    '/platform/organizations',
    {
      config,
      schema: {
        operationId: 'createPlatformOrganization',
        summary: 'Create an organisation for an owner',
        tags,
        body: ref(PlatformOrganizationCreate),
        response: { 201: ref(PlatformOrganization) },
      },
    },
    async (request, reply) => {
      const { body } = request
      if (body.owner_id !== undefined && body.owner_email !== undefined)
        throw invalidField('/body/owner_email', 'exclusive', 'must be left out where owner_id is given')
      const fields = withContact(body)
      const ownerEmail = body.owner_email && requiredEmail(body.owner_email, '/body/owner_email')
      const organization = await request.once((scope) => createOrganization(scope, fields, ownerEmail))
      return created(reply, `/api/v1/platform/organizations/${organization.id}`, organization)
    },
  )

  app.post(
    '/platform/organizations/bulk',
    {
      config,
      schema: {
        operationId: 'bulkUpdatePlatformOrganizations',
        summary: 'Suspend, restore or delete many organisations',
        tags,
        body: ref(PlatformOrganizationBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => {
      const result = await request.once((scope) => bulkOrganizations(scope, request.body))
      app.access.clear()
      return result
    },
  )

  app.get(
    '/platform/organizations/:id',
    {
      config,
      schema: {
        operationId: 'getPlatformOrganization',
        summary: 'Get an organisation and how large it is',
        tags,
        params: IdParams,
        response: { 200: ref(PlatformOrganization) },
      },
    },
    async (request, reply) => send(reply, await getOrganization(request.scope, request.params.id)),
  )

  app.patch(
    '/platform/organizations/:id',
    {
      config,
      schema: {
        operationId: 'updatePlatformOrganization',
        summary: 'Change the name, code or contact of an organisation',
        tags,
        params: IdParams,
        body: ref(PlatformOrganizationUpdate),
        response: { 200: ref(PlatformOrganization) },
      },
    },
    async (request, reply) => {
      const { body, params, scope } = request
      return send(reply, await updateOrganization(scope, params.id, withContact(body), ifMatch(request)))
    },
  )

  app.delete(
    '/platform/organizations/:id',
    {
      config,
      schema: {
        operationId: 'deletePlatformOrganization',
        summary: 'Close an organisation; it is gone 30 days later',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Closed' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await deleteOrganization(request.scope, id, ifMatch(request))
      app.access.forget(`org:${id}`)
      return reply.code(204).send(null)
    },
  )

  for (const { path, run, operationId, summary } of actions)
    app.post(
      `/platform/organizations/:id/${path}`,
      {
        config,
        schema: { operationId, summary, tags, params: IdParams, response: { 200: ref(PlatformOrganization) } },
      },
      async (request, reply) => {
        const { id } = request.params
        const organization = await request.once((scope) => run(scope, id))
        app.access.forget(`org:${id}`)
        return send(reply, organization)
      },
    )
}
