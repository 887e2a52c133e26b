import { randomBytes } from 'node:crypto'
import { eq, getTableName } from 'drizzle-orm'
import { bigint, date, integer, jsonb, numeric, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { describe, expect } from 'vitest'
import { isUnavailable } from '../../src/db/client.ts'
import { test as base, failure } from '../helpers/pools.ts'

const samples = (name: string) =>
  pgTable(name, {
    id: integer().primaryKey(),
    at: timestamp({ withTimezone: true, mode: 'string', precision: 3 }),
    day: date({ mode: 'string' }),
    amount: numeric({ precision: 20, scale: 4 }),
    count: bigint({ mode: 'number' }),
    data: jsonb().$type<unknown>(),
    words: text().array(),
    keys: uuid().array(),
    edges: integer().array(),
    days: date({ mode: 'string' }).array(),
  })

const row = {
  id: 1,
  at: '2026-11-21T02:58:30.120Z',
  day: '2024-02-29',
  amount: '12345678901234.5600',
  count: 9_007_199_254_740_991,
  data: { text: 'a "quoted" \\ one', list: [1, null, { deep: true }], number: '5' },
  words: ['plain', 'a,b', 'quote " and \\', '', ' ', 'NULL', '{x}', 'two\nlines', 'é'],
  keys: ['018f3f5e-0000-7000-8000-000000000001', '018f3f5e-0000-7000-8000-000000000002'],
  edges: [1, -30, 90],
  days: ['2024-02-29', '1999-12-31'],
}

const test = base.extend<{ table: ReturnType<typeof samples> }>({
  table: async ({ admin }, use) => {
    const name = `client_${randomBytes(6).toString('hex')}`
    await admin.sql`create table ${admin.sql(name)} (
      id int primary key, at timestamptz(3), day date, amount numeric(20, 4), count bigint, data jsonb,
      words text[], keys uuid[], edges int[], days date[])`
    await use(samples(name))
    await admin.sql`drop table ${admin.sql(name)}`
  },
})

describe('a row', () => {
  test('written by Drizzle reads the same through Drizzle and as raw SQL', async ({ open, table }) => {
    const { sql, db } = open()
    await db.insert(table).values(row)
    expect(await db.select().from(table)).toEqual([row])
    expect([...(await sql`select * from ${sql(getTableName(table))}`)]).toEqual([row])
    const byId = db.select().from(table).where(eq(table.at, row.at)).prepare('by_time')
    for (let time = 0; time < 2; time++) expect(await byId.execute()).toEqual([row])
  })

  test('written by raw SQL reads the same through Drizzle and as raw SQL', async ({ open, table }) => {
    const { sql, db } = open()
    // Twice, for the first time the driver asks for the types of the parameters and then it knows them.
    for (const id of [1, 2])
      await sql`
        insert into ${sql(getTableName(table))} values (${id}, ${row.at}, ${row.day}, ${row.amount}, ${row.count}, ${sql.json(row.data)},
          ${row.words}, ${row.keys}, ${row.edges}, ${row.days})`
    expect(await db.select().from(table)).toEqual([row, { ...row, id: 2 }])
    expect([...(await sql`select * from ${sql(getTableName(table))} order by id`)]).toEqual([row, { ...row, id: 2 }])
  })

  test('of nothing but nulls stays so', async ({ open, table }) => {
    const { sql, db } = open()
    const nulls = { ...Object.fromEntries(Object.keys(row).map((key) => [key, null])), id: 1 }
    await db.insert(table).values({ id: 1 })
    expect(await db.select().from(table)).toEqual([nulls])
    expect([...(await sql`select * from ${sql(getTableName(table))}`)]).toEqual([nulls])
  })

  test('is written in bulk by unnest, nulls included', async ({ open, table }) => {
    const { sql, db } = open()
    const rows = Array.from({ length: 1_000 }, (_, id) => ({
      ...{ id, at: id % 3 ? row.at : null, day: id % 5 ? row.day : null, amount: id % 7 ? '1.5000' : null },
      ...{ count: id % 11 ? id : null, data: id % 2 ? { id } : null, words: null, keys: null, edges: null, days: null },
    }))
    const column = <K extends keyof (typeof rows)[0]>(key: K) => rows.map((one) => one[key])
    await sql`
      insert into ${sql(getTableName(table))} (id, at, day, amount, count, data)
      select * from unnest(${column('id')}::int[], ${column('at')}::timestamptz[], ${column('day')}::date[],
        ${column('amount')}::numeric[], ${column('count')}::bigint[], ${column('data') as never}::jsonb[])`
    expect(await db.select().from(table).orderBy(table.id)).toEqual(rows)
  })
})

describe('a value', () => {
  const instants = [
    ['2026-11-21 02:58:30.123456+00', '2026-11-21T02:58:30.123Z'],
    ['2026-11-21 02:58:30.999999+00', '2026-11-21T02:58:30.999Z'],
    ['2026-11-21 02:58:30.1+00', '2026-11-21T02:58:30.100Z'],
    ['2026-11-21 02:58:30+00', '2026-11-21T02:58:30.000Z'],
    ['2026-11-21 03:58:30+05:30', '2026-11-20T22:28:30.000Z'],
    ['12026-11-21 02:58:30+00', '12026-11-21T02:58:30.000Z'],
    ['infinity', 'infinity'],
    ['0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
  ]
  for (const [written, read] of instants)
    test(`of timestamptz '${written}' reads as ${read}`, async ({ open }) => {
      const [row] = await open({ max: 1 }).sql`select ${written!}::timestamptz as at`
      expect(row).toEqual({ at: read })
    })

  test('may be a Date', async ({ open }) => {
    const at = new Date('2026-11-21T02:58:30.123Z')
    const { sql } = open()
    expect([...(await sql`select ${at}::timestamptz as at, ${sql.array([at])} as list`)]).toEqual([
      { at: at.toISOString(), list: [at.toISOString()] },
    ])
  })

  test('of bigint is a number while that is exact', async ({ open }) => {
    const [row] = await open().sql`select count(*), 9007199254740993::bigint as big from generate_series(1, 3)`
    expect(row).toEqual({ count: 3, big: '9007199254740993' })
  })

  test('of an array may be null, and the array empty', async ({ open }) => {
    const { sql } = open()
    const lists = { texts: ['NULL', null, 'null'], none: [], flags: [true, null, false] }
    const query = sql`select ${lists.texts}::text[] as texts, ${lists.none}::int[] as none,
      ${sql.array(lists.flags)} as flags`
    expect([...(await query)]).toEqual([lists])
  })
})

describe('a session', () => {
  test('has the settings of its pool', async ({ open }) => {
    const pool = open({ name: 'mine', statementTimeoutMs: 0, lockTimeoutMs: 1_500, idleInTransactionTimeoutMs: 2_500 })
    const [settings] = await pool.sql`
      select current_setting('application_name') as name, current_setting('TimeZone') as zone,
        current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
        current_setting('idle_in_transaction_session_timeout') as idle`
    expect(settings).toEqual({ name: 'mine', zone: 'UTC', statement: '0', lock: '1500ms', idle: '2500ms' })
  })

  test('cuts off a statement past its time, which does not make the database unavailable', async ({ open }) => {
    const error = await failure(open({ statementTimeoutMs: 50 }).sql`select pg_sleep(60)`)
    expect(error).toMatchObject({ code: '57014' })
    expect(isUnavailable(error)).toBe(false)
  })

  test('left idle in a transaction is ended by the server, and the transaction rejects', async ({ open }) => {
    const pool = open({ idleInTransactionTimeoutMs: 50 })
    const forever = pool.transaction(async () => new Promise(() => undefined))
    expect(await failure(forever)).toSatisfy(isUnavailable)
  })
})
