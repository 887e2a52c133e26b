import type { FastifyRequest } from 'fastify'
import type { TenantScope } from '../db/scope.ts'
import { Problem } from '../lib/errors.ts'
import { Limiter } from '../lib/limiter.ts'

/** What a million rows need. */
const withinMs = 300_000
const waitingMax = 16

/**
 * Changes that take minutes: one at a time, since each keeps a connection busy; some may wait, the others are refused.
 * Who waits holds no connection: his turn comes before his transaction begins. The change itself lifts its statements'
 * limit (`unhurried` in db/scope.ts).
 * @param what is being done, as a sentence begins
 * @throws Problem `busy` where too many wait
 */
export function longWork(what: string) {
  const turns = new Limiter(1, waitingMax, () => {
    return new Problem('busy', `${what}, one after another, and many wait; try again in a moment.`, { retryAfterS: 5 })
  })
  return {
    /** For the options of the route. */
    handlerTimeout: withinMs,
    run: <T>(change: () => Promise<T>) => turns.run(change),
    /** The same under the request's `Idempotency-Key`. */
    once: <T>(request: FastifyRequest, change: (scope: TenantScope) => Promise<T>) =>
      turns.run(() => request.once(change)),
  }
}
