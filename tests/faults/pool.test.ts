import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { describe, expect } from 'vitest'
import { isUnavailable, type Pool } from '../../src/db/client.ts'
import { databaseUrl } from '../helpers/database.ts'
import { test as base, expectUnavailable, expectUsable, failure, idsIn, kill, pidOf } from '../helpers/pools.ts'

/** A server that a test takes away and brings back at one address. */
type Gate = { url: string; up(): Promise<void>; down(): Promise<void> }

/** @param serve what becomes of a connection; by default it is led to Postgres */
async function gate(serve = lead): Promise<Gate> {
  const url = new URL(await databaseUrl())
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    serve(socket, url)
  })
  const listen = async (port: number) => void (await once(server.listen(port, '127.0.0.1'), 'listening'))
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    url: Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href,
    up: () => listen(port),
    down: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function lead(socket: net.Socket, { hostname, port }: URL) {
  const upstream = net.connect(Number(port || 5432), hostname).on('error', () => socket.destroy())
  socket.pipe(upstream).pipe(socket)
  socket.on('close', () => upstream.destroy())
}

const test = base.extend<{ database: Gate }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  database: async ({}, use) => {
    const database = await gate()
    await use(database)
    await database.down().catch(() => undefined)
  },
})

const ways: [string, (pool: Pool) => Promise<unknown>][] = [
  ['a query', async ({ sql }) => sql`select 1`],
  ['a Drizzle query', async ({ db }) => db.execute('select 1')],
  ['a transaction', (pool) => pool.transaction(async (_, sql) => sql`select 1`)],
  ['a reservation', async ({ sql }) => (await sql.reserve()).release()],
]

/** It rejects as unavailable, after at least and at most so many milliseconds. */
async function expectUnavailableWithin(promise: Promise<unknown>, [least, most]: [number, number]) {
  const start = performance.now()
  await expectUnavailable(promise)
  expect(performance.now() - start).toBeGreaterThanOrEqual(least - 5)
  expect(performance.now() - start).toBeLessThan(most)
}

describe('a pool whose connections are all taken', () => {
  for (const [what, use] of ways)
    test(`keeps ${what} waiting for the acquire timeout at most, and serves again afterwards`, async ({ open }) => {
      const pool = open({ acquireTimeoutMs: 200 })
      await pool.transaction(async () => expectUnavailableWithin(use(pool), [200, 2_000]))
      await use(pool)
      await expectUsable(pool)
    })

  test('serves those who wait, in order, once a connection is free', async ({ open }) => {
    const pool = open()
    const answers: unknown[] = []
    const waiting = await pool.transaction(async (_, sql) => {
      const queries = [1, 2, 3, 4, 5].map((id) =>
        pool.sql`select ${id}::int as id`.then(([row]) => void answers.push(row?.id)),
      )
      await sql`select 1`
      expect(answers).toEqual([])
      return { queries }
    })
    await Promise.all(waiting.queries)
    expect(answers).toEqual([1, 2, 3, 4, 5])
  })

  test('gives up a wait for one that is being reconnected, and keeps that connection', async ({ open, database }) => {
    const pool = open({ url: database.url, acquireTimeoutMs: 50 })
    await database.down()
    for (let attempt = 0; attempt < 5; attempt++)
      await Promise.all(ways.map(async ([, use]) => expectUnavailable(use(pool))))
    await database.up()
    while (await pool.sql`select 1`.then(() => false, isUnavailable));
    for (const [, use] of ways) await use(pool)
  })
})

describe('a database that cannot be reached', () => {
  for (const [what, use] of ways) {
    test(`rejects ${what} at once when it refuses, and serves again when it is back`, async ({ open, database }) => {
      const pool = open({ url: database.url })
      await database.down()
      await expectUnavailableWithin(use(pool), [0, 2_000])
      await database.up()
      await use(pool)
      await expectUsable(pool)
    })

    test(`rejects ${what} when its connection is closed before it answers`, async ({ open }) => {
      const closing = await gate((socket) => socket.end())
      await expectUnavailableWithin(use(open({ url: closing.url })), [0, 2_000])
      await closing.down()
    })

    test(`rejects ${what} within the acquire timeout when it stays silent`, async ({ open }) => {
      const silent = await gate((socket) => socket.resume())
      const pool = open({ url: silent.url, acquireTimeoutMs: 200 })
      await expectUnavailableWithin(use(pool), [200, 2_000])
      await silent.down()
    })
  }

  test('rejects what is under way when it goes, and serves again when it is back', async ({
    open,
    admin,
    database,
  }) => {
    const pool = open({ url: database.url, max: 2, name: 'under way' })
    const under = [pool.sql`select pg_sleep(60)`, pool.transaction(async (_, sql) => sql`select pg_sleep(60)`)]
    const rejected = under.map(expectUnavailable)
    const running = () =>
      admin.sql`select 1 from pg_stat_activity where application_name = 'under way' and query ~ '^select pg_sleep'`
    while ((await running()).length < 2);
    await database.down()
    await Promise.all(rejected)
    await database.up()
    await Promise.all(Array.from({ length: 10 }, () => expectUsable(pool)))
  })

  test('does not hold up the end of the process', async ({ open, database }) => {
    const pool = open({ url: database.url })
    const sleep = failure(pool.sql`select pg_sleep(60)`)
    const closed = pool.close()
    await database.down()
    expect(await sleep).toSatisfy(isUnavailable)
    await closed
  })
})

describe('a reserved connection', () => {
  test('whose backend is killed rejects later statements, and is not given back as open', async ({ open, admin }) => {
    const pool = open()
    const reserved = await pool.sql.reserve()
    const pid = await pidOf(reserved)
    const flight = failure(reserved`select pg_sleep(60)`)
    await kill(admin, pid)
    await flight
    await expectUnavailable(reserved`select 1`)
    reserved.release()
    await expectUsable(pool)
    await expectUnavailable(reserved`select 1`)
  })

  test('reaches no other once it is released, however often that is', async ({ open, admin, table }) => {
    const pool = open()
    const reserved = await pool.sql.reserve()
    reserved.release()
    reserved.release()
    await pool.transaction(async (_, sql) => {
      reserved.release()
      expect(await failure(reserved`insert into ${sql(table)} values (1)`)).toMatchObject({
        code: 'CONNECTION_RELEASED',
      })
      await sql`insert into ${sql(table)} values (2)`
    })
    expect(await idsIn(admin, table)).toEqual([2])
  })
})

describe('a cursor', () => {
  test('whose backend is killed between two batches ends without harm', async ({ open, admin }) => {
    const pool = open()
    const pid = await pidOf(pool.sql)
    for await (const _ of pool.sql`select generate_series(1, 100)`.cursor(10)) {
      await kill(admin, pid)
      break
    }
    await expectUsable(pool)
  })
})
