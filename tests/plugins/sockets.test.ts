import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { describe, expect } from 'vitest'
import { test as base } from '../helpers/api.ts'

/** Sends these bytes on a connection of their own. @returns all that comes back until the service closes it */
type Exchange = (bytes: string | Buffer) => Promise<string>

const test = base.extend<{ exchange: Exchange }>({
  exchange: [
    async ({ api }, use) => {
      await api.app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = api.app.server.address() as AddressInfo
      await use(async (bytes) => {
        const socket = net.connect(port, '127.0.0.1').on('error', () => undefined)
        let received = ''
        socket.setEncoding('latin1').on('data', (text) => (received += text))
        await once(socket, 'connect')
        socket.write(bytes)
        await once(socket, 'close')
        return received
      })
    },
    { scope: 'file' },
  ],
})

const request = (lines: string[], body = '') =>
  [...lines, 'Host: localhost', 'Connection: close', '', body].join('\r\n')

/** The answer is one whole problem document, and the connection is closed after it. */
function expectProblem(answer: string, status: number, code: string) {
  const [head, body, ...more] = answer.split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(head).toMatch(/^content-type: application\/problem\+json/im)
  expect(head).toMatch(/^connection: close$/im)
  expect(more).toEqual([])
  expect(JSON.parse(body as string)).toMatchObject({ status, code, type: `/problems/${code}` })
}

describe('bytes that are no HTTP request', () => {
  test('are answered as a problem, and the connection is closed', async ({ exchange }) => {
    for (const bytes of [
      'hello\r\n\r\n',
      '\u0000\u0001\u0002\u0003\r\n\r\n',
      Buffer.from('16030100a5010000a10303', 'hex'),
      'GET\r\n\r\n',
      'GET /health HTTP/9.9\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'BREW /coffee HTTP/1.1\r\nHost: x\r\n\r\n',
      request(['GET /health HTTP/1.1', 'No colon here']),
      request(['GET /health HTTP/1.1', 'X-Bad\u0000: 1']),
      request(['GET /health HTTP/1.1', 'X-Request-Id: a\rSet-Cookie: x=1']),
      request(['GET /hea\u0000lth HTTP/1.1']),
    ])
      expectProblem(await exchange(bytes), 400, 'bad_request')
  })

  test('or whose length can be read two ways, are refused', async ({ exchange }) => {
    const post = 'POST /api/v1/auth/login HTTP/1.1'
    for (const bytes of [
      request([post, 'Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
      request([post, 'Content-Length: 4', 'Content-Length: 5'], 'abcd'),
      request([post, 'Content-Length: -1'], 'abcd'),
      request([post, 'Content-Length: 4x'], 'abcd'),
      request([post, 'Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
      request([post, 'Transfer-Encoding: xchunked'], '0\r\n\r\n'),
      request([post, 'Content-Type: application/json', 'Transfer-Encoding: chunked'], 'zz\r\n\r\n'),
    ]) {
      const answer = await exchange(bytes)
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
      expectProblem(answer, 400, 'bad_request')
    }
  })

  test('or headers of more than 16 KiB, are refused', async ({ exchange }) => {
    const answer = await exchange(request(['GET /health HTTP/1.1', `X-Large: ${'x'.repeat(20_000)}`]))
    expectProblem(answer, 431, 'headers_too_large')
  })

  test('leave the service as it was', async ({ exchange }) => {
    await Promise.all(Array.from({ length: 50 }, (_, n) => exchange(`garbage ${n}\r\n\r\n`)))
    expect(await exchange(request(['GET /health/live HTTP/1.1']))).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })
})

test('a request to become another protocol is answered as a plain one', async ({ exchange }) => {
  const lines = ['GET /health/live HTTP/1.1', 'Host: x', 'Connection: Upgrade, close', 'Upgrade: websocket', '', '']
  expect(await exchange(lines.join('\r\n'))).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})
