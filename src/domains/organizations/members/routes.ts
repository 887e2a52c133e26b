import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { addMember, getMember, listMembers, removeMember, updateMember, updateMembers } from './queries.ts'
import { Member, MemberBulk, MemberCreate, MemberPage, MemberQuery, MemberRoles, MemberUpdate } from './schemas.ts'

const tags = ['organizations']
const read = { permission: 'members:read' }
const manage = { permission: 'members:manage' }

/** Who belongs to the active organisation, and as what. */
export const members: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Member, MemberPage, MemberCreate, MemberUpdate, MemberRoles, MemberBulk, BulkResult])
    app.addSchema(model)

  app.get(
    '/members',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listMembers',
        summary: 'List members',
        tags,
        querystring: MemberQuery,
        response: { 200: listAnswer(ref(MemberPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'member', model: Member, query, read: listMembers }),
  )

  app.post(
    '/members',
    {
      config: manage,
      schema: {
        operationId: 'addMember',
        summary: 'Add an account that you manage in another organisation; others are invited',
        tags,
        body: ref(MemberCreate),
        response: { 201: ref(Member) },
      },
    },
    async (request, reply) => {
      const member = await request.once((scope) => addMember(scope, request.auth!, request.body))
      app.access.forget(`user:${member.user_id}`)
      return created(reply, `/api/v1/members/${member.id}`, member)
    },
  )

  app.post(
    '/members/bulk',
    {
      config: manage,
      schema: {
        operationId: 'bulkUpdateMembers',
        summary: 'Change the roles of many members',
        tags,
        body: ref(MemberBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => {
      const result = await request.once((scope) => updateMembers(scope, request.auth!, request.body))
      app.access.forget(`org:${request.scope.org_id}`)
      return result
    },
  )

  app.get(
    '/members/:id',
    {
      config: read,
      schema: {
        operationId: 'getMember',
        summary: 'Get a member',
        tags,
        params: IdParams,
        response: { 200: ref(Member) },
      },
    },
    async (request, reply) => send(reply, await getMember(request.scope, request.params.id)),
  )

  app.patch(
    '/members/:id',
    {
      config: manage,
      schema: {
        operationId: 'updateMember',
        summary: 'Change the roles of a member, deactivate or reactivate him',
        tags,
        params: IdParams,
        body: ref(MemberUpdate),
        response: { 200: ref(Member) },
      },
    },
    async (request, reply) => {
      const { scope, auth, params, body } = request
      const member = await updateMember(scope, auth!, params.id, body, ifMatch(request))
      app.access.forget(`user:${member.user_id}`)
      return send(reply, member)
    },
  )

  app.delete(
    '/members/:id',
    {
      config: manage,
      schema: {
        operationId: 'removeMember',
        summary: 'Remove a member; his account stays',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const userId = await removeMember(request.scope, request.auth!, request.params.id, ifMatch(request))
      app.access.forget(`user:${userId}`)
      return reply.code(204).send(null)
    },
  )
}
