import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { created, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { authLimit, callerLimit } from '../../../plugins/rate-limit.ts'
import {
  accept,
  cancelInvitation,
  createInvitation,
  createInvitations,
  decline,
  getInvitation,
  listInvitations,
  purgeInvitations,
  resendInvitation,
} from './queries.ts'
import {
  Invitation,
  InvitationAccepted,
  InvitationBulk,
  InvitationCreate,
  InvitationPage,
  InvitationQuery,
  InvitationToken,
} from './schemas.ts'

const tags = ['organizations']
const read = { permission: 'members:read' }
const manage = { permission: 'members:manage' }
const purgeEveryMs = 3_600_000

/** Who was asked to join the active organisation. */
export const invitations: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Invitation, InvitationPage, InvitationCreate, InvitationBulk, BulkResult]) app.addSchema(model)
  const rateLimit = callerLimit(app.config.http.rateLimitAuthMax)
  const mailing = { ...manage, rateLimit }

  app.get(
    '/invitations',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listInvitations',
        summary: 'List invitations',
        tags,
        querystring: InvitationQuery,
        response: { 200: listAnswer(ref(InvitationPage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'invitation', model: Invitation, query, read: listInvitations }),
  )

  app.post(
    '/invitations',
    {
      config: mailing,
      schema: {
        operationId: 'createInvitation',
        summary: 'Invite an address to the organisation',
        tags,
        body: ref(InvitationCreate),
        response: { 201: ref(Invitation) },
      },
    },
    async (request, reply) => {
      const invitation = await request.once((scope) => createInvitation(scope, request.auth!, request.body))
      return created(reply, `/api/v1/invitations/${invitation.id}`, invitation)
    },
  )

  app.post(
    '/invitations/bulk',
    {
      config: mailing,
      schema: {
        operationId: 'bulkCreateInvitations',
        summary: 'Invite many addresses',
        tags,
        body: ref(InvitationBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => request.once((scope) => createInvitations(scope, request.auth!, request.body)),
  )

  app.get(
    '/invitations/:id',
    {
      config: read,
      schema: {
        operationId: 'getInvitation',
        summary: 'Get an invitation',
        tags,
        params: IdParams,
        response: { 200: ref(Invitation) },
      },
    },
    async (request, reply) => send(reply, await getInvitation(request.scope, request.params.id)),
  )

  app.post(
    '/invitations/:id/resend',
    {
      config: mailing,
      schema: {
        operationId: 'resendInvitation',
        summary: 'Mail a new link; older ones end',
        tags,
        params: IdParams,
        response: { 200: ref(Invitation) },
      },
    },
    async (request, reply) =>
      send(reply, await request.once((scope) => resendInvitation(scope, request.auth!, request.params.id))),
  )

  app.post(
    '/invitations/:id/cancel',
    {
      config: manage,
      schema: {
        operationId: 'cancelInvitation',
        summary: 'Cancel an invitation and its link',
        tags,
        params: IdParams,
        response: { 200: ref(Invitation) },
      },
    },
    async (request, reply) => send(reply, await request.once((scope) => cancelInvitation(scope, request.params.id))),
  )

  app.every('purge invitations', purgeEveryMs, () => purgeInvitations(app.pools.requests.db))
}

/** What the invited do with the link they were mailed, members of an organisation or not yet. */
export const invitationAnswers: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [InvitationToken, InvitationAccepted]) app.addSchema(model)
  const rateLimit = authLimit(app)

  app.post(
    '/invitations/accept',
    {
      config: { permission: 'signed_in', unverified: true, rateLimit },
      schema: {
        operationId: 'acceptInvitation',
        summary: 'Join the organisation that the mailed link is from',
        tags,
        body: ref(InvitationToken),
        response: { 200: ref(InvitationAccepted) },
      },
    },
    async (request) => {
      const { user_id } = request.auth!
      const joined = await request.once((scope) => accept(scope, user_id, request.body.token))
      app.access.forget(`user:${user_id}`)
      return joined
    },
  )

  app.post(
    '/invitations/decline',
    {
      config: { public: true, rateLimit },
      schema: {
        operationId: 'declineInvitation',
        summary: 'Decline an invitation',
        tags,
        body: ref(InvitationToken),
        response: { 204: Type.Null({ description: 'Declined' }) },
      },
    },
    async (request, reply) => {
      await request.once((scope) => decline(scope, request.body.token))
      return reply.code(204).send(null)
    },
  )
}
