import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { describe, expect } from 'vitest'
import { test as base } from '../helpers/api.ts'

type Open = (count: number, bytes?: string) => Promise<Socket[]>

/** A listening service, and connections to it that send so much and then nothing. */
const test = base.extend<{ port: number; open: Open }>({
  port: [
    async ({ api }, use) => {
      await api.app.listen({ port: 0, host: '127.0.0.1', backlog: 2_000 })
      await use((api.app.server.address() as AddressInfo).port)
    },
    { scope: 'file' },
  ],
  open: async ({ port }, use) => {
    const sockets: Socket[] = []
    await use(async (count, bytes = '') => {
      const opened = Array.from({ length: count }, () => net.connect(port, '127.0.0.1').on('error', () => undefined))
      sockets.push(...opened)
      await Promise.all(opened.map((socket) => once(socket, 'connect')))
      for (const socket of opened) socket.write(bytes)
      return opened
    })
    for (const socket of sockets) socket.destroy()
  },
})

const half = (token: string, path: string) =>
  `POST /api/v1/${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"name":`

describe('callers who are slow', () => {
  test('starve nobody: 1,000 idle connections, 300 slow headers and 300 slow bodies', async ({ open, owner, port }) => {
    const idle = await open(1_000)
    const slow = [
      ...(await open(300, 'GET /api/v1/portfolios HTTP/1.1\r\nHost: x\r\nX-Slow: ')),
      ...(await open(150, half(owner.token as string, 'portfolios'))),
      ...(await open(150, half(owner.token as string, 'auth/login'))),
    ]
    const times: number[] = []
    const ask = async () => {
      const start = performance.now()
      const headers = { authorization: `Bearer ${owner.token}` }
      const { status } = await fetch(`http://127.0.0.1:${port}/api/v1/portfolios`, { headers })
      expect(status).toBe(200)
      times.push(performance.now() - start)
    }
    for (let round = 0; round < 25; round++) {
      for (const socket of slow.slice(0, 300)) socket.write('x')
      await Promise.all([ask(), ask(), ask(), ask()])
    }
    const median = times.toSorted((a, b) => a - b)[50] as number
    expect(median).toBeLessThan(250)
    expect(idle.filter((socket) => socket.readyState === 'open')).toHaveLength(1_000)
  })
})
