import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { test as base, describe, expect } from 'vitest'
import { password } from '../helpers/api.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { type Server, startServer } from '../helpers/server.ts'
import { ownerSql } from '../helpers/sql.ts'

const test = base.extend<{ start: (env?: Record<string, string>) => Promise<Server> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  start: async ({}, use) => {
    const servers: Server[] = []
    await use(async (env = {}) => {
      servers.push(await startServer(env))
      return servers.at(-1) as Server
    })
    for (const server of servers) await server.dispose()
  },
})

const json = (body: unknown, headers = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

/** New requests are turned away: by a service that says it is not ready, or by a port nobody listens on. */
const readiness = async ({ address }: Server) =>
  fetch(`${address}/health/ready`).then(
    ({ status }) => status,
    () => 'refused',
  )

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('at SIGTERM', () => {
  test('a change that waits in the database ends before the service does', async ({ start }) => {
    const database = await cloneDatabase()
    const server = await start({ DATABASE_URL: database.url, MIGRATION_DATABASE_URL: database.ownerUrl })
    const post = async (path: string, body: unknown, headers = {}) => {
      const answer = await fetch(`${server.address}/api/v1${path}`, json(body, headers))
      return { status: answer.status, body: (await answer.json()) as Record<string, string> }
    }
    const email = 'kim@example.com'
    await post('/auth/register', { email, password })
    const login = await post('/auth/login', { username: email, password })
    const headers = { authorization: `Bearer ${login.body.access_token}` }
    const sql = ownerSql(database.ownerUrl)
    const book = { name: 'Book', currency: 'USD', code: 'HELD' }
    let pending: ReturnType<typeof post> | undefined
    await sql
      .begin(async (tx) => {
        await tx`
          insert into portfolios (org_id, id, code, name, currency, default_definition, bucket_edges)
          select id, gen_random_uuid(), 'HELD', 'x', 'USD', '{}', '{1}' from organizations`
        pending = post('/portfolios', book, headers)
        const waits = () => sql`
          select 1 from pg_stat_activity where datname = current_database() and application_name = 'tenon'
          and wait_event_type = 'Lock'`
        await expect.poll(async () => (await waits()).length, { timeout: 2_000, interval: 5 }).toBe(1)
        server.process.kill('SIGTERM')
        await expect.poll(() => readiness(server), { timeout: 2_000, interval: 5 }).toBe('refused')
        expect(server.process.exitCode).toBeNull()
        throw new Error('undo')
      })
      .catch((error) => expect(error.message).toBe('undo'))
    expect((await pending)?.status).toBe(201)
    expect(await server.exited).toBe(0)
    expect(await sql`select name from portfolios`).toEqual([{ name: 'Book' }])
    await sql.end()
    await database.drop()
  })

  test('a body that is still arriving is served, then exit 0, and the embedded Postgres is gone', async ({ start }) => {
    const server = await start()
    const { postmaster } = JSON.parse(await readFile(join(server.folder, '.data/postgres.owner.json'), 'utf8'))
    expect(alive(postmaster)).toBe(true)
    const body = JSON.stringify({ email: 'kim@example.com', password })
    const socket = net.connect(Number(new URL(server.address).port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').on('data', (text) => (answer += text))
    await once(socket, 'connect')
    const head = [
      'POST /api/v1/auth/register HTTP/1.1',
      'Host: x',
      'Content-Type: application/json',
      'Expect: 100-continue',
    ]
    socket.write([...head, `Content-Length: ${body.length}`, '', body.slice(0, 10)].join('\r\n'))
    // The service has begun to read the request when it asks for the rest.
    await expect.poll(() => answer, { timeout: 2_000, interval: 5 }).toContain('100 Continue')
    server.process.kill('SIGTERM')
    await expect.poll(() => readiness(server), { timeout: 2_000, interval: 5 }).toBe('refused')
    socket.write(body.slice(10))
    await once(socket, 'close')
    expect(answer).toMatch(/HTTP\/1\.1 201 Created\r\n(.+\r\n)*connection: close\r\n/i)
    expect(await server.exited).toBe(0)
    // A process that has ended is still there until its new parent has looked.
    await expect.poll(() => alive(postmaster), { timeout: 5_000, interval: 5 }).toBe(false)
    expect(server.output()).not.toMatch(/"level":"(error|fatal)"/)
  })

  test('a connection that never asked for anything does not hold up the end', async ({ start }) => {
    const database = await cloneDatabase()
    const server = await start({ DATABASE_URL: database.url, MIGRATION_DATABASE_URL: database.ownerUrl })
    const idle = net.connect(Number(new URL(server.address).port), '127.0.0.1').on('error', () => undefined)
    await once(idle, 'connect')
    const begun = performance.now()
    server.process.kill('SIGTERM')
    expect(await server.exited).toBe(0)
    expect(performance.now() - begun).toBeLessThan(5_000)
    idle.destroy()
    await database.drop()
  })
})
