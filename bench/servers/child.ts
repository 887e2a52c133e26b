import type { FastifyInstance } from 'fastify'

/** Listens on a free port of this machine only, tells the bench where, and ends when the bench does. */
export async function serveBench(app: FastifyInstance): Promise<void> {
  process.on('SIGINT', () => undefined) // Ctrl-C reaches this process too; the bench says when to end
  process.once('disconnect', async () => {
    await app.close()
    process.exit(0)
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  process.send?.({ address })
}
