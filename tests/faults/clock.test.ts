import { randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, vi } from 'vitest'
import { createPool, type Pool } from '../../src/db/client.ts'
import { type Answer, type Api, Client, type Person, password } from '../helpers/api.ts'
import { readContract } from '../helpers/contract.ts'
import { Maker } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { ownerSql, test } from '../helpers/sql.ts'

const contract = await readContract()
const skewMs = 5 * 60_000

/** Node's options under which a process's clock is wrong by so much. */
const skewed = (ms: number) => {
  const module = `const Real=Date;globalThis.Date=class extends Real{constructor(...given){given.length?super(...given):super(Real.now()+${ms})}static now(){return Real.now()+${ms}}}`
  return `--import=data:text/javascript,${encodeURIComponent(module)}`
}

/** A client of a service in another process. */
class Remote extends Client {
  readonly address: string
  constructor(address: string, token?: string) {
    super(undefined as never, token)
    this.address = address
  }

  override async send(method: string, path: string, payload?: unknown, given = {}): Promise<Answer> {
    const raw = typeof payload === 'string' || payload instanceof Uint8Array
    const answer = await fetch(new URL(path.replace(/^(?=\/)(?!\/api)/, '/api/v1'), this.address), {
      method,
      headers: {
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
        ...(payload !== undefined && !raw && { 'content-type': 'application/json' }),
        ...given,
      },
      ...(payload !== undefined && { body: raw ? (payload as string) : JSON.stringify(payload) }),
    })
    const text = await answer.text()
    const json = /[/+]json\b/.test(answer.headers.get('content-type') ?? '')
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: json ? JSON.parse(text) : undefined,
      text,
    }
  }
}

type Signed = Remote & Pick<Person, 'id' | 'email' | 'orgId' | 'refreshToken'>
type World = { sql: postgres.Sql; pool: Pool; anonymous: Remote; newOwner: () => Promise<Signed> }

/** Runs a service whose clock is wrong, with an account in it. */
async function withSkew<T>(ms: number, work: (world: World) => Promise<T>): Promise<T> {
  const database = await cloneDatabase()
  const sql = ownerSql(database.ownerUrl)
  const times = { acquireTimeoutMs: 5_000, statementTimeoutMs: 5_000, maxLifetimeS: 600 }
  const pool = createPool({ url: database.url, name: 'test', max: 1, ...times })
  const server = await startServer({
    DATABASE_URL: database.url,
    MIGRATION_DATABASE_URL: database.ownerUrl,
    NODE_OPTIONS: skewed(ms),
    LOG_LEVEL: 'silent',
    RATE_LIMIT_AUTH_MAX: '100000',
    IMPORT_CONCURRENCY: '10',
  })
  try {
    const anonymous = new Remote(server.address)
    const { timestamp } = (await anonymous.get(`${server.address}/health`)).body
    expect(Math.abs(Date.parse(timestamp) - Date.now() - ms)).toBeLessThan(60_000)
    const newOwner = async () => {
      const email = `${randomBytes(6).toString('hex')}@example.com`
      const succeed = async (client: Client, path: string, body: object) => {
        const answer = await client.post(path, body)
        expect(answer.status, answer.text).toBeLessThan(300)
        return answer.body
      }
      await succeed(anonymous, '/auth/register', { email, password })
      await sql`update users set is_superuser = true where email = ${email}`
      const tokens = await succeed(anonymous, '/auth/login', { username: email, password })
      const client = new Remote(server.address, tokens.access_token)
      await succeed(client, '/auth/step-up', { password })
      const { user, organization } = (await client.get('/auth/me')).body
      return Object.assign(client, { id: user.id, email, orgId: organization.id, refreshToken: tokens.refresh_token })
    }
    return await work({ sql, pool, anonymous, newOwner })
  } finally {
    await server.dispose()
    await pool.close()
    await sql.end()
    await database.drop()
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

/** Does whatever a POST can do, and gives every moment that was stored meanwhile. */
async function everything({ sql, pool, anonymous, newOwner }: World): Promise<Record<string, number>> {
  const service = { newOwner, app: { pools: { requests: pool } } } as unknown as Api
  for (const operation of contract.operations.filter(({ method }) => method === 'POST')) {
    const client = await newOwner()
    const maker = new Maker(
      contract,
      { ...knownOn(service, sql, client as unknown as Person), refresh_token: () => client.refreshToken },
      readyOn(service, sql),
    )
    const path = await maker.path(operation.path, client)
    const { body, headers } = await maker.payload(operation, client, path)
    const caller = operation.permission === 'public' ? anonymous : client
    const keyed = { ...headers, 'idempotency-key': randomBytes(8).toString('hex') }
    const { status, text } = await maker.send(operation, caller, path, { body, headers: keyed })
    expect(status, `${operation.title}: ${text}`).toBeLessThan(500)
  }
  const waiting = async () => (await sql`select from mail_outbox where outcome is null`).length
  await expect.poll(waiting, { timeout: 20_000, interval: 100 }).toBe(0)
  return momentsIn(sql)
}

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
