import type { AddressInfo } from 'node:net'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type Api, test as base, type Person, password } from '../helpers/api.ts'
import { newPortfolio } from '../helpers/credit.ts'
import {
  balanceHeader,
  balanceRow,
  beginUpload,
  countLoans,
  type Fields,
  importCsv,
  type OpenUpload,
  untilImport,
} from '../helpers/imports.ts'
import { startServer } from '../helpers/server.ts'
import { ownerSql } from '../helpers/sql.ts'

const id = '01a1fc48-63df-70bb-aa5f-4adae57bd6a5'
const januaryRows = 300
/** Several chunks, so that rows are in the table when the import is struck. */
const februaryRows = 25_000

const rows = (count: number, balance: string) =>
  Array.from({ length: count }, (_, at) => balanceRow(at + 1, balance)).join('')
const january = `${balanceHeader}\n${rows(januaryRows, '100')}`
const february = `${balanceHeader}\n${rows(februaryRows, '90')}`
const options: Fields = { id, mode: 'upsert', as_of: '2024-02-29' }

/** The connection that loads an import: what it does, and for what it waits. */
const loaderOf = async (sql: postgres.Sql) => {
  const [loader] = await sql<{ pid: number; waits: boolean; writes: boolean }[]>`
    select pid, wait_event_type is not distinct from 'Lock' as waits, exists (
      select from pg_locks l where l.pid = a.pid and relation = 'loans'::regclass and mode = 'RowExclusiveLock') as writes
    from pg_stat_activity a where datname = current_database() and application_name = 'tenon-ingest'
      and xact_start is not null`
  return loader
}

const until = (sql: postgres.Sql, what: 'waits' | 'writes') =>
  expect.poll(async () => (await loaderOf(sql))?.[what], { timeout: 20_000, interval: 10 }).toBe(true)

/** Locks a row, as another change of it does, until what it returns is called. */
async function hold(sql: postgres.Sql, table: string, key: postgres.PendingQuery<postgres.Row[]>): Promise<() => void> {
  const locked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  void sql.begin(async (tx) => {
    await tx`select from ${tx(table)} where ${key} for update`
    locked.resolve()
    await released.promise
  })
  await locked.promise
  return released.resolve
}

type Strike = { sql: postgres.Sql; owner: Person; portfolio: string; upload: OpenUpload }

/** Where an import is when it is struck: how it gets there, and what is to be left of it. */
type Moment = {
  title: string
  head?: string
  reach: (at: Strike) => Promise<(() => void) | undefined>
  left: 'all' | 'none'
}

const moments: Moment[] = [
  {
    title: 'before its first chunk',
    head: `${balanceHeader}\n${rows(10, '90')}`,
    reach: async ({ owner }) => {
      await untilImport(owner, id, { status: 'running', received: 10 })
      return undefined
    },
    left: 'none',
  },
  {
    title: 'while rows are written, and more are awaited',
    reach: async ({ sql }) => {
      await until(sql, 'writes')
      return undefined
    },
    left: 'none',
  },
  {
    title: 'within the statement that changes loans and keeps what they were',
    head: `${balanceHeader}\n`,
    reach: async ({ sql, portfolio, upload }) => {
      const release = await hold(sql, 'loans', sql`portfolio_id = ${portfolio} and loan_number = 'L-7'`)
      await upload.send(rows(februaryRows, '90'))
      await until(sql, 'waits')
      return release
    },
    left: 'none',
  },
  {
    title: 'when everything is written but not committed',
    reach: async ({ sql, owner, upload }) => {
      await untilImport(owner, id, { status: 'running', received: februaryRows })
      const release = await hold(sql, 'imports', sql`id = ${id}`)
      upload.end()
      await until(sql, 'waits')
      return release
    },
    left: 'none',
  },
  {
    title: 'just after its commit',
    reach: async ({ owner, upload }) => {
      upload.end()
      await untilImport(owner, id, { status: 'completed' })
      return undefined
    },
    left: 'all',
  },
]

