import { chmod, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type postgres from 'postgres'
import { describe, expect, vi } from 'vitest'
import { rehearse } from '../../src/cli/backup.ts'
import { BackupError, backup, restore } from '../../src/db/backup.ts'
import { migrationStates } from '../../src/db/migrate.ts'
import { type Api, type Person, startApi } from '../helpers/api.ts'
import { stateOf } from '../helpers/contract.ts'
import { test as base } from '../helpers/scratch.ts'
import { ownerSql } from '../helpers/sql.ts'

type Source = { api: Api; owner: Person; source: postgres.Sql; saved: string }

/** A service with some data, and a backup of it. */
const test = base.extend<Source>({
  api: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
    async ({}, use) => {
      const api = await startApi()
      await use(api)
      await api.close()
    },
    { scope: 'file' },
  ],
  source: async ({ api }, use) => {
    const sql = ownerSql(api.ownerUrl)
    await use(sql)
    await sql.end()
  },
  owner: async ({ api }, use) => {
    const owner = await api.newOwner()
    const book = await owner.post('/portfolios', { name: 'a\tb\\c\nd "e" \\N', currency: 'USD' })
    const loan = await owner.post('/loans', {
      portfolio_id: book.body.id,
      loan_number: 'Ä1',
      borrower_name: '\\.',
      original_principal: '123456789012.3456',
      currency: 'USD',
      status: 'current',
      originated_on: '2024-02-29',
      attributes: { 'a"b': 'c\\d', n: 1.5, x: null },
    })
    const keyed = await owner.post('/portfolios', { name: 'Keyed', currency: 'USD' }, { 'idempotency-key': 'backup' })
    for (const { status, text } of [book, loan, keyed]) expect(status, text).toBe(201)
    await api.app.runTask('seal audit')
    await use(owner)
  },
  saved: async ({ api, owner: _owner, folder }, use) => {
    await backup(api.ownerUrl, join(folder, 'saved'))
    await use(join(folder, 'saved'))
  },
})

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => 'it worked',
    (error: Error) => (error instanceof BackupError ? error.message : Promise.reject(error)),
  )

/** Everything but when migrations were applied. */
async function contentOf(sql: postgres.Sql) {
  const { tenon_migrations: _, ...tables } = await stateOf(sql)
  return tables
}

describe('a backup', () => {
  test('restored into an empty database is the same, and serves', async ({ api, owner, source, saved, url, sql }) => {
    const service = decodeURIComponent(new URL(api.url).username)
    const done = await restore(url, saved, { serviceRole: service })
    const before = await contentOf(source)
    expect(await contentOf(sql)).toEqual(before)
    expect(done.map(({ name, rows }) => [name, rows])).toEqual(
      Object.entries(before)
        .map(([name, { rows }]) => [name, rows])
        .toSorted(),
    )
    expect((await migrationStates(url)).every(({ state }) => state === 'applied')).toBe(true)
    const restored = await startApi({}, { url: withDatabase(api.url, url), ownerUrl: url })
    const person = await restored.signIn(owner.email)
    expect((await person.get('/portfolios')).body.data).toHaveLength(2)
    expect((await person.get('/audit-events/verify')).body).toMatchObject({ valid: true })
    await restored.app.runTask('seal audit')
    expect((await person.get('/audit-events/verify')).body).toMatchObject({ valid: true, unsealed: 0 })
    await expect(restored.app.pools.requests.sql`delete from audit_events`).rejects.toMatchObject({ code: '42501' })
    await restored.close()
  })

  test('is of one moment, whatever is written meanwhile', async ({ api, owner, folder, url, sql }) => {
    let writing = true
    const writer = (async () => {
      for (let number = 0; writing; number++) {
        await owner.post('/portfolios', { name: `P${number}`, currency: 'USD' })
        await api.app.runTask('seal audit')
      }
    })()
    await backup(api.ownerUrl, join(folder, 'busy'))
    writing = false
    await writer
    await restore(url, join(folder, 'busy'))
    const [counts] = await sql`
      select (select count(*) from portfolios) as made,
        (select count(*) from audit_events where action = 'portfolio.created') as told`
    expect(counts?.made).toBe(counts?.told)
  })

  test('leaves out nothing that a migration can make: no sequence, view or partition', async ({ api: _, source }) => {
    const others = await source`
      select relname, relkind from pg_class
      where relnamespace = 'public'::regnamespace and relkind not in ('r', 'i')`
    expect([...others]).toEqual([])
  })

  test('can be read by its maker only, and overwrites nothing', async ({ api, saved }) => {
    expect((await stat(saved)).mode & 0o777).toBe(0o700)
    for (const name of await readdir(saved)) expect((await stat(join(saved, name))).mode & 0o777).toBe(0o600)
    expect(await refusalOf(backup(api.ownerUrl, saved))).toMatch(/is there already/)
  })
})

