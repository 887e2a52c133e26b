import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { Type } from '@sinclair/typebox'
import { sql as drizzle } from 'drizzle-orm'
import Fastify, { type FastifyInstance } from 'fastify'
import { describe, expect } from 'vitest'
import { copyOut } from '../../src/db/copy-out.ts'
import type { TenantScope } from '../../src/db/scope.ts'
import { Problem } from '../../src/lib/errors.ts'
import errors from '../../src/plugins/errors.ts'
import exports from '../../src/plugins/exports.ts'
import { test as base } from '../helpers/sql.ts'

type Lists = {
  /** Starts a service whose list reads its pages by this function. */
  serve: (pageOf: (number: number) => Promise<object[]> | object[], pages: number, more?: More) => Promise<Served>
}
type More = { copy?: () => Promise<Readable>; stalledMaxMs?: number }
type Served = {
  app: FastifyInstance
  reads: () => number
  /** The most rows that were asked for at once. */
  most: () => number
  /** Turns the caller away from now on. */
  refuse: () => void
  get: (headers?: http.OutgoingHttpHeaders) => Promise<http.IncomingMessage>
}

const test = base.extend<Lists>({
  serve: async ({ api, owner }, use) => {
    const running: FastifyInstance[] = []
    await use(async (pageOf, pages, { copy, ...limits } = {}) => {
      let reads = 0
      let most = 0
      let refusal: Problem | undefined
      const scope: TenantScope = {
        db: api.app.pools.requests.db,
        org_id: owner.orgId,
        actor: { user_id: owner.id, principal: `user:${owner.id}`, request_id: 'export', ip: '' },
      }
      const app = Fastify({ handlerTimeout: 500 })
      running.push(app)
      app.decorateRequest('recheck', async () => refusal)
      await app.register(errors)
      await app.register(exports, limits)
      app.get('/things', async ({ query }, reply) =>
        reply.sendList({
          scope,
          subject: 'thing',
          model: Type.Object({ name: Type.String(), more: Type.Any() }),
          query: query as { cursor?: string; limit?: number },
          ...(copy && { copy }),
          read: async (_scope, { cursor = '0', limit = 0 }) => {
            reads++
            most = Math.max(most, limit)
            const data = await pageOf(Number(cursor))
            return { data, next_cursor: Number(cursor) + 1 < pages ? String(Number(cursor) + 1) : null }
          },
        }),
      )
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      const get = async (headers: http.OutgoingHttpHeaders = { accept: 'text/csv' }) => {
        const request = http.get({ port, host: '127.0.0.1', path: '/things', headers, agent: false })
        request.on('error', () => undefined) // seen where the answer is
        return (await once(request, 'response'))[0] as http.IncomingMessage
      }
      const refuse = () => {
        refusal = new Problem('session_ended', 'This session has ended.')
      }
      return { app, reads: () => reads, most: () => most, refuse, get }
    })
    for (const app of running) {
      app.server.closeAllConnections()
      await app.close()
    }
  },
})

const textOf = async (answer: http.IncomingMessage) => Buffer.concat(await answer.toArray()).toString()

/** A page of a megabyte. */
const large = () => Array.from({ length: 1_000 }, () => ({ name: 'x'.repeat(1_000) }))

/** Waits until a figure has stayed the same for a while. */
async function settled(figure: () => number): Promise<number> {
  let last = -1
  let same = 0
  const look = () => {
    same = figure() === last ? same + 1 : 0
    last = figure()
    return same
  }
  await expect.poll(look, { timeout: 10_000, interval: 20 }).toBeGreaterThan(15)
  return last
}

