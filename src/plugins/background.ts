import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Names work that goes on beside requests, again and again. A run that fails is logged, and the next comes all
     * the same; no run begins before the last has ended, and closing waits for the one that runs.
     */
    every(name: string, intervalMs: number, task: () => Promise<unknown>): void
    /** Runs such work once, now. */
    runTask(name: string): Promise<unknown>
  }
}

/** Work beside requests: mail, the audit chain, purges. With BACKGROUND_TASKS=off it is left to other instances. */
export default fp(
  async (app: FastifyInstance) => {
    const tasks = new Map<string, () => Promise<unknown>>()
    const timers = new Set<NodeJS.Timeout>()
    const running = new Set<Promise<unknown>>()

    app.decorate('every', (name, intervalMs, task) => {
      tasks.set(name, task)
      if (!app.config.backgroundTasks) return
      let busy = false
      const run = async () => {
        if (busy || app.lifecycle.state !== 'ready') return
        busy = true
        const current = task().catch((error: unknown) => app.log.warn({ err: error }, `background task ${name} failed`))
        running.add(current)
        await current
        running.delete(current)
        busy = false
      }
      timers.add(setInterval(run, intervalMs).unref())
    })
    app.decorate('runTask', async (name) => {
      const task = tasks.get(name)
      if (task === undefined) throw new Error(`no background task is called ${name}`)
      return task()
    })
    app.addHook('preClose', async () => {
      for (const timer of timers) clearInterval(timer)
      await Promise.all(running)
    })
  },
  { name: 'background', dependencies: ['lifecycle'] },
)
