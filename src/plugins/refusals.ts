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
    app.addHook('onError', async ({ scope, routeOptions, method, url, log }, _reply, error) => {
      if (!(error instanceof Problem) || !refusals.includes(error.code) || scope.actor.user_id === null) return
      const key = `${scope.actor.principal} ${method} ${routeOptions.url} ${error.code}`
      const now = performance.now()
      if (now < (told.get(key) ?? 0)) return
      told.set(key, now + quietMs)
      const path = url.split('?', 1)[0]?.slice(0, 200)
      const after = {
        operation: (routeOptions.schema as { operationId?: string })?.operationId,
        path,
        code: error.code,
      }
      await recordEvent(scope, { action: 'access.refused', subject_type: 'operation', subject_id: null, after }).catch(
        (err: unknown) => log.warn({ err }, 'a refusal could not be recorded'),
      )
    })
  },
  { name: 'refusals', dependencies: ['scope'] },
)
