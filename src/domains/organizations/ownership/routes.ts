import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { callerOf } from '../organizations/rules.ts'
import { Organization, organizationModels } from '../organizations/schemas.ts'
import { leaveOrganization, transferOwnership } from './queries.ts'
import { OwnershipTransfer } from './schemas.ts'

const tags = ['organizations']

/** Giving up an organisation: its membership, or its ownership. */
export const ownership: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [...organizationModels, OwnershipTransfer]) app.addSchema(model)

  app.post(
    '/organizations/:id/leave',
    {
      config: { permission: 'signed_in' },
      schema: {
        operationId: 'leaveOrganization',
        summary: 'Leave an organisation',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Left' }) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      await request.once((scope) => leaveOrganization(scope, caller, request.params.id))
      app.access.forget(`user:${caller.user_id}`)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/organizations/:id/transfer',
    {
      config: { permission: 'signed_in', stepUp: true },
      schema: {
        operationId: 'transferOrganization',
        summary: 'Make another member the owner, and oneself an administrator',
        tags,
        params: IdParams,
        body: ref(OwnershipTransfer),
        response: { 200: ref(Organization) },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const organization = await request.once((scope) =>
        transferOwnership(scope, callerOf(request), params.id, body.user_id),
      )
      app.access.forget(`org:${params.id}`)
      return send(reply, organization)
    },
  )
}
