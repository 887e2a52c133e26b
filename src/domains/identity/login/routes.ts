import formbody from '@fastify/formbody'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { limitGuesses, purgeThrottles } from '../../../db/login-throttle.ts'
import { randomToken } from '../../../lib/crypto.ts'
import { canonicalEmail } from '../../../lib/email.ts'
import { verifyPassword } from '../../../lib/password.ts'
import { ref } from '../../../lib/schema.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import { type Account, findAccount, recordRefusal } from '../auth/queries.ts'
import { Tokens } from '../auth/schemas.ts'
import { deviceOf, rememberMeS } from '../sessions/rules.ts'
import { tokensOf } from '../sessions/tokens.ts'
import { countingCodes } from '../totp/queries.ts'
import { factorKeys } from '../totp/rules.ts'
import { openSession, wrongCredentials } from './queries.ts'
import { parseForm } from './rules.ts'
import { Login } from './schemas.ts'

const purgeEveryMs = 3_600_000

/** Signing in, by JSON or by the OAuth2 password form. */
export const login: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Login, Tokens]) app.addSchema(model)
  await app.register(formbody, { parser: parseForm })
  const { refreshTokenTtlS, sessionMaxTtlS, encryptionKeys } = app.config.auth
  const keys = factorKeys(encryptionKeys)
  app.every('purge login throttles', purgeEveryMs, () => purgeThrottles(app.pools.requests.db))

  const open = (request: FastifyRequest, account: Account, { totp_code, remember_me = false }: Login) =>
    request.once(async (scope) => {
      const token = randomToken()
      const session = await openSession(scope, keys, account, totp_code, {
        user_agent: request.headers['user-agent']?.slice(0, 300) ?? null,
        device: deviceOf(request.headers['user-agent']),
        remember_me,
        ttl_s: remember_me ? rememberMeS : refreshTokenTtlS,
        max_ttl_s: sessionMaxTtlS,
        token,
      })
      return tokensOf(app, session, token)
    })

  app.post(
    '/auth/login',
    {
      config: { public: true, rateLimit: authLimit(app), problems: [401] },
      schema: {
        operationId: 'login',
        summary: 'Sign in with username or e-mail and password',
        description:
          'Who has a second factor sends a code of it, or a recovery code, as `totp_code`: without one the answer is 401 `totp_required`. ' +
          'Five wrong guesses at an account from one network lock it for that network for 15 minutes, twenty for everybody.',
        tags: ['identity'],
        consumes: ['application/json', 'application/x-www-form-urlencoded'],
        body: ref(Login),
        response: { 200: ref(Tokens) },
      },
    },
    async (request) => {
      const { scope, ip, body } = request
      const name = canonicalEmail(body.username) ?? body.username.toLowerCase()
      let account: Account | undefined
      const judge = async () => {
        const found = await findAccount(scope.db, name)
        account = found
        const right = await verifyPassword(found?.password_hash, body.password)
        if (!right || !found?.is_active) throw wrongCredentials()
        return countingCodes(scope, found.id, () => open(request, found, body))
      }
      return limitGuesses(scope.db, name, ip, judge, () => recordRefusal(scope, account))
    },
  )
}