const test = base.extend<{ sql: postgres.Sql; book: { portfolio: string; before: unknown } }>({
  sql: async ({ api }, use) => {
    const sql = ownerSql(api.ownerUrl, 3)
    await use(sql)
    await sql.end()
  },
  book: async ({ owner, sql }, use) => {
    const { id: portfolio } = await newPortfolio(owner)
    expect((await importCsv(owner, portfolio, january, { as_of: '2024-01-31' })).status).toBe(201)
    await use({ portfolio, before: await stateOf(sql, portfolio) })
  },
})

/** Loans, versions and snapshots of a portfolio, and its date: one hash of all. */
const stateOf = async (sql: postgres.Sql, portfolio: string) => {
  const [state] = await sql`
    select (select md5(string_agg(l::text, '|' order by id)) from loans l where portfolio_id = ${portfolio}) as loans,
      (select md5(string_agg(v::text, '|' order by id)) from loan_versions v where portfolio_id = ${portfolio}) as versions,
      (select as_of::text from portfolios where id = ${portfolio}) as as_of`
  return state
}

const expectAll = async ({ sql, owner, portfolio }: Omit<Strike, 'upload'>) => {
  expect((await owner.get(`/imports/${id}`)).body).toMatchObject({
    status: 'completed',
    inserted: februaryRows - januaryRows,
    updated: januaryRows,
    snapshots: februaryRows,
  })
  expect(await countLoans(owner, portfolio)).toBe(februaryRows)
  const counted = await sql`select count(*) filter (where as_of is null)::int as edits,
      count(*) filter (where as_of = '2024-02-29')::int as snapshots
    from loan_versions where portfolio_id = ${portfolio}`
  expect(counted).toEqual([{ edits: januaryRows, snapshots: februaryRows }])
  expect((await owner.get(`/portfolios/${portfolio}`)).body.as_of).toBe('2024-02-29')
}

const expectNone = async ({ sql, owner, portfolio }: Omit<Strike, 'upload'>, before: unknown, failure: object) => {
  await untilImport(owner, id, { status: 'failed', inserted: 0, updated: 0, snapshots: 0, failure })
  expect((await owner.get('/imports?status=failed')).body.data).toMatchObject([{ id }])
  expect(await stateOf(sql, portfolio)).toEqual(before)
  const again = await importCsv(owner, portfolio, `${balanceHeader}\n${rows(2, '90')}`, { mode: 'upsert' })
  expect(again.body).toMatchObject({ status: 'completed', updated: 2 })
}

async function tokenAt(address: string, { email }: Person): Promise<string> {
  const answer = await fetch(`${address}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: email, password }),
  })
  return ((await answer.json()) as { access_token: string }).access_token
}

const addressOf = async ({ app }: Api) => {
  if (app.server.listening) return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  return app.listen({ port: 0, host: '127.0.0.1' })
}

describe.each(moments)('an import that is struck $title', ({ head = february, reach, left }) => {
  test('by the end of its process leaves all of its rows or none, and says which', async ({
    api,
    owner,
    sql,
    book,
  }) => {
    const { portfolio, before } = book
    const server = await startServer({ DATABASE_URL: api.url, MIGRATION_DATABASE_URL: api.ownerUrl })
    try {
      const token = await tokenAt(server.address, owner)
      const upload = await beginUpload(server.address, token, portfolio, options, head)
      const release = await reach({ sql, owner, portfolio, upload })
      server.process.kill('SIGKILL')
      await server.exited
      release?.()
      upload.cut()
      if (left === 'all') await expectAll({ sql, owner, portfolio })
      else await expectNone({ sql, owner, portfolio }, before, { code: 'interrupted' })
    } finally {
      await server.dispose()
    }
  })

  test('by the end of its connection leaves all of its rows or none, answers so, and the process lives', async ({
    api,
    owner,
    sql,
    book,
  }) => {
    const { portfolio, before } = book
    const upload = await beginUpload(await addressOf(api), owner.token, portfolio, options, head)
    const release = await reach({ sql, owner, portfolio, upload })
    await sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where datname = current_database() and application_name = 'tenon-ingest'`
    release?.()
    upload.end()
    if (left === 'all') {
      expect((await upload.answer).status).toBe(201)
      return expectAll({ sql, owner, portfolio })
    }
    expect(await upload.answer).toMatchObject({ status: 503, body: { code: 'unavailable', import_id: id } })
    await expectNone({ sql, owner, portfolio }, before, { code: expect.any(String) })
  })
})
