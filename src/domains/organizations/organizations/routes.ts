import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { purgeOrganizations } from '../../../db/purge-organizations.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  restoreOrganization,
  updateOrganization,
} from './queries.ts'
import { callerOf } from './rules.ts'
import {
  Organization,
  OrganizationCreate,
  OrganizationPage,
  OrganizationQuery,
  OrganizationSummary,
  OrganizationUpdate,
  organizationModels,
} from './schemas.ts'

const tags = ['organizations']
const purgeEveryMs = 3_600_000
const signedIn = { permission: 'signed_in' }

/** The caller's own organisations: what he may do in each follows from his membership there. */
export const organizations: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [
    ...organizationModels,
    OrganizationSummary,
    OrganizationPage,
    OrganizationCreate,
    OrganizationUpdate,
  ])
    app.addSchema(model)
  app.every('purge organizations', purgeEveryMs, () => purgeOrganizations(app.pools.requests.db))

  app.get(
    '/organizations',
    {
      config: { ...signedIn, problems: [406] },
      schema: {
        operationId: 'listOrganizations',
        summary: "List one's own organisations",
        tags,
        querystring: OrganizationQuery,
        response: { 200: listAnswer(ref(OrganizationPage)) },
      },
    },
    async (request, reply) =>
      reply.sendList({
        subject: 'organization',
        model: OrganizationSummary,
        query: request.query,
        read: (scope, part) => listOrganizations(scope, callerOf(request), part),
      }),
  )

  app.post(
    '/organizations',
    {
      config: signedIn,
      schema: {
        operationId: 'createOrganization',
        summary: 'Create an organisation that one owns',
        tags,
        body: ref(OrganizationCreate),
        response: { 201: ref(Organization) },
      },
    },
    async (request, reply) => {
      const organization = await request.once((scope) => createOrganization(scope, callerOf(request), request.body))
      return created(reply, `/api/v1/organizations/${organization.id}`, organization)
    },
  )

  app.get(
    '/organizations/:id',
    {
      config: { ...signedIn, problems: [409] },
      schema: {
        operationId: 'getOrganization',
        summary: "Get one of one's own organisations",
        tags,
        params: IdParams,
        response: { 200: ref(Organization) },
      },
    },
    async (request, reply) => send(reply, await getOrganization(request.scope, callerOf(request), request.params.id)),
  )

  app.patch(
    '/organizations/:id',
    {
      config: { ...signedIn, problems: [422] },
      schema: {
        operationId: 'updateOrganization',
        summary: 'Change an organisation or its policy',
        tags,
        params: IdParams,
        body: ref(OrganizationUpdate),
        response: { 200: ref(Organization) },
      },
    },
    async (request, reply) => {
      const { scope, params, body } = request
      const organization = await updateOrganization(scope, callerOf(request), params.id, body, ifMatch(request))
      app.access.forget(`org:${params.id}`)
      return send(reply, organization)
    },
  )

  app.delete(
    '/organizations/:id',
    {
      config: { ...signedIn, stepUp: true },
      schema: {
        operationId: 'deleteOrganization',
        summary: 'Delete an organisation; an owner can restore it for 30 days',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteOrganization(request.scope, callerOf(request), request.params.id, ifMatch(request))
      app.access.forget(`org:${request.params.id}`)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/organizations/:id/restore',
    {
      config: signedIn,
      schema: {
        operationId: 'restoreOrganization',
        summary: 'Restore a deleted organisation',
        tags,
        params: IdParams,
        response: { 200: ref(Organization) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      return send(reply, await request.once((scope) => restoreOrganization(scope, callerOf(request), id)))
    },
  )
}
