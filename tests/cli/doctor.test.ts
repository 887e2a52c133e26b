import { readdir, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import { describe, expect, onTestFinished, vi } from 'vitest'
import type { Finding } from '../../src/cli/doctor-findings.ts'
import { tenon, tenonHere } from '../helpers/cli.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { freePort } from '../helpers/port.ts'
import { test as base } from '../helpers/scratch.ts'
import { ownerSql } from '../helpers/sql.ts'
import { withUrl } from '../helpers/url.ts'

const strong = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'
const secrets = { JWT_SECRET: strong, ENCRYPTION_KEY: `${strong}+` }

type Database = Awaited<ReturnType<typeof cloneDatabase>>

const test = base.extend<{ database: Database; examine: Examine }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  database: async ({}, use) => {
    const database = await cloneDatabase()
    await use(database)
    await database.drop()
  },
  /** Runs the doctor in an empty data directory, on a database of the test's own, and gives what each check said. */
  examine: async ({ database, folder }, use) => {
    await use(async (env = {}) => {
      const given = { DATABASE_URL: database.url, MIGRATION_DATABASE_URL: database.ownerUrl, DATA_DIR: folder }
      const { code, out, err } = await tenonHere(['doctor', '--json'], { ...given, ...secrets, ...env })
      expect(err).toBe('')
      const findings = JSON.parse(out) as Finding[]
      return { code, findings, of: (name: string) => findings.find(({ check }) => check === name)?.status }
    })
  },
})

type Examine = (
  env?: Record<string, string>,
) => Promise<{ code: number | null; findings: Finding[]; of: (name: string) => string | undefined }>

const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://api.bank.test', TRUSTED_PROXIES: '10.0.0.0/8' }

