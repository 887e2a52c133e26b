import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { limitGuesses } from '../../../db/login-throttle.ts'
import { created } from '../../../lib/reply.ts'
import { ref } from '../../../lib/schema.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import { getAccount } from '../auth/queries.ts'
import { confirmTotp, deleteTotp, recordWrongCode, replaceRecoveryCodes, resealFactors, startTotp } from './queries.ts'
import { factorKeys, newSecret } from './rules.ts'
import { RecoveryCodes, TotpConfirmation, TotpSetup } from './schemas.ts'

const tags = ['identity']
const resealEveryMs = 60_000

/** The second factor: codes of the moment from an authenticator program, and recovery codes for when that is lost. */
export const totp: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [TotpSetup, TotpConfirmation, RecoveryCodes]) app.addSchema(model)
  const { encryptionKeys } = app.config.auth
  const keys = factorKeys(encryptionKeys)
  if (encryptionKeys.length > 1)
    app.every('reseal factors', resealEveryMs, () => resealFactors(app.pools.requests.db, keys))
  const signedIn = { permission: 'signed_in', unverified: true } as const
  const proven = { ...signedIn, stepUp: true } as const

  app.post(
    '/auth/totp',
    {
      config: proven,
      schema: {
        operationId: 'startTotp',
        summary: 'Begin to set up a second factor',
        tags,
        response: { 201: ref(TotpSetup) },
      },
    },
    async (request, reply) => {
      const { user_id } = request.auth!
      const setup = await request.once((scope) => startTotp(scope, keys, user_id, newSecret()))
      return created(reply, '/api/v1/auth/me', setup)
    },
  )

  app.post(
    '/auth/totp/confirm',
    {
      config: { ...signedIn, rateLimit: authLimit(app) },
      schema: {
        operationId: 'confirmTotp',
        summary: 'Give the first code of a second factor, from which on it counts',
        description: 'This session then counts as opened with it; others stay as they are.',
        tags,
        body: ref(TotpConfirmation),
        response: { 200: ref(RecoveryCodes) },
      },
    },
    async (request) => {
      const { scope, ip, body } = request
      const { user_id, session_id } = request.auth!
      const { email } = await getAccount(scope.db, user_id)
      const user = { id: user_id, session_id: session_id as string }
      const judge = () => request.once((inside) => confirmTotp(inside, keys, user, body.code))
      const recovery_codes = await limitGuesses(scope.db, email, ip, judge, () => recordWrongCode(scope, user_id))
      app.access.forget(`user:${user_id}`)
      return { recovery_codes }
    },
  )

  app.delete(
    '/auth/totp',
    {
      config: { ...proven, problems: [400] },
      schema: {
        operationId: 'deleteTotp',
        summary: 'Remove the second factor',
        tags,
        response: { 204: Type.Null({ description: 'There is none now' }) },
      },
    },
    async (request, reply) => {
      const { user_id } = request.auth!
      await deleteTotp(request.scope, user_id)
      app.access.forget(`user:${user_id}`)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/auth/totp/recovery-codes',
    {
      config: proven,
      schema: {
        operationId: 'replaceRecoveryCodes',
        summary: 'Get new recovery codes in place of the old ones',
        tags,
        response: { 200: ref(RecoveryCodes) },
      },
    },
    async (request) => ({
      recovery_codes: await request.once((scope) => replaceRecoveryCodes(scope, keys, request.auth!.user_id)),
    }),
  )
}
