import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, AccessCache } from './access-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    access: AccessCache
  }
}

/** The check of every credential; `find` reads what the cache does not know. */
export default fp(
  async (app: FastifyInstance, options: { url: string; find: (credential: string) => Promise<Access | undefined> }) => {
    const access = new AccessCache(options.find)
    app.decorate('access', access)
    app.addHook('onClose', async () => access.stop())
    app.addHook('onReady', async () => access.start(options.url))
  },
  { name: 'access', dependencies: ['database'] },
)
