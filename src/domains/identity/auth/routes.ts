import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { deriveKeys, hmac } from '../../../lib/crypto.ts'
import { requiredEmail } from '../../../lib/email.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { assertPassword, hashPassword } from '../../../lib/password.ts'
import { created } from '../../../lib/reply.ts'
import { ref } from '../../../lib/schema.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import { register, registerInvited, registerUnverified } from '../registration/queries.ts'
import { endSession, exchangeToken } from '../sessions/queries.ts'
import { rememberMeS } from '../sessions/rules.ts'
import { tokensOf } from '../sessions/tokens.ts'
import { RefreshRequest, Registration, RegistrationAccepted, Tokens, User } from './schemas.ts'

const tags = ['identity']

/** Registration, refresh and sign-out. */
export const auth: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [User, Registration, RegistrationAccepted, RefreshRequest, Tokens]) app.addSchema(model)
  const { refreshTokenTtlS, registration, requireVerifiedEmail, passwordComposition, encryptionKeys } = app.config.auth
  const successorKeys = deriveKeys(encryptionKeys, 'refresh token successors')
  const rateLimit = authLimit(app)

  app.post(
    '/auth/register',
    {
      config: { public: true, rateLimit, problems: [403] },
      schema: {
        operationId: 'register',
        summary: 'Create an account and its organisation',
        tags,
        body: ref(Registration),
        response: { 201: ref(User), 202: ref(RegistrationAccepted) },
      },
    },
    async (request, reply) => {
      const { invitation_token } = request.body
      refuseUninvited(registration, request.body)
      const { user, organization } = await newAccount(request.body, passwordComposition)
      if (invitation_token === undefined && requireVerifiedEmail) {
        await request.once((scope) => registerUnverified(scope, user, organization))
        return reply.code(202).send({ status: 'verification_required' })
      }
      const made = await request.once((scope) =>
        invitation_token === undefined
          ? register(scope, user, organization)
          : registerInvited(scope, user, invitation_token),
      )
      return created(reply, '/api/v1/auth/me', made)
    },
  )

  app.post(
    '/auth/refresh',
    {
      config: { public: true, rateLimit, problems: [401], unkeyed: true },
      schema: {
        operationId: 'refresh',
        summary: 'Exchange a refresh token for new tokens',
        tags,
        body: ref(RefreshRequest),
        response: { 200: ref(Tokens) },
      },
    },
    async (request) => {
      const { refresh_token } = request.body
      const successors = successorKeys.map((key) => hmac(key, refresh_token).toString('base64url'))
      const exchange = await exchangeToken(request.scope, refresh_token, successors, refreshTokenTtlS, rememberMeS)
      if (exchange.outcome === 'reused') app.access.forget(`session:${exchange.session.id}`)
      if (exchange.outcome !== 'exchanged')
        throw new Problem(
          'invalid_refresh_token',
          'The refresh token is unknown, expired or was used before; sign in again.',
        )
      return tokensOf(app, exchange.session, exchange.successor)
    },
  )

  app.post(
    '/auth/logout',
    {
      config: { permission: 'signed_in', unverified: true, impersonated: true },
      schema: {
        operationId: 'logout',
        summary: 'End this session',
        tags,
        response: { 204: Type.Null({ description: 'Signed out' }) },
      },
    },
    async (request, reply) => {
      const { session_id, user_id, org_id } = request.auth!
      await request.once((scope) => endSession(scope, { id: session_id as string, user_id, org_id }, 'logout'))
      app.access.forget(`session:${session_id}`)
      return reply.code(204).send(null)
    },
  )
}

/** Who may register, and what an invitation leaves to say. */
function refuseUninvited(registration: 'open' | 'invite' | 'closed', body: Registration): void {
  const { invitation_token, organization_name } = body
  if (registration === 'closed' || (registration === 'invite' && invitation_token === undefined))
    throw new Problem(
      'registration_closed',
      registration === 'closed'
        ? 'Accounts are made by administrators only; ask one of your organisation.'
        : 'Accounts are made by invitation only; ask an administrator of your organisation.',
    )
  if (invitation_token !== undefined && organization_name !== undefined)
    throw invalidField('/body/organization_name', 'conflict', 'must be left out by whoever joins an organisation')
}

/** Checks what the schema cannot, and hashes the password also for addresses that are taken, so that both take as long. */
async function newAccount(body: Registration, composition: boolean) {
  const { password, username, full_name, organization_name } = body
  const email = requiredEmail(body.email)
  assertPassword(password, composition, [email, username])
  const user = {
    email,
    username: username?.toLowerCase() ?? null,
    full_name: full_name ?? null,
    password_hash: await hashPassword(password),
  }
  return { user, organization: organization_name ?? `${full_name ?? email.split('@')[0]}'s organization` }
}
