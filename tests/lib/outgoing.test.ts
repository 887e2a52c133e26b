import { once } from 'node:events'
import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test as base, describe, expect } from 'vitest'
import { callOutside, type Outgoing, OutgoingRefused } from '../../src/lib/outgoing.ts'

type Served = { port: number; requests: string[] }

const test = base.extend<{ serve: (answer: RequestListener, host?: string) => Promise<Served> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  serve: async ({}, use) => {
    const servers: http.Server[] = []
    await use(async (answer, host = '127.0.0.1') => {
      const requests: string[] = []
      const server = http.createServer((request, reply) => {
        requests.push(`${request.method} ${request.url} ${request.headers.host}`)
        answer(request, reply)
      })
      servers.push(server.listen(0, host))
      await once(server, 'listening')
      return { port: (server.address() as AddressInfo).port, requests }
    })
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  },
})

/** The reason for which a URL was not called, or `called`. */
const refusalOf = (url: string, options: Partial<Outgoing> = {}) =>
  callOutside(url, { allow: [], timeoutMs: 2_000, ...options }).then(
    () => 'called',
    (error: Error) => (error instanceof OutgoingRefused ? error.message : Promise.reject(error)),
  )

const elsewhere = /may not be called from here/
const hello: RequestListener = (_request, reply) => reply.end('hello')

describe('a URL is not called', () => {
  test('that names an address of this machine or its network, in whatever form', async ({ serve }) => {
    const { port, requests } = await serve(hello)
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '017700000001',
      '0x7f.0x0.0x0.0x1',
      '①②⑦.0.0.1',
      '127.0.0.1.',
      '0.0.0.0',
      '0',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '192.0.0.1',
      '198.18.0.1',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::ffff:8.8.8.8]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[64:ff9b:1::7f00:1]',
      '[2002:7f00:1::]',
      '[2001:0:7f00:1::]',
      '[fe80::1]',
      '[fec0::1]',
      '[fc00::1]',
      '[fd12:3456::1]',
      '[ff02::1]',
      '[100::1]',
      '[2001:db8::1]',
      '[5f00::1]',
    ])
      for (const scheme of ['https', 'http'])
        expect([host, await refusalOf(`${scheme}://${host}:${port}/`)]).toEqual([
          host,
          expect.stringMatching(elsewhere),
        ])
    expect(requests).toEqual([])
  })

  test('whose name leads to such an address, even beside a public one', async ({ serve }) => {
    const { port, requests } = await serve(hello)
    for (const addresses of [
      ['127.0.0.1'],
      ['8.8.8.8', '10.0.0.1'],
      ['2606:4700::1111', '::1'],
      ['fe80::1%eth0'],
      ['no address'],
    ])
      expect(await refusalOf(`https://host.example:${port}`, { resolve: async () => addresses })).toMatch(elsewhere)
    expect(await refusalOf('https://host.example', { resolve: async () => [] })).toBe('host.example has no address.')
    expect(await refusalOf(`https://localhost:${port}`)).toMatch(elsewhere)
    expect(requests).toEqual([])
  })

  test('that is not HTTPS, or carries credentials', async () => {
    const resolve = async () => ['8.8.8.8']
    for (const url of ['http://host.example', 'ftp://host.example', 'file:///etc/passwd', 'gopher://x', 'host.example'])
      expect(await refusalOf(url, { resolve }), url).toBe('The URL must begin with https://.')
    for (const url of ['https://user@host.example', 'https://user:secret@host.example', 'https://:secret@host.example'])
      expect(await refusalOf(url, { resolve }), url).toBe('The URL must hold no user name or password.')
  })
})

