import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Pool } from '../db/client.ts'
import { createPool } from '../db/client.ts'

/** One pool for requests; those of imports and exports hold their connections long, and must not take the others'. */
export type Pools = { requests: Pool; ingest: Pool; exports: Pool }

/** Exports that Postgres formats, at once; one more waits as requests wait for a connection, and is then refused. */
const exportsAtOnce = 2

declare module 'fastify' {
  interface FastifyInstance {
    pools: Pools
  }
}

export default fp(
  async (app: FastifyInstance, { url }: { url: string }) => {
    const { poolMax, acquireTimeoutMs, statementTimeoutMs, maxLifetimeS } = app.config.database
    const shared = { url, acquireTimeoutMs, maxLifetimeS }
    const pools: Pools = {
      requests: createPool({
        ...shared,
        name: 'tenon',
        max: poolMax,
        statementTimeoutMs,
        lockTimeoutMs: Math.min(3_000, statementTimeoutMs),
        idleInTransactionTimeoutMs: 30_000,
      }),
      ingest: createPool({
        ...shared,
        name: 'tenon-ingest',
        max: app.config.imports.concurrency,
        statementTimeoutMs: 0,
      }),
      exports: createPool({ ...shared, name: 'tenon-export', max: exportsAtOnce, statementTimeoutMs: 0 }),
    }
    app.decorate('pools', pools)
    app.addHook('onClose', async () => {
      await Promise.all(Object.values(pools).map((pool) => pool.close()))
    })
  },
  { name: 'database' },
)
