import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as tick } from 'node:timers/promises'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import { describe, expect, vi } from 'vitest'
import { isUnavailable, type Pool, type TransactionSql } from '../../src/db/client.ts'
import { expectUnavailable, expectUsable, failure, idsIn, kill, pidOf, test, untilBlocked } from '../helpers/pools.ts'

const notes = (table: string) => pgTable(table, { id: integer().notNull(), body: text() })
const copyInto = (sql: Pool['sql'] | TransactionSql, table: string) =>
  sql`copy ${sql(table)} (id) from stdin`.writable()

test('a COPY whose last rows nobody takes yet leaves its connection usable', async ({ open }) => {
  const pool = open()
  const bytes = 66_000 // just more than a stream takes before it is read, so that its end comes with what is too much
  await pool.transaction(async (_, sql) => {
    const rows = await sql
      .unsafe(`copy (select repeat('x', 99) from generate_series(1, ${bytes / 100})) to stdout`)
      .readable()
    await vi.waitFor(() => expect(rows.readableLength).toBe(bytes), { interval: 1 })
    await pipeline(rows, new Writable({ write: (_chunk, _encoding, done) => done() }))
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })
  await expectUsable(pool)
})

describe('a backend killed inside a transaction', () => {
  test('rejects the transaction as unavailable, and its later statements, and leaves no row', async ({
    open,
    admin,
    table,
  }) => {
    const pool = open()
    let later: TransactionSql | undefined
    await expectUnavailable(
      pool.transaction(async (_, sql) => {
        later = sql
        await sql`insert into ${sql(table)} values (1)`
        await kill(admin, await pidOf(sql))
        await sql`insert into ${sql(table)} values (2)`
      }),
    )
    await expectUnavailable(later!`insert into ${later!(table)} values (3)`)
    await expectUsable(pool)
    await expectUnavailable(later!`insert into ${later!(table)} values (4)`)
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('rejects every statement in flight or waiting', async ({ open, admin, table }) => {
    const pool = open()
    const settled: Promise<unknown>[] = []
    const transaction = pool.transaction(async (_, sql) => {
      const pid = await pidOf(sql)
      settled.push(failure(sql`select pg_sleep(60)`))
      for (const id of [1, 2, 3])
        settled.push(failure(sql`insert into ${sql(table)} values (${id}, ${'x'.repeat(2_000)})`))
      await kill(admin, pid)
      await Promise.all(settled)
    })
    await expectUnavailable(transaction)
    expect(await Promise.all(settled)).toHaveLength(4)
    await expectUsable(pool)
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('rejects the statements of the Drizzle handle', async ({ open, admin, table }) => {
    const pool = open()
    const later: Promise<unknown>[] = []
    await expectUnavailable(
      pool.transaction(async (db, sql) => {
        await db.insert(notes(table)).values({ id: 1 })
        await kill(admin, await pidOf(sql))
        for (const id of [2, 3]) later.push(failure(db.insert(notes(table)).values({ id }).execute()))
        await Promise.all(later)
        await db.insert(notes(table)).values({ id: 4 })
      }),
    )
    for (const error of await Promise.all(later)) expect(error).toSatisfy(isUnavailable)
    await pool.db.insert(notes(table)).values({ id: 5 })
    expect(await idsIn(admin, table)).toEqual([5])
  })

  test('lets no statement through in whatever tick the connection closes', async ({ open, admin, table }) => {
    const pool = open()
    const outcomes: ('done' | 'rejected')[] = []
    const statements: Promise<unknown>[] = []
    await expectUnavailable(
      pool.transaction(async (_, sql) => {
        const killed = kill(admin, await pidOf(sql))
        for (let id = 0; outcomes.filter((one) => one === 'rejected').length < 50; id++) {
          const statement = sql`insert into ${sql(table)} values (${id})`.then(
            () => outcomes.push('done'),
            () => outcomes.push('rejected'),
          )
          statements.push(statement)
          await tick()
        }
        await killed
      }),
    )
    await Promise.all(statements)
    expect(outcomes.lastIndexOf('done')).toBeLessThan(outcomes.indexOf('rejected'))
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('leaves the next query on the pool unharmed', async ({ open, admin }) => {
    const pool = open()
    const pid = await pidOf(pool.sql)
    const sleep = failure(pool.sql`select pg_sleep(60)`)
    await kill(admin, pid)
    await sleep
    await expectUsable(pool)
  })
})

describe('a transaction', () => {
  test('has a handle that reaches no other once it has ended, committed or rolled back', async ({
    open,
    admin,
    table,
  }) => {
    const pool = open()
    for (const outcome of ['committed', 'rolled back']) {
      let later: TransactionSql | undefined
      const first = pool.transaction(async (_, sql) => {
        later = sql
        if (outcome === 'rolled back') throw new Error('no')
      })
      await first.catch(() => undefined)
      await pool.transaction(async () => {
        expect(await failure(later!`insert into ${later!(table)} values (1)`)).toMatchObject({
          code: 'TRANSACTION_ENDED',
        })
      })
    }
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('keeps its connection to itself however many statements are under way', async ({ open, admin, table }) => {
    const pool = open({ max: 2 })
    const isolated = Array.from({ length: 60 }, (_, id) =>
      pool.transaction(async (_, sql) => {
        await sql`insert into ${sql(table)} values (${id})`
        const [row] = await sql`select ${id}::int as id, pg_current_xact_id_if_assigned() is not null as writing`
        if (id % 2) throw new Error('rolled back')
        return row
      }),
    )
    const reads = Array.from({ length: 200 }, (_, id) => pool.sql`select ${id}::int as id`)
    const [written, read] = await Promise.all([Promise.allSettled(isolated), Promise.all(reads)])
    expect(read.map(([row]) => row?.id)).toEqual(reads.map((_, id) => id))
    const committed = written.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(committed).toEqual(committed.map((_, at) => ({ id: at * 2, writing: true })))
    expect(await idsIn(admin, table)).toEqual(committed.map((_, at) => at * 2))
  })

  test('nests as a savepoint and rolls back alone', async ({ open, admin, table }) => {
    await open().transaction(async (db) => {
      await db.insert(notes(table)).values({ id: 1 })
      const inner = db.transaction(async (nested) => {
        await nested.insert(notes(table)).values({ id: 2 })
        throw new Error('inner')
      })
      await expect(inner).rejects.toThrow('inner')
    })
    expect(await idsIn(admin, table)).toEqual([1])
  })
})

describe('a query that cannot be sent', () => {
  test('rejects alone: every other gets its own rows', async ({ open }) => {
    const pool = open()
    await pool.sql`select 1`
    const circular: string[] = []
    circular.push(circular as unknown as string)
    const bad: Promise<unknown>[] = []
    const good = Array.from({ length: 30 }, (_, id) => {
      if (id % 5 === 3) bad.push(failure(pool.sql`select ${undefined as unknown as string}::text as id`.execute()))
      if (id % 5 === 4) bad.push(failure(pool.sql`select ${pool.sql.json(circular)} as id`.execute()))
      return pool.sql`select ${id}::int as id`.execute()
    })
    expect((await Promise.all(good)).map(([row]) => row?.id)).toEqual(good.map((_, id) => id))
    expect(await Promise.all(bad)).toHaveLength(12)
  })
})

describe('a COPY', () => {
  for (const where of ['alone', 'in a transaction'] as const)
    test(`${where} that fails after its last byte rejects and gives its connection back`, async ({
      open,
      admin,
      table,
    }) => {
      const pool = open()
      const copy = async (sql: Pool['sql'] | TransactionSql) =>
        pipeline(Readable.from(['1\n', '2\n', '1\n']), await copyInto(sql, table))
      const error = await failure(where === 'alone' ? copy(pool.sql) : pool.transaction((_, sql) => copy(sql)))
      expect(error.code).toBe('23505')
      await pipeline(Readable.from(['5\n', '6\n']), await copyInto(pool.sql, table))
      expect(await idsIn(admin, table)).toEqual([5, 6])
    })

  test('whose backend is killed midway rejects as unavailable and leaves no row', async ({ open, admin, table }) => {
    const pool = open()
    const pid = await pidOf(pool.sql)
    async function* source() {
      yield '1\n'
      await kill(admin, pid)
      for (let id = 2; ; id++) yield `${id}\n`
    }
    await expectUnavailable(pipeline(source, await copyInto(pool.sql, table)))
    await expectUsable(pool)
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('whose backend is killed after the last byte rejects as unavailable', async ({ open, admin, table }) => {
    const pool = open()
    const pid = await pidOf(pool.sql)
    await admin.transaction(async (_, sql) => {
      await sql`insert into ${sql(table)} values (1)`
      const copy = failure(pipeline(Readable.from(['1\n']), await copyInto(pool.sql, table)))
      await untilBlocked(admin, pid)
      await kill(admin, pid)
      expect(await copy).toSatisfy(isUnavailable)
    })
    expect(await idsIn(admin, table)).toEqual([1])
  })

  test('whose source fails midway is abandoned by the server, and its connection serves again', async ({
    open,
    admin,
    table,
  }) => {
    const pool = open()
    async function* source() {
      yield '1\n'
      throw new Error('the upload broke off')
    }
    await expect(pipeline(source, await copyInto(pool.sql, table))).rejects.toThrow('the upload broke off')
    await expectUsable(pool)
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('left open by a transaction that fails does not hold its connection', async ({ open, admin, table }) => {
    const pool = open()
    const transaction = pool.transaction(async (_, sql) => {
      const copy = await copyInto(sql, table)
      copy.write('1\n')
      throw new Error('no more')
    })
    await expect(transaction).rejects.toThrow('no more')
    await expectUsable(pool)
    expect(await idsIn(admin, table)).toEqual([])
  })

  test('that failed unnoticed cannot be committed', async ({ open, table }) => {
    const transaction = open().transaction(async (_, sql) => {
      const copy = await copyInto(sql, table)
      await new Promise((resolve) => copy.on('close', resolve).end('not a number\n'))
    })
    expect(await failure(transaction)).toMatchObject({ code: 'TRANSACTION_ROLLED_BACK' })
  })

  test('is never broken by another query of the pool, which waits for it', async ({ open, admin, table }) => {
    const pool = open()
    const copy = await copyInto(pool.sql, table)
    const query = pool.sql`select 1 as one`.execute()
    await pipeline(Readable.from(['1\n']), copy)
    expect(await query).toEqual([{ one: 1 }])
    expect(await idsIn(admin, table)).toEqual([1])
  })

  test('to a reader who leaves gives its connection back', async ({ open }) => {
    const pool = open()
    const rows = await pool.sql`copy (select generate_series(1, 300000)) to stdout`.readable()
    for await (const _ of rows) break
    await expectUsable(pool)
  })
})
