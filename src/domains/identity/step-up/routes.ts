import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { limitGuesses } from '../../../db/login-throttle.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { verifyPassword } from '../../../lib/password.ts'
import { ref } from '../../../lib/schema.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import { stepUpS } from '../access/queries.ts'
import { type Account, getAccount } from '../auth/queries.ts'
import { countingCodes } from '../totp/queries.ts'
import { factorKeys } from '../totp/rules.ts'
import { stepUp as prove, recordFailedProof } from './queries.ts'
import { SteppedUp, StepUp } from './schemas.ts'

/** Proving again who sits there, before what a stolen session must not do. */
export const stepUp: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [StepUp, SteppedUp]) app.addSchema(model)
  const keys = factorKeys(app.config.auth.encryptionKeys)

  app.post(
    '/auth/step-up',
    {
      config: { permission: 'signed_in', unverified: true, rateLimit: authLimit(app), unkeyed: true },
      schema: {
        operationId: 'stepUp',
        summary: 'Prove again who one is, for this session and ten minutes',
        description: 'Who has a second factor proves himself with its code; the password does not suffice.',
        tags: ['identity'],
        body: ref(StepUp),
        response: { 200: ref(SteppedUp) },
      },
    },
    async (request) => {
      const { scope, ip, body } = request
      const { user_id, session_id, impersonator_id } = request.auth!
      if (impersonator_id !== null)
        throw new Problem('forbidden', 'Whoever acts as somebody else cannot prove to be him.')
      const account = await getAccount(scope.db, user_id)
      const session = { id: session_id as string, user_id }
      const judge = async () => {
        await checkProof(account, body)
        await countingCodes(scope, user_id, () => prove(scope, keys, session, body.totp_code))
      }
      await limitGuesses(scope.db, account.email, ip, judge, () => recordFailedProof(scope, session.id))
      app.access.forget(`session:${session.id}`)
      return { expires_in: stepUpS }
    },
  )
}

/** Looks at everything but the code, which is used up with what it proves. */
async function checkProof(account: Account, { password, totp_code }: StepUp): Promise<void> {
  if (password !== undefined && totp_code !== undefined)
    throw invalidField('/body/totp_code', 'exclusive', 'cannot be sent beside the password')
  if (account.totp && totp_code === undefined)
    throw new Problem('invalid_state', 'This account has a second factor: send its code as totp_code instead.')
  if (!account.totp && totp_code !== undefined)
    throw new Problem('invalid_state', 'This account has no second factor: send the password instead.')
  if (password !== undefined && !(await verifyPassword(account.password_hash, password)))
    throw new Problem('wrong_password', 'The password is wrong.')
}
