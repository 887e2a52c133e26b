import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Strict } from '../lib/schema.ts'

/**
 * An operation that takes no query parameters refuses them, as every other refuses those it does not know: who creates
 * something with `?dry_run=true` must hear that nothing of the kind is done.
 */
export default fp(
  async (app: FastifyInstance) => {
    app.addHook('onRoute', ({ url, schema }) => {
      if (url.startsWith('/api/') && schema !== undefined && !schema.hide) schema.querystring ??= Strict({})
    })
  },
  { name: 'strict-query' },
)
