import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { recordEvent } from '../db/audit.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { Problem, type ProblemCode } from '../lib/errors.ts'

/** What a caller is refused because of who or where he is; what he only has to prove first is no refusal. */
const refusals: readonly ProblemCode[] = [
  'forbidden',
  'ip_not_allowed',
  'mfa_required',
  'last_owner',
  'policy_locks_out',
]

/** One event a caller, operation and problem in so long, so that nobody fills the trail with what he may not do. */
const quietMs = 60_000
const callersMax = 10_000

/** Writes into the trail of his organisation what a known caller tried and may not do. */
export default fp(
  async (app: FastifyInstance) => {
    const told = new BoundedMap<string, number>(callersMax)
    app.addHook('onError', async ({ scope, routeOptions, log }, _reply, error) => {
      const { org_id, actor } = scope
      if (!(error instanceof Problem) || !refusals.includes(error.code) || actor.user_id === null) return
      const { operationId: operation } = (routeOptions.schema ?? {}) as { operationId?: string }
      const key = `${org_id} ${actor.principal} ${operation} ${error.code}`
      const now = performance.now()
      if (now < (told.get(key) ?? 0)) return
      told.set(key, now + quietMs)
      // Not what was asked for: its ids may be another organisation's. The request's line in the log tells.
      const event = { subject_type: 'operation', subject_id: null, after: { operation, code: error.code } }
      await recordEvent(scope, { action: 'access.refused', ...event }).catch((err: unknown) =>
        log.warn({ err }, 'a refusal could not be recorded'),
      )
    })
  },
  { name: 'refusals', dependencies: ['scope'] },
)
