import { randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, vi } from 'vitest'
import { type Api, Client, startApi } from '../helpers/api.ts'
import { readContract } from '../helpers/contract.ts'
import { Maker } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { newSuperuser } from '../helpers/sessions.ts'
import { ownerSql, test } from '../helpers/sql.ts'

const contract = await readContract()
const skewMs = 5 * 60_000
const Real = Date

/** Has this process's clock, and so the service in it, be wrong by so much; it goes on as fast as ever. */
function setWrong(ms: number): void {
  const now = () => Real.now() + ms
  vi.stubGlobal(
    'Date',
    new Proxy(Real, {
      construct: (real, given, made) => Reflect.construct(real, given.length > 0 ? given : [now()], made),
      apply: () => new Real(now()).toString(),
      get: (real, name) => (name === 'now' ? now : Reflect.get(real, name)),
    }),
  )
}

/** Runs a service whose clock is wrong. */
async function withSkew<T>(ms: number, work: (api: Api, sql: postgres.Sql) => Promise<T>): Promise<T> {
  setWrong(ms)
  const api = await startApi({ IMPORT_CONCURRENCY: '10' })
  const sql = ownerSql(api.ownerUrl)
  try {
    const { timestamp } = (await api.anonymous.get('http://host/health')).body
    const [row] = await sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
    expect(Math.abs(Date.parse(timestamp) - (row?.ms as number) - ms)).toBeLessThan(60_000)
    return await work(api, sql)
  } finally {
    await sql.end()
    await api.close()
  }
}

/** How far every stored moment lies from the database's present, in seconds: the earliest and the latest by column. */
async function momentsIn(sql: postgres.Sql): Promise<Record<string, number>> {
  const columns = await sql<{ table: string; column: string }[]>`
    select table_name as table, column_name as column from information_schema.columns
    where table_schema = 'public' and data_type like 'timestamp%' and table_name <> 'tenon_migrations'`
  const moments: Record<string, number> = {}
  for (const { table, column } of columns) {
    const away = sql`extract(epoch from ${sql(column)} - clock_timestamp())::float8`
    const [row] = await sql<{ low: number | null; high: number | null }[]>`
      select min(${away}) as low, max(${away}) as high from ${sql(table)}`
    if (row?.low != null) moments[`${table}.${column} earliest`] = row.low
    if (row?.high != null) moments[`${table}.${column} latest`] = row.high
  }
  return moments
}

/**
 * Does whatever a POST can do, and gives every moment that was stored meanwhile. Mail goes out at the end, not beside the
 * requests: a link that it carries ends the older ones, so it would be chance which of them are still there.
 */
async function everything(api: Api, sql: postgres.Sql): Promise<Record<string, number>> {
  for (const operation of contract.operations.filter(({ method }) => method === 'POST')) {
    const client = await newSuperuser(api, sql)
    const refresh_token = async () => (await api.signIn(client.email)).refreshToken
    const maker = new Maker(contract, { ...knownOn(api, sql, client), refresh_token }, readyOn(api, sql))
    const path = await maker.path(operation.path, client)
    const { body, headers } = await maker.payload(operation, client, path)
    const caller = operation.permission === 'public' ? api.anonymous : client
    const keyed = { ...headers, 'idempotency-key': randomBytes(8).toString('hex') }
    const { status, text } = await maker.send(operation, caller, path, { body, headers: keyed })
    expect(status, `${operation.title}: ${text}`).toBeLessThan(500)
  }
  for (const task of ['mail', 'api key use', 'seal audit']) await api.app.runTask(task)
  expect(await sql`select from mail_outbox where outcome is null`).toHaveLength(0)
  return momentsIn(sql)
}

afterEach(() => void vi.unstubAllGlobals())

describe("five minutes between the service's clock and the database's", () => {
  test('change no stored moment, whatever is done', { timeout: 180_000 }, async () => {
    const right = await withSkew(0, everything)
    for (const name of [
      'sessions.expires_at',
      'mail_tokens.expires_at',
      'invitations.expires_at',
      'audit_seals.sealed_at',
    ])
      expect(right).toHaveProperty([`${name} latest`])
    for (const ms of [-skewMs, skewMs]) {
      const wrong = await withSkew(ms, everything)
      expect(Object.keys(wrong)).toEqual(Object.keys(right))
      for (const [name, seconds] of Object.entries(wrong))
        expect(Math.abs(seconds - (right[name] ?? Number.NaN)), `${name} with a clock ${ms} ms wrong`).toBeLessThan(120)
    }
  })

  describe.each([-skewMs, skewMs])('(%i ms)', (ms) => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms }))
    afterEach(() => void vi.useRealTimers())

    test('leave sessions and refresh tokens their time', async ({ api, sql }) => {
      const { id, token, refreshToken } = await api.newOwner()
      const me = async () => (await new Client(api.app, token as string).get('/auth/me')).status
      const [lasts] = await sql`
        select extract(epoch from expires_at - created_at)::int as idle,
          extract(epoch from ends_at - created_at)::int as longest, abs(extract(epoch from created_at - now())) < 60 as now
        from sessions where user_id = ${id}`
      expect(lasts).toEqual({ idle: 7 * 86_400, longest: 90 * 86_400, now: true })

      const exchange = (refresh_token: string) => api.anonymous.post('/auth/refresh', { refresh_token })
      const [first, second] = [await exchange(refreshToken), await exchange(refreshToken)]
      expect([first.status, second.body.refresh_token]).toEqual([200, first.body.refresh_token])
      const expireIn = async (seconds: number) => {
        await sql`update sessions set expires_at = now() + ${seconds} * interval '1 second' where user_id = ${id}`
        api.app.access.forget(`user:${id}`)
      }
      await expireIn(60)
      expect(await me()).toBe(200)
      const newest = (await exchange(first.body.refresh_token)).body.refresh_token
      expect(newest).toEqual(expect.any(String))
      await expireIn(-1)
      expect(await me()).toBe(401)
      expect((await exchange(newest)).status).toBe(401)
    })

    test('leave a used refresh token its ten seconds', async ({ api, sql }) => {
      const { id, refreshToken: refresh_token } = await api.newOwner()
      const exchange = () => api.anonymous.post('/auth/refresh', { refresh_token })
      const back = (seconds: number) => sql`
        update refresh_tokens set used_at = used_at - ${seconds} * interval '1 second'
        from sessions where sessions.id = session_id and user_id = ${id}`
      expect([(await exchange()).status, (await exchange()).status]).toEqual([200, 200])
      await back(11)
      expect((await exchange()).status).toBe(401)
      const [session] = await sql`select revoked_reason from sessions where user_id = ${id}`
      expect(session?.revoked_reason).toBe('refresh_token_reuse')
    })

    test('purge an idempotency key after a day, not sooner and not later', async ({ api, sql }) => {
      for (const [key, age] of [
        ['young', '23 hours 59 minutes'],
        ['old', '24 hours 1 minute'],
      ] as const)
        await sql`
          insert into idempotency_keys (org_id, principal, route, key, request_hash, created_at)
          values (gen_random_uuid(), ${String(ms)}, 'POST /x', ${key}, '', now() - ${age}::interval)`
      await api.app.runTask('purge idempotency keys')
      const left = await sql`select key from idempotency_keys where principal = ${String(ms)}`
      expect(left.map(({ key }) => key)).toEqual(['young'])
    })
  })
})
