import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { deleteSession, endSessions, getSession, listSessions, purgeSessions } from './queries.ts'
import { AuthSession, AuthSessionPage, SessionQuery, SessionsRevoked } from './schemas.ts'

const tags = ['identity']
const purgeEveryMs = 6 * 3_600_000

/** The devices a user is signed in on. */
export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [AuthSession, AuthSessionPage, SessionsRevoked]) app.addSchema(model)
  const config = { permission: 'signed_in', unverified: true } as const
  app.every('purge sessions', purgeEveryMs, () => purgeSessions(app.pools.requests.db))

  app.get(
    '/auth/sessions',
    {
      config: { ...config, problems: [406] },
      schema: {
        operationId: 'listSessions',
        summary: 'List the sessions in which one is signed in',
        tags,
        querystring: SessionQuery,
        response: { 200: listAnswer(ref(AuthSessionPage)) },
      },
    },
    async ({ auth, query }, reply) => {
      const { user_id, session_id } = auth!
      return reply.sendList({
        subject: 'session',
        model: AuthSession,
        query,
        read: (scope, part) => listSessions(scope, user_id, session_id, part),
      })
    },
  )

  app.get(
    '/auth/sessions/:id',
    {
      config,
      schema: {
        operationId: 'getSession',
        summary: 'Get one of the own sessions',
        tags,
        params: IdParams,
        response: { 200: ref(AuthSession) },
      },
    },
    async (request) => {
      const { user_id, session_id } = request.auth!
      return getSession(request.scope, user_id, session_id, request.params.id)
    },
  )

  app.delete(
    '/auth/sessions/:id',
    {
      config,
      schema: {
        operationId: 'deleteSession',
        summary: 'End one of the own sessions',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Ended' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await deleteSession(request.scope, request.auth!.user_id, id)
      app.access.forget(`session:${id}`)
      return reply.code(204).send(null)
    },
  )

  const endAll = async (request: FastifyRequest, reason: string, keep?: string) => {
    const { user_id } = request.auth!
    const revoked = await request.once((scope) => endSessions(scope, user_id, reason, keep))
    app.access.forget(`user:${user_id}`)
    return { revoked }
  }

  app.post(
    '/auth/sessions/revoke-others',
    {
      config,
      schema: {
        operationId: 'revokeOtherSessions',
        summary: 'End every own session but this one',
        tags,
        response: { 200: ref(SessionsRevoked) },
      },
    },
    async (request) => endAll(request, 'revoked', request.auth!.session_id as string),
  )

  app.post(
    '/auth/logout-all',
    {
      config,
      schema: {
        operationId: 'logoutEverywhere',
        summary: 'End every own session, this one included',
        tags,
        response: { 204: Type.Null({ description: 'Signed out everywhere' }) },
      },
    },
    async (request, reply) => {
      await endAll(request, 'logout')
      return reply.code(204).send(null)
    },
  )
}
