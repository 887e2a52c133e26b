import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { test as base, describe, expect } from 'vitest'
import { Problem } from '../../src/lib/errors.ts'
import errors from '../../src/plugins/errors.ts'
import events, { type ServerEvent } from '../../src/plugins/events.ts'

type Source = (signal: AbortSignal) => AsyncIterable<ServerEvent>
type Served = { app: FastifyInstance; get: (method?: string) => Promise<IncomingMessage>; refuse: () => void }

const test = base.extend<{ serve: (source: Source, limits?: object) => Promise<Served> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  serve: async ({}, use) => {
    const running: FastifyInstance[] = []
    await use(async (source, limits = {}) => {
      let refusal: Problem | undefined
      const app = Fastify({ handlerTimeout: 200 })
      running.push(app)
      await app.register(errors)
      await app.register(events, limits)
      app.decorateRequest('scope', { getter: () => ({ actor: { principal: 'user:1' } }) as never })
      app.decorateRequest('recheck', async () => refusal)
      app.get('/events', async (_request, reply) => reply.sendEvents(Type.Object({ a: Type.Integer() }), source))
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      const get = async (method = 'GET') => {
        const request = http.request({ port, host: '127.0.0.1', path: '/events', method, agent: false }).end()
        request.on('error', () => undefined) // seen where the answer is
        return (await once(request, 'response'))[0] as IncomingMessage
      }
      return { app, get, refuse: () => (refusal = new Problem('session_ended', 'x')) }
    })
    for (const app of running) {
      app.server.closeAllConnections()
      await app.close()
    }
  },
})

const textOf = async (answer: IncomingMessage) => Buffer.concat(await answer.toArray()).toString()
const untilAborted = (signal: AbortSignal) => (signal.aborted ? Promise.resolve() : once(signal, 'abort'))

/** One event, and then nothing until it is told to end. */
const waiting: Source = async function* (signal) {
  yield { event: 'first', data: { a: 1 } }
  await untilAborted(signal)
}

describe('a stream of events', () => {
  test('holds the properties of the model and no others, and ends with the events', async ({ serve }) => {
    const { get } = await serve(async function* () {
      yield { event: 'one', id: '7', data: { a: 1, secret: 's' } }
      yield { event: 'two', data: { a: 2 } }
    })
    const answer = await get()
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    expect(await textOf(answer)).toBe(
      'retry: 2000\n\nevent: one\nid: 7\ndata: {"a":1}\n\nevent: two\ndata: {"a":2}\n\n',
    )
    expect(await textOf(await get('HEAD'))).toBe('')
  })

  test('lasts longer than a request may, and shows that it lives where nothing happens', async ({ serve }) => {
    const { get } = await serve(waiting, { heartbeatMs: 50, durationMaxMs: 600 })
    const text = await textOf(await get())
    expect(text).toMatch(/^retry: 2000\n\nevent: first\ndata: \{"a":1\}\n\n(:\n\n){4,}$/)
  })

  test('ends when its credential is worth nothing any more', async ({ serve }) => {
    const { get, refuse } = await serve(waiting, { recheckMs: 20 })
    const answer = await get()
    await once(answer, 'readable')
    refuse()
    expect(await textOf(answer)).toContain('event: first')
  })

  test('ends when the service closes, also where its client does not read', async ({ serve }) => {
    const flood: Source = async function* (signal) {
      while (!signal.aborted) yield { event: 'x'.repeat(100_000), data: {} }
    }
    for (const source of [waiting, flood]) {
      const { app, get } = await serve(source)
      const answer = await get()
      const closed = new Promise((done) => answer.on('error', done).on('close', done))
      await app.close()
      answer.resume()
      await closed
    }
  })

  test('ends its source when the client goes', async ({ serve }) => {
    const ended = Promise.withResolvers<void>()
    const { get } = await serve(async function* (signal) {
      try {
        yield* waiting(signal)
      } finally {
        ended.resolve()
      }
    })
    const answer = await get()
    answer.on('error', () => undefined)
    await once(answer, 'readable')
    answer.destroy()
    await ended.promise
  })

  test('breaks off where its source fails, so that the client comes back', async ({ serve }) => {
    const { get } = await serve(async function* () {
      yield { event: 'one', data: {} }
      throw new Error('the database is away')
    })
    await expect(textOf(await get())).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('is refused beyond as many as a caller may have, and as the process can bear', async ({ serve }) => {
    for (const [limits, status] of [
      [{ perPrincipal: 1 }, 429],
      [{ inProcess: 1 }, 503],
    ] as const) {
      const { get } = await serve(waiting, limits)
      const first = await get()
      first.on('error', () => undefined)
      expect((await get()).statusCode).toBe(status)
      first.destroy()
      const again = async () => {
        const answer = await get()
        answer.on('error', () => undefined).destroy()
        return answer.statusCode
      }
      await expect.poll(again, { timeout: 5_000, interval: 20 }).toBe(200)
    }
  })
})
