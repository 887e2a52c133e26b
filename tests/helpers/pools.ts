import { randomBytes } from 'node:crypto'
import { setImmediate as tick } from 'node:timers/promises'
import { test as base, expect } from 'vitest'
import { createPool, isUnavailable, type Pool, type PoolOptions, type TransactionSql } from '../../src/db/client.ts'
import { databaseUrl } from './database.ts'

type Fixtures = {
  /** Makes a pool, of one connection unless told otherwise, that is closed after the test. */
  open: (options?: Partial<PoolOptions>) => Pool
  /** A second pool, to look and to kill from. */
  admin: Pool
  /** A table `(id int, body text)` of the test's own; a duplicate id is reported only when its statement has ended. */
  table: string
  /** What would have ended the process; checked after each test. */
  uncaught: unknown[]
}

export const test = base.extend<Fixtures>({
  uncaught: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
    async ({}, use) => {
      const uncaught: unknown[] = []
      const note = (error: unknown) => void uncaught.push(error)
      process.on('uncaughtException', note).on('unhandledRejection', note)
      await use(uncaught)
      await tick()
      process.off('uncaughtException', note).off('unhandledRejection', note)
      expect(uncaught).toEqual([])
    },
    { auto: true },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  open: async ({}, use) => {
    const pools: Pool[] = []
    const url = await databaseUrl()
    await use((options) => {
      const defaults = { url, name: 'test', max: 1, acquireTimeoutMs: 5_000, statementTimeoutMs: 30_000 }
      const pool = createPool({ ...defaults, maxLifetimeS: 600, ...options })
      pools.push(pool)
      return pool
    })
    await Promise.all(pools.map((pool) => pool.close()))
  },
  admin: async ({ open }, use) => use(open({ name: 'admin', max: 2 })),
  table: async ({ admin }, use) => {
    const table = `pools_${randomBytes(6).toString('hex')}`
    await admin.sql`create table ${admin.sql(table)} (id int, body text, unique (id) deferrable)`
    await use(table)
    await admin.sql`drop table ${admin.sql(table)}`
  },
})

export const idsIn = async ({ sql }: Pool, table: string): Promise<number[]> =>
  (await sql`select id from ${sql(table)} order by id`).map(({ id }) => id)

export async function pidOf(sql: Pool['sql'] | TransactionSql): Promise<number> {
  const [row] = await sql`select pg_backend_pid() as pid`
  return row?.pid
}

/** Ends a backend and waits until it is gone. */
export const kill = async ({ sql }: Pool, pid: number): Promise<void> =>
  void (await sql`select pg_terminate_backend(${pid}, 10000)`)

/** What the promise rejects with. */
export const failure = (promise: PromiseLike<unknown>): Promise<Error & { code?: string }> =>
  Promise.resolve(promise).then(
    () => Promise.reject(new Error('It should have been rejected.')),
    (error) => error,
  )

export const expectUnavailable = async (promise: PromiseLike<unknown>): Promise<void> =>
  expect(await failure(promise)).toSatisfy(isUnavailable)

export const expectUsable = async ({ sql }: Pool): Promise<void> =>
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }])

/** Waits until the backend waits for a lock that another holds. */
export async function untilBlocked({ sql }: Pool, pid: number): Promise<void> {
  const blocked = () => sql`select 1 from pg_stat_activity where pid = ${pid} and wait_event_type = 'Lock'`
  while ((await blocked()).length === 0);
}
