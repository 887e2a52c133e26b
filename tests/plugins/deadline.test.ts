import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import deadline from '../../src/plugins/deadline.ts'
import errors from '../../src/plugins/errors.ts'

describe('a request that takes too long', () => {
  const app = Fastify()
  const get = (path: string) => fetch(`${app.listeningOrigin}${path}`)
  beforeAll(async () => {
    await app.register(errors)
    await app.register(deadline, { limitMs: 50, sweepEveryMs: 10 })
    app.get('/stuck', () => new Promise(() => undefined))
    app.get('/patient', { handlerTimeout: 60_000 }, () => get('/stuck').then(() => 'done'))
    app.get('/quick', async () => 'done')
    app.post('/body', async () => 'done')
    await app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => app.close())

  test('is answered 503 with Retry-After', async () => {
    const answer = await get('/stuck')
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await answer.json()).toMatchObject({ code: 'unavailable' })
  })

  test('is answered 408 where its body is still on its way', async () => {
    const { port } = app.server.address() as { port: number }
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /body HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"a"')
    const [answer] = await once(socket.setEncoding('utf8'), 'data')
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
    socket.destroy()
  })

  test('but not one whose route has more time, nor one that is quick', async () => {
    expect(await (await get('/patient')).text()).toBe('done')
    expect(await (await get('/quick')).text()).toBe('done')
  })
})
