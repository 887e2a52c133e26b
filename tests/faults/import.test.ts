import { describe, expect } from 'vitest'
import { type Api, test as base, type Person, password } from '../helpers/api.ts'
import { newPortfolio } from '../helpers/credit.ts'
import { beginUpload, countLoans, importCsv, tapeOf, untilImport } from '../helpers/imports.ts'
import { type Server, startServer } from '../helpers/server.ts'
import { ownerSql } from '../helpers/sql.ts'

const id = '01a1fc48-63df-70bb-aa5f-4adae57bd6a5'
/** Several chunks, so that rows are in the table when the import is struck. */
const tape = tapeOf(40_000)

/** A look at the connection that has begun to write loans, and a service of its own process on the same database. */
const test = base.extend<{ writing: () => Promise<number[]>; kill: (pid: number) => Promise<void>; server: Server }>({
  writing: async ({ api }, use) => {
    const sql = ownerSql(api.ownerUrl)
    await use(async () => {
      const found = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity join pg_locks using (pid)
        where datname = current_database() and application_name = 'tenon-ingest'
          and relation = 'loans'::regclass and mode = 'RowExclusiveLock'`
      return found.map(({ pid }) => pid)
    })
    await sql.end()
  },
  kill: async ({ api }, use) => {
    const sql = ownerSql(api.ownerUrl)
    await use(async (pid) => void (await sql`select pg_terminate_backend(${pid}, 10000)`))
    await sql.end()
  },
  server: async ({ api }, use) => {
    const server = await startServer({ DATABASE_URL: api.url, MIGRATION_DATABASE_URL: api.ownerUrl })
    await use(server)
    await server.dispose()
  },
})

const untilWriting = (writing: () => Promise<number[]>) =>
  expect.poll(async () => (await writing()).length, { timeout: 20_000, interval: 20 }).toBe(1)

async function tokenAt(address: string, { email }: Person): Promise<string> {
  const answer = await fetch(`${address}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: email, password }),
  })
  return ((await answer.json()) as { access_token: string }).access_token
}

const addressOf = ({ app }: Api) => app.listen({ port: 0, host: '127.0.0.1' })

describe('an import is all or nothing', () => {
  test('when the service is killed: no row of it is left, and it says that it was interrupted', async ({
    owner,
    server,
    writing,
  }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const upload = await beginUpload(server.address, await tokenAt(server.address, owner), portfolio, { id }, tape)
    await untilWriting(writing)
    expect((await owner.get(`/imports/${id}`)).body.status).toBe('running')
    server.process.kill('SIGKILL')
    await server.exited
    upload.cut()

    await untilImport(owner, id, { status: 'failed', inserted: 0, failure: { code: 'interrupted' } })
    expect((await owner.get('/imports')).body.data).toMatchObject([{ id, status: 'failed' }])
    expect(await countLoans(owner, portfolio)).toBe(0)
    expect((await importCsv(owner, portfolio, tape)).body).toMatchObject({ inserted: 40_000 })
  })

  test('when its database connection is killed: it answers 503, and the process lives', async ({
    api,
    owner,
    kill,
    writing,
  }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const upload = await beginUpload(await addressOf(api), owner.token, portfolio, { id }, tape)
    await untilWriting(writing)
    await kill((await writing())[0] as number)
    upload.end()
    expect(await upload.answer).toMatchObject({ status: 503, body: { code: 'unavailable', import_id: id } })
    const told = await owner.get(`/imports/${id}`)
    expect(told.body).toMatchObject({ status: 'failed', inserted: 0, failure: { code: expect.any(String) } })
    expect(await countLoans(owner, portfolio)).toBe(0)
    expect((await importCsv(owner, portfolio, tape)).body).toMatchObject({ inserted: 40_000 })
  })
})