describe('a list as a file', () => {
  test('holds the columns of the model and no others, JSON where a cell is no text', async ({ serve }) => {
    const rows = [
      { name: 'a,b', more: { x: 1 }, secret: 's' },
      { name: '=1', more: null },
      { name: '-5', more: true },
    ]
    const { get } = await serve(() => rows, 1)
    expect(await textOf(await get())).toBe(`name,more\r\n"a,b","{""x"":1}"\r\n'=1,\r\n-5,true\r\n`)
    expect(await textOf(await get({ accept: 'application/x-ndjson' }))).toBe(
      '{"name":"a,b","more":{"x":1}}\n{"name":"=1","more":null}\n{"name":"-5","more":true}\n',
    )
    const refused = await get({ accept: 'image/png' })
    expect([refused.statusCode, JSON.parse(await textOf(refused)).code]).toEqual([406, 'not_acceptable'])
  })

  test('may take longer than a request may, also where its client has to wait for rows', async ({ serve }) => {
    const { get } = await serve(
      (number) => new Promise((go) => setTimeout(() => go([{ name: String(number) }]), 150)),
      6,
      { stalledMaxMs: 50 },
    )
    expect(await textOf(await get())).toBe('name,more\r\n0,\r\n1,\r\n2,\r\n3,\r\n4,\r\n5,\r\n')
  })

  test('is read no faster than its client takes it', async ({ serve }) => {
    const { get, reads } = await serve(large, 500)
    const answer = await get()
    const early = await settled(reads)
    expect(early).toBeLessThan(50)
    answer.resume()
    await once(answer, 'end')
    expect(reads()).toBe(500)
  })

  test('is not read on when its client has gone', async ({ serve }) => {
    const { get, reads } = await serve(large, 100_000)
    const answer = await get()
    answer.on('error', () => undefined)
    await once(answer, 'readable')
    answer.destroy()
    expect(await settled(reads)).toBeLessThan(200)
  })

  test('breaks off when its caller would no longer get it, and takes no more at once than a page shows', async ({
    serve,
  }) => {
    const { get, refuse, most } = await serve(large, 100_000)
    const answer = await get()
    await once(answer, 'readable')
    refuse()
    await expect(textOf(answer)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(most()).toBe(200)
  })

  test('is given up when its client takes nothing for too long, and what it held serves the next', async ({
    api,
    serve,
    sql,
  }) => {
    const rows = drizzle`select repeat('x', 1000) as name, null as more from generate_series(1, 30000)`
    const copy = () => copyOut(api.app.pools.exports, ['name', 'more'], rows)
    const { get } = await serve(large, 500, { copy, stalledMaxMs: 300 })
    const exporting = () => sql`
      select from pg_stat_activity where application_name = 'tenon-export' and datname = current_database() and state = 'active' and backend_type = 'client backend'`
    const pages = await get({ accept: 'application/x-ndjson' })
    const copied = await get()
    expect(await exporting()).toHaveLength(1)
    expect((await get()).statusCode).toBe(429)
    await expect.poll(exporting).toEqual([])
    for (const answer of [pages, copied]) await expect(textOf(answer)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect((await textOf(await get())).length).toBe('name,more\r\n'.length + 30_000 * 1_003)
  })

  test('breaks off where a page cannot be read, and is a problem where the first cannot', async ({ serve }) => {
    const failing = (at: number) => (number: number) => {
      if (number === at) throw new Problem('unavailable', 'The database is away.')
      return large()
    }
    const midway = await (await serve(failing(3), 5)).get()
    await expect(textOf(midway)).rejects.toMatchObject({ code: 'ECONNRESET' })
    const first = await (await serve(failing(0), 5)).get()
    expect([first.statusCode, first.headers['content-disposition']]).toEqual([503, undefined])
    expect(JSON.parse(await textOf(first)).code).toBe('unavailable')
  })

  test('is had twice at once by one caller, and again when one has ended or was given up', async ({ serve }) => {
    const { get } = await serve(large, 100)
    const [first, second] = [await get(), await get()]
    const third = await get()
    expect([third.statusCode, third.headers['retry-after']]).toEqual([429, '5'])
    third.resume()
    second.on('error', () => undefined).destroy()
    first.resume()
    await once(first, 'end')
    const again = async () => {
      const answer = await get()
      answer.on('error', () => undefined).destroy()
      return answer.statusCode
    }
    await expect.poll(again, { timeout: 5_000, interval: 20 }).toBe(200)
  })
})
