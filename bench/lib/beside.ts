import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { authorization, call } from './client.ts'
import type { Context } from './context.ts'
import { load, quantile, type Sample } from './load.ts'
import type { Server } from './servers.ts'

const connections = 16
const quietSeconds = 5

/**
 * Reads of random loans at half of what the service can answer, first by themselves and then during `work`.
 * @returns what to note of it
 */
export async function readsDuring(context: Context, server: Server, work: () => Promise<Sample>): Promise<string[]> {
  const { account, loanIds, database, signal } = context
  const headers = authorization(account)
  const path = () => `/api/v1/loans/${loanIds[Math.floor(Math.random() * loanIds.length)]}`
  const traffic = { cycle: () => Array.from({ length: 200 }, () => ({ path: path(), headers })) }
  const target = { ...server, postmaster: database.postmaster }
  const { perSecond } = await load(target, traffic, { connections, seconds: 3, signal })
  const rate = perSecond / 2
  const loop = () => call<{ p99_ms: number; max_ms: number }>(`${server.url}/bench/event-loop`)
  const { read, close } = reader(context, server)
  try {
    await loop()
    const quiet = await atRate(rate, read, sleep(quietSeconds * 1_000, undefined, { signal }))
    const quietLoop = await loop()
    const done = work()
    const during = await atRate(rate, read, done)
    const duringLoop = await loop()
    const { failures } = await done
    const ms = (value: number) => `${value.toFixed(1)} ms`
    const times = (during.p99 / quiet.p99).toFixed(1)
    return [
      `reads at half load (${Math.round(rate)}/s, from when they were due), alone and during an import: p50 ${ms(quiet.p50)} and ${ms(during.p50)}, p99 ${ms(quiet.p99)} and ${ms(during.p99)} (${times}×; the design’s goal is 3×), ${quiet.failed + during.failed} failed`,
      `event-loop delay of the service beside them: p99 ${ms(quietLoop.p99_ms)} and ${ms(duringLoop.p99_ms)}, at most ${ms(duringLoop.max_ms)} (the design’s goal is a p99 under 20 ms)`,
      ...failures.map((failure) => `the import beside reads failed: ${failure}`),
    ]
  } finally {
    close()
  }
}

/** Reads random loans over connections of its own. */
export function reader({ account, loanIds }: Context, server: Server) {
  const headers = authorization(account)
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const path = () => `/api/v1/loans/${loanIds[Math.floor(Math.random() * loanIds.length)]}`
  return { read: () => readOnce(`${server.url}${path()}`, { agent, headers }), close: () => agent.destroy() }
}

/** One GET, read to its end. @returns whether it was answered with 200 */
function readOnce(url: string, options: { agent: Agent; headers: Record<string, string> }): Promise<boolean> {
  return new Promise((resolve) => {
    get(url, options, (response) => {
      response.resume().once('close', () => resolve(response.statusCode === 200 && response.complete))
    }).once('error', () => resolve(false))
  })
}

/** Calls `read` at even distances until `end` settles; latency counts from when a call was due, so no queue hides. */
export async function atRate(perSecond: number, read: () => Promise<boolean>, end: Promise<unknown>) {
  const latencies: number[] = []
  const running = new Set<Promise<void>>()
  let failed = 0
  let ended = false
  const settled = () => {
    ended = true
  }
  end.then(settled, settled)
  const start = performance.now()
  for (let calls = 0; !ended; await sleep(1))
    for (; calls < ((performance.now() - start) / 1_000) * perSecond && !ended; calls++) {
      const due = start + (calls / perSecond) * 1_000
      const one = read().then((ok) => {
        latencies.push(performance.now() - due)
        if (!ok) failed++
        running.delete(one)
      })
      running.add(one)
    }
  await Promise.all(running)
  latencies.sort((a, b) => a - b)
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), failed }
}
