import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect } from 'vitest'
import { type Api, test as base, startApi } from '../helpers/api.ts'
import { freePort } from '../helpers/port.ts'

const installed = spawnSync('redis-server', ['--version']).status === 0

type Server = { url: string; process: ChildProcess; stop(): Promise<void> }

const test = base.extend<{ redis: Server; pair: [Api, Api] }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  redis: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenon-redis-'))
    const port = await freePort()
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const server = spawn('redis-server', options, { cwd: folder, stdio: 'ignore' })
    const ended = once(server, 'exit')
    const url = `redis://127.0.0.1:${port}/0`
    const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 }).on('error', () => undefined)
    await client.ping()
    client.disconnect()
    const stop = async () => {
      server.kill('SIGKILL')
      await ended
    }
    await use({ url, process: server, stop })
    await stop()
    await rm(folder, { recursive: true })
  },
  /** Two instances of the service over one database and one Redis, once both are connected. */
  pair: async ({ api, redis }, use) => {
    const start = () => startApi({ RATE_LIMIT_MAX: '5', REDIS_URL: redis.url }, api)
    const pair: [Api, Api] = [await start(), await start()]
    for (const one of pair)
      await expect.poll(() => remaining(one, '192.0.2.200'), { timeout: 5_000, interval: 10 }).toBeLessThan(5)
    await use(pair)
    for (const one of pair) await one.close()
  },
})

const ask = (api: Api, remoteAddress: string) => api.app.inject({ url: '/api/v1/auth/me', remoteAddress })

const remaining = async (api: Api, remoteAddress: string) =>
  Number((await ask(api, remoteAddress)).headers['x-ratelimit-remaining'])

describe.skipIf(!installed)('with Redis (needs redis-server on the machine)', () => {
  test('instances share one count', async ({ pair: [one, other] }) => {
    for (const api of [one, other, one, other, one]) expect((await ask(api, '192.0.2.1')).statusCode).toBe(401)
    expect((await ask(one, '192.0.2.1')).statusCode).toBe(429)
    expect((await ask(other, '192.0.2.1')).statusCode).toBe(429)
    expect((await ask(other, '192.0.2.2')).statusCode).toBe(401)
  })

  test('requests pass at once while it is away', async ({ pair: [api], redis }) => {
    await redis.stop()
    const start = performance.now()
    for (let n = 0; n < 20; n++) expect((await ask(api, '192.0.2.1')).statusCode).toBe(401)
    expect(performance.now() - start).toBeLessThan(1_000)
  })

  test('requests pass while it hangs, and are counted again when it is back', async ({ pair: [api], redis }) => {
    redis.process.kill('SIGSTOP')
    const start = performance.now()
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(api, '192.0.2.1')))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(10).fill(401))
    expect(performance.now() - start).toBeLessThan(1_500)
    redis.process.kill('SIGCONT')
    await expect.poll(async () => (await ask(api, '192.0.2.3')).statusCode, { timeout: 5_000, interval: 20 }).toBe(429)
  })
})
