import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { recordEvent } from '../db/audit.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { Problem, type ProblemCode, problems } from '../lib/errors.ts'

/**
 * Refused for the sake of accounts and rights, though not with 403. A wrong password or code is not among them: it is
 * counted, and recorded where it is.
 */
const guarded: ReadonlySet<ProblemCode> = new Set([
  'invalid_refresh_token',
  'mail_token_invalid',
  'invitation_mismatch',
  'email_taken',
  'username_taken',
  'email_domain_not_allowed',
  'last_owner',
  'policy_locks_out',
])

/** How many a caller leaves of an operation within how long; more would only fill the trail. */
const toldMax = 60
const windowMs = 60_000
const windowsMax = 10_000

/**
 * What somebody was refused, and by which rule, is an event of its own beside the answer: the transaction of what he
 * asked for is gone. Nothing of the body is in it.
 */
export default fp(
  async (app: FastifyInstance) => {
    const windows = new BoundedMap<string, { since: number; told: number }>(windowsMax)
    const isNews = (what: string) => {
      const now = performance.now()
      const known = windows.get(what)
      const window = known !== undefined && now - known.since < windowMs ? known : { since: now, told: 0 }
      windows.set(what, window)
      return ++window.told <= toldMax
    }

    app.addHook('onError', async (request, _reply, error) => {
      const code = refusalOf(error)
      const operation = request.routeOptions.schema?.operationId ?? null
      if (code === undefined || !isNews(`${request.scope.actor.principal} ${operation}`)) return
      const after = { operation, code }
      const event = { action: 'request.refused', subject_type: 'operation', subject_id: null, after }
      // Where it cannot be written, the refusal stands all the same.
      await recordEvent(request.scope, event).catch((err) => request.log.error({ err }, 'a refusal was not recorded'))
    })
  },
  { name: 'refusals', dependencies: ['scope'] },
)

/** The code of a refusal that is to be on record. */
function refusalOf(error: FastifyError | Problem): string | undefined {
  if (!(error instanceof Problem)) return isLongPassword(error) ? 'password' : undefined
  const { code, extras } = error
  if (problems[code][0] === 403 || guarded.has(code)) return code
  return extras.errors?.some((fault) => fault.code === 'password') ? 'password' : undefined
}

/** The one rule of passwords that the schema judges. */
const isLongPassword = ({ validation }: FastifyError) =>
  validation?.some(({ keyword, instancePath }) => keyword === 'maxLength' && instancePath.endsWith('password')) === true
