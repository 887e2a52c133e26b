import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { tookTooLong } from './errors.ts'

type Options = { limitMs: number; sweepEveryMs: number }

/**
 * Ends requests that take too long: 503, or 408 where the body is still on its way. Routes with a `handlerTimeout` of
 * their own are left to the framework, whose timer and AbortController for each request cost a tenth of a bare one.
 */
export default fp(
  async (app: FastifyInstance, { limitMs, sweepEveryMs }: Options) => {
    /** In the order in which they began. */
    const open = new Map<FastifyReply, number>()
    const sweep = () => {
      const before = performance.now() - limitMs
      for (const [reply, begunMs] of open) {
        if (begunMs > before) return
        open.delete(reply)
        if (!reply.sent) reply.send(tookTooLong(reply.request))
      }
    }
    const timer = setInterval(sweep, sweepEveryMs).unref()
    app.addHook('onClose', async () => clearInterval(timer))
    app.addHook('onRequest', (request, reply, done) => {
      if (!request.routeOptions.handlerTimeout) open.set(reply, performance.now())
      done()
    })
    app.addHook('onResponse', (_request, reply, done) => {
      open.delete(reply)
      done()
    })
  },
  { name: 'deadline', dependencies: ['errors'] },
)
