import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { TenantScope } from '../../../db/scope.ts'
import { deriveKey, hmac, randomToken } from '../../../lib/crypto.ts'
import { canonicalEmail } from '../../../lib/email.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { hashPassword, passwordFault, verifyPassword } from '../../../lib/password.ts'
import { ref } from '../../../lib/schema.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import { createSession, endSession, exchangeToken, type Session } from '../sessions/queries.ts'
import { deviceOf, rememberMeS } from '../sessions/rules.ts'
import { findAccount, getMe, recordRefusal, register } from './queries.ts'
import {
  ActiveOrganization,
  Login,
  Me,
  RefreshRequest,
  Registration,
  RegistrationAccepted,
  type Tokens,
  Tokens as TokensModel,
  User,
} from './schemas.ts'

const tags = ['identity']

/** Registration, sign-in, refresh, sign-out, and who one is. */
export const auth: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [
    User,
    Registration,
    RegistrationAccepted,
    Login,
    RefreshRequest,
    TokensModel,
    ActiveOrganization,
    Me,
  ])
    app.addSchema(model)
  const {
    accessTokenTtlS,
    refreshTokenTtlS,
    sessionMaxTtlS,
    registration,
    requireVerifiedEmail,
    passwordComposition,
    encryptionKey,
  } = app.config.auth
  const successorKey = deriveKey(encryptionKey, 'refresh token successors')
  const rateLimit = authLimit(app)

  const tokensFor = (session: Session, refreshToken: string): Tokens => ({
    access_token: app.signAccessToken(session),
    refresh_token: refreshToken,
    token_type: 'bearer',
    expires_in: accessTokenTtlS,
  })

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
      if (registration !== 'open')
        throw new Problem(
          'registration_closed',
          'Accounts are made by invitation only; ask an administrator of your organisation.',
        )
      const account = await newAccount(request.body, passwordComposition)
      const make = (scope: TenantScope) => register(scope, account.user, account.organization)
      if (!requireVerifiedEmail)
        return reply
          .code(201)
          .header('location', '/api/v1/auth/me')
          .send(await request.once(make))
      await request.once((scope) => make(scope).catch(ignoreTaken))
      return reply.code(202).send({ status: 'verification_required' })
    },
  )

  app.post(
    '/auth/login',
    {
      config: { public: true, rateLimit, problems: [401] },
      schema: {
        operationId: 'login',
        summary: 'Sign in with username or e-mail and password',
        tags,
        body: ref(Login),
        response: { 200: ref(TokensModel) },
      },
    },
    async (request) => {
      const { username, password, remember_me = false } = request.body
      const account = await findAccount(request.scope.db, canonicalEmail(username) ?? username.toLowerCase())
      const known = await verifyPassword(account?.password_hash, password)
      if (!known || !account?.is_active) {
        await recordRefusal(request.scope, account)
        throw new Problem('invalid_credentials', 'The username or the password is wrong.')
      }
      const ttl_s = remember_me ? rememberMeS : refreshTokenTtlS
      return request.once(async (scope) => {
        const token = randomToken()
        return tokensFor(
          await createSession(scope, {
            user_id: account.id,
            user_agent: userAgent(request),
            device: deviceOf(request.headers['user-agent']),
            remember_me,
            mfa: false,
            ttl_s,
            max_ttl_s: sessionMaxTtlS,
            token,
          }),
          token,
        )
      })
    },
  )

  app.post(
    '/auth/refresh',
    {
      config: { public: true, rateLimit, problems: [401] },
      schema: {
        operationId: 'refresh',
        summary: 'Exchange a refresh token for new tokens',
        tags,
        body: ref(RefreshRequest),
        response: { 200: ref(TokensModel) },
      },
    },
    async (request) => {
      const { refresh_token } = request.body
      const successor = hmac(successorKey, refresh_token).toString('base64url')
      const exchange = await exchangeToken(request.scope, refresh_token, successor, refreshTokenTtlS, rememberMeS)
      if (exchange.outcome === 'reused') app.access.forget(`session:${exchange.session.id}`)
      if (exchange.outcome !== 'exchanged')
        throw new Problem(
          'invalid_refresh_token',
          'The refresh token is unknown, expired or was used before; sign in again.',
        )
      return tokensFor(exchange.session, successor)
    },
  )

  app.post(
    '/auth/logout',
    {
      config: { permission: 'signed_in', unverified: true },
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

  app.get(
    '/auth/me',
    {
      config: { permission: 'signed_in', unverified: true },
      schema: {
        operationId: 'getMe',
        summary: 'The signed-in user, the active organisation, roles and permissions',
        tags,
        response: { 200: ref(Me) },
      },
    },
    async (request) => {
      const { user_id, roles, permissions } = request.auth!
      return { ...(await getMe(request.scope, user_id)), roles: [...roles], permissions: [...permissions] }
    },
  )
}

/** Where addresses are verified, a known one is answered as a new one is. */
const ignoreTaken = (error: unknown) => {
  if (!(error instanceof Problem) || error.code !== 'email_taken') throw error
}

const userAgent = ({ headers }: FastifyRequest) => headers['user-agent']?.slice(0, 300) ?? null

/** Checks what the schema cannot, and hashes the password also for addresses that are taken, so that both take as long. */
async function newAccount(body: Registration, composition: boolean) {
  const { password, username, full_name, organization_name } = body
  const email = canonicalEmail(body.email)
  if (email === undefined) throw invalidField('/body/email', 'format', 'must be an e-mail address')
  const fault = passwordFault(password, composition, [email, username])
  if (fault) throw invalidField('/body/password', 'password', fault)
  const user = {
    email,
    username: username?.toLowerCase() ?? null,
    full_name: full_name ?? null,
    password_hash: await hashPassword(password),
  }
  return { user, organization: organization_name ?? `${full_name ?? email.split('@')[0]}'s organization` }
}