describe('a restore', () => {
  test('refuses a database that holds anything, and leaves it as it is', async ({ api, source, saved }) => {
    const before = await contentOf(source)
    expect(await refusalOf(restore(api.ownerUrl, saved))).toMatch(/^The database is not empty: \w+ has rows/)
    expect(await contentOf(source)).toEqual(before)
  })

  test('leaves no row where a file is cut short, altered or missing', async ({ saved, url, sql }) => {
    const file = join(saved, 'portfolios.copy.gz')
    await chmod(file, 0o600)
    const whole = await readFile(file)
    const text = gunzipSync(whole).toString()
    const empty = async () => {
      const [row] = await sql`select count(*)::int as count from users`
      expect(row?.count).toBe(0)
    }
    await truncate(file, whole.length - 20)
    await expect(restore(url, saved)).rejects.toThrow(/unexpected end of file/)
    await empty()
    await writeFile(file, gzipSync(text.slice(0, text.indexOf('\n') + 1)))
    expect(await refusalOf(restore(url, saved))).toMatch(/^portfolios was restored as 1 rows, and not as/)
    await empty()
    await writeFile(file, gzipSync(text.replace('Keyed', 'Kexed')))
    expect(await refusalOf(restore(url, saved))).toMatch(/^portfolios was restored/)
    await empty()
    await writeFile(file, whole)
    await restore(url, saved)
    const [row] = await sql`select count(*)::int as count from users`
    expect(row?.count).toBeGreaterThan(0)
    const keys = await sql`select from pg_constraint where contype = 'f'`
    expect(keys.length).toBeGreaterThan(5)
  })

  test('refuses a backup that is not whole, or of a version it does not know', async ({ saved, url }) => {
    const path = join(saved, 'manifest.json')
    const manifest = await readFile(path, 'utf8')
    await writeFile(path, manifest.replace(/"hash": "../, '"hash": "zz'))
    expect(await refusalOf(restore(url, saved))).toMatch(/^The backup is of another version \(0000_init\)/)
    expect(await refusalOf(restore(url, join(saved, 'nothing')))).toMatch(/it is no whole backup/)
  })
})

describe('a rehearsal', () => {
  const quiet = () => [vi.spyOn(console, 'table').mockReturnValue(), vi.spyOn(console, 'log').mockReturnValue()]
  const scratches = async (sql: postgres.Sql) =>
    (await sql`select from pg_database where datname like 'tenon_rehearsal_%'`).length

  test('backs up, restores elsewhere, verifies the chains, and leaves nothing behind', async ({
    api,
    owner: _,
    source,
  }) => {
    const before = await stateOf(source)
    const [, said] = quiet()
    await rehearse({ url: api.ownerUrl })
    expect(said?.mock.calls.at(-1)?.[0]).toMatch(/^Restored \d+ tables, the same as before; \d+ audit chains over \d+/)
    vi.restoreAllMocks()
    expect(await stateOf(source)).toEqual(before)
    expect(await scratches(source)).toBe(0)
  })

  test('fails where a chain does not hold', async ({ api, owner, source }) => {
    const [event] = await source`
      update audit_events set ip = '192.0.2.9' where org_id = ${owner.orgId} and action = 'portfolio.created'
      returning id`
    quiet()
    expect(await refusalOf(rehearse({ url: api.ownerUrl }))).toMatch(
      `The audit chain of ${owner.orgId} does not hold: {"seq":`,
    )
    vi.restoreAllMocks()
    expect(event).toBeDefined()
    expect(await scratches(source)).toBe(0)
  })
})

/** A URL of the same credentials and another's database. */
const withDatabase = (credentials: string, other: string) =>
  Object.assign(new URL(credentials), { pathname: new URL(other).pathname }).href