describe('what the configuration allows is called', () => {
  test('by name, by address and by network, without TLS too', async ({ serve }) => {
    const { port, requests } = await serve(hello)
    const resolve = async () => ['127.0.0.1']
    for (const [host, allow] of [
      ['127.0.0.1', '127.0.0.1'],
      ['127.0.0.1', '127.0.0.0/8'],
      ['hooks.internal', 'hooks.internal'],
      ['HOOKS.internal', 'Hooks.Internal'],
      ['hooks.internal', '127.0.0.0/8'],
      ['[::ffff:127.0.0.1]', '127.0.0.0/8'],
    ] as const) {
      const { status, body } = await callOutside(`http://${host}:${port}/a?b=c`, { allow: [allow], resolve })
      expect([host, allow, status, body.toString()]).toEqual([host, allow, 200, 'hello'])
    }
    expect(requests).toContain(`GET /a?b=c hooks.internal:${port}`)
    for (const allow of ['hooks.internal.evil.example', 'internal', '10.0.0.0/8', '::/0'])
      expect(await refusalOf(`http://hooks.internal:${port}`, { allow: [allow], resolve }), allow).toMatch(elsewhere)
  })

  test('over IPv6', async ({ serve }) => {
    const { port } = await serve(hello, '::1')
    const { body } = await callOutside(`http://[::1]:${port}`, { allow: ['::1'] })
    expect(body.toString()).toBe('hello')
  })
})

describe('a name that changes its address', () => {
  test('is looked up once: the connection goes to the address that was checked', async ({ serve }) => {
    const { port, requests } = await serve(hello)
    let asked = 0
    const resolve = async () => (asked++ === 0 ? ['127.0.0.1'] : ['10.0.0.1'])
    const { status } = await callOutside(`http://rebinding.example:${port}`, { allow: ['127.0.0.1'], resolve })
    expect([status, asked, requests.length]).toEqual([200, 1, 1])
  })
})

describe('an answer', () => {
  const allow = ['127.0.0.0/8']

  test('that redirects is given as it is, and not followed', async ({ serve }) => {
    const inside = await serve(hello)
    for (const code of [301, 302, 303, 307, 308]) {
      const { port } = await serve((_request, reply) =>
        reply.writeHead(code, { location: `http://127.0.0.1:${inside.port}/` }).end(),
      )
      const { status, headers } = await callOutside(`http://127.0.0.1:${port}`, { allow })
      expect([status, headers.location]).toEqual([code, `http://127.0.0.1:${inside.port}/`])
    }
    expect(inside.requests).toEqual([])
  })

  test('is taken up to its limit of bytes, and no further', async ({ serve }) => {
    const { port } = await serve((_request, reply) => reply.end('x'.repeat(1_000)))
    const url = `http://127.0.0.1:${port}`
    expect((await callOutside(url, { allow, bytesMax: 1_000 })).body.length).toBe(1_000)
    expect(await refusalOf(url, { allow, bytesMax: 999 })).toMatch(/answered more than 999 bytes/)
    const endless = await serve((_request, reply) => {
      const more = () => reply.write('x'.repeat(65_536)) && setImmediate(more)
      reply.on('drain', more)
      more()
    })
    expect(await refusalOf(`http://127.0.0.1:${endless.port}`, { allow })).toMatch(/answered more than/)
  })

  test('has a limit of time, from the look-up of the name to the last byte', async ({ serve }) => {
    const silent = await serve(() => undefined)
    const dripping = await serve((_request, reply) => void reply.writeHead(200).write('x'))
    const resolve = () => new Promise<string[]>(() => undefined)
    for (const [url, options] of [
      [`http://127.0.0.1:${silent.port}`, { allow }],
      [`http://127.0.0.1:${dripping.port}`, { allow }],
      ['https://host.example', { resolve }],
    ] as const)
      expect(await refusalOf(url, { ...options, timeoutMs: 200 })).toMatch(/did not answer within 200 ms/)
  })

  test('comes of what was sent', async ({ serve }) => {
    const { port } = await serve(async (request, reply) => {
      const body = Buffer.concat(await request.toArray()).toString()
      reply.end(JSON.stringify([request.method, request.headers['x-signature'], body]))
    })
    const headers = { 'x-signature': 'sha256=1' }
    const sent = { method: 'POST', headers, body: '{"a":1}', allow }
    const { body } = await callOutside(`http://127.0.0.1:${port}`, sent)
    expect(JSON.parse(body.toString())).toEqual(['POST', 'sha256=1', '{"a":1}'])
  })
})