describe('the doctor', () => {
  test('finds nothing wrong with a sound service, and prints a line a check', async ({ database, examine, folder }) => {
    const { code, findings } = await examine()
    expect(findings.filter(({ status }) => status !== 'ok')).toEqual([])
    expect(code).toBe(0)
    expect(findings.map(({ check }) => check).sort()).toEqual([
      ...['audit_chain', 'clock', 'configuration', 'database', 'encryption', 'mail', 'migrations', 'outbox', 'proxies'],
      ...['public_url', 'redis', 'rights', 'storage', 'verification'],
    ])
    const text = await tenon(['doctor'], { DATABASE_URL: database.url, DATA_DIR: folder, ...secrets })
    expect(text.out.trim().split('\n')).toHaveLength(findings.length)
    expect(text.out).toMatch(/^ok {4}rights {9}The role \S+ can add to the audit trail, and cannot change it\.$/m)
  })

  test('changes nothing: no secrets, no directory, no embedded Postgres', async ({ folder }) => {
    const dataDir = join(folder, 'data')
    const { code, out } = await tenon(['doctor', '--json'], { DATA_DIR: dataDir, NODE_ENV: 'development' })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toContainEqual({
      check: 'database',
      status: 'warn',
      message: expect.stringContaining('does not run: start the service'),
    })
    expect(await readdir(folder)).toEqual([])
  })

  test('names each fault of the configuration', async () => {
    const { code, out } = await tenon(['doctor'], { NODE_ENV: 'production', JWT_SECRET: 'short' })
    expect(code).toBe(1)
    expect(out).toMatch(/^fail {2}configuration {2}JWT_SECRET is too short .+ENCRYPTION_KEY is missing/ms)
  })

  test('refuses what would not do in production', async ({ examine }) => {
    const bare = await examine({ NODE_ENV: 'production' })
    expect(bare.code).toBe(1)
    for (const check of ['public_url', 'verification']) expect([check, bare.of(check)]).toEqual([check, 'fail'])
    for (const check of ['mail', 'proxies']) expect([check, bare.of(check)]).toEqual([check, 'warn'])
    expect((await examine({ ...production, PUBLIC_URL: 'http://api.bank.test' })).of('public_url')).toBe('fail')
    const sound = await examine({ ...production, REQUIRE_VERIFIED_EMAIL: 'false' })
    expect(sound.code).toBe(0)
    for (const check of ['public_url', 'proxies', 'verification'])
      expect([check, sound.of(check)]).toEqual([check, 'ok'])
  })

  test('tells a database that is away, a wrong password and one that was never migrated apart', async ({
    database,
    examine,
    url,
  }) => {
    const away = await examine({ DATABASE_URL: `postgres://tenon:hidden@127.0.0.1:${await freePort()}/none` })
    expect([away.code, away.of('database')]).toEqual([1, 'fail'])
    expect(JSON.stringify(away.findings)).not.toContain('hidden')
    const wrong = await examine({ DATABASE_URL: withUrl(database.url, { password: 'wrong' }) })
    expect(wrong.of('database')).toBe('fail')
    const empty = await examine({ DATABASE_URL: url, MIGRATION_DATABASE_URL: url })
    expect([empty.code, empty.of('database'), empty.of('migrations')]).toEqual([0, 'ok', 'warn'])
    const lost = await examine({ MIGRATION_DATABASE_URL: withUrl(database.ownerUrl, { password: 'wrong' }) })
    expect([lost.code, lost.of('migrations')]).toEqual([1, 'fail'])
  })

  test('sees migrations that drifted and those of a newer version', async ({ database, examine }) => {
    const sql = ownerSql(database.ownerUrl)
    await sql`insert into tenon_migrations (tag, hash) values ('9999_newer', 'x')`
    const newer = await examine()
    expect([newer.code, newer.of('migrations')]).toEqual([1, 'fail'])
    await sql`delete from tenon_migrations where tag = '9999_newer'`
    await sql`update tenon_migrations set hash = 'x' where tag like '0000%'`
    expect((await examine()).of('migrations')).toBe('fail')
    await sql.end()
  })

  test('sees a service role that can change the audit trail, or lacks a right', async ({ database, examine }) => {
    const sql = ownerSql(database.ownerUrl)
    const role = decodeURIComponent(new URL(database.url).username)
    await sql`grant update on audit_seals to ${sql(role)}`
    const loose = await examine()
    expect([loose.code, loose.of('rights')]).toEqual([1, 'fail'])
    const one = await examine({ DATABASE_URL: database.ownerUrl, MIGRATION_DATABASE_URL: '' })
    expect([one.code, one.of('rights')]).toEqual([0, 'warn'])
    await sql`revoke update on audit_seals from ${sql(role)}`
    await sql`revoke delete on sessions from ${sql(role)}`
    const tight = await examine()
    expect(tight.findings).toContainEqual(
      expect.objectContaining({ check: 'rights', status: 'fail', message: expect.stringContaining(' sessions:') }),
    )
    await sql.end()
  })

  test('warns of clocks that are more than a second apart, and fails beyond thirty', async ({ examine }) => {
    const { now } = Date
    const shift = (ms: number) => vi.spyOn(Date, 'now').mockImplementation(() => now() + ms)
    onTestFinished(() => void vi.restoreAllMocks())
    shift(-20_000)
    expect((await examine()).of('clock')).toBe('warn')
    shift(300_000)
    const far = await examine()
    expect([far.code, far.of('clock')]).toEqual([1, 'fail'])
    expect(far.findings.find(({ check }) => check === 'clock')?.message).toMatch(/ (299|300)\.\d s apart/)
  })

  test('sees mail and events that wait too long', async ({ database, examine }) => {
    const sql = ownerSql(database.ownerUrl)
    await sql`insert into mail_outbox (id, template, recipient, due_at, outcome) values
      (gen_random_uuid(), 'verify_email', 'a@example.com', now() - interval '9 minutes', null),
      (gen_random_uuid(), 'verify_email', 'b@example.com', now() - interval '1 hour', 'sent')`
    const event = async (age: string) =>
      sql`with event as (
          insert into audit_events (org_id, id, action, subject_type, created_at)
          values (gen_random_uuid(), gen_random_uuid(), 'a.b', 'a', now() - ${age}::interval) returning org_id, id)
        insert into audit_queue (org_id, id) select org_id, id from event`
    await event('3 seconds')
    const young = await examine()
    expect([young.of('outbox'), young.of('audit_chain')]).toEqual(['ok', 'ok'])
    await sql`update mail_outbox set due_at = now() - interval '11 minutes'`
    await event('12 seconds')
    const late = await examine()
    expect([late.code, late.of('outbox'), late.of('audit_chain')]).toEqual([0, 'warn', 'warn'])
    await sql.end()
  })

  test('signs in at the mail server, and sends nothing', async ({ examine }) => {
    let received = 0
    const server = new SMTPServer({
      authOptional: false,
      allowInsecureAuth: true,
      hideSTARTTLS: true,
      onAuth: ({ password }, _session, done) => done(password === strong ? null : new Error('no'), { user: 'tenon' }),
      onData: (stream, _session, done) => {
        received++
        stream.resume().on('end', () => done())
      },
    })
    await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
    const { port } = server.server.address() as AddressInfo
    const smtp = (word: string, at = port) => ({ SMTP_URL: `smtp://tenon:${word}@127.0.0.1:${at}` })
    expect((await examine(smtp(strong))).of('mail')).toBe('ok')
    const wrong = await examine(smtp('hidden-word'))
    expect([wrong.code, wrong.of('mail')]).toEqual([1, 'fail'])
    expect(JSON.stringify(wrong.findings)).not.toContain('hidden-word')
    expect((await examine(smtp(strong, await freePort()))).of('mail')).toBe('fail')
    expect(received).toBe(0)
    await new Promise<void>((done) => server.close(done))
  })

  test('asks Redis where it is configured', async ({ examine }) => {
    const away = await examine({ REDIS_URL: `redis://:hidden@127.0.0.1:${await freePort()}` })
    expect([away.code, away.of('redis')]).toEqual([1, 'fail'])
    expect(JSON.stringify(away.findings)).not.toContain('hidden')
  })

  test('refuses a data directory that is none', async ({ examine, folder }) => {
    await writeFile(join(folder, 'file'), '')
    const { code, of } = await examine({ DATA_DIR: join(folder, 'file') })
    expect([code, of('storage')]).toEqual([1, 'fail'])
  })
})
