import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon, { type Client, type Request } from 'autocannon'
import { cpuUsOf, treeCpuUsOf } from './processes.ts'

export type { Request } from 'autocannon'

/** What each connection sends: a cycle of requests built beforehand, or a new one each time. */
export type Traffic = { cycle: () => Request[] } | { next: () => Request }

export type Target = { url: string; pid: number; postmaster: number | undefined }

/** One side in one round. Times are in ms; CPU is in µs per request, undefined where the system does not say. */
export type Sample = {
  perSecond: number
  p50?: number
  p99?: number
  nodeUs: number | undefined
  postgresUs: number | undefined
  /** The share of one core that the server used. */
  busy?: number | undefined
  /** What went wrong, in words. */
  failures: string[]
}

/** Loads one server and measures it. @throws when aborted */
export async function load(
  { url, pid, postmaster }: Target,
  traffic: Traffic,
  options: { connections: number; seconds: number; signal: AbortSignal },
): Promise<Sample> {
  const { connections, seconds: duration, signal } = options
  signal.throwIfAborted()
  const usage = () => ({ at: performance.now(), node: cpuUsOf(pid), postgres: treeCpuUsOf(postmaster) })
  const latencies: number[] = []
  const run = autocannon({
    url,
    connections,
    duration,
    sampleInt: 50,
    setupClient: (client) => client.setRequests(requestsOf(traffic)),
  })
  const stop = () => run.stop()
  signal.addEventListener('abort', stop, { once: true })
  run.on('response', (_client: Client, _status: number, _bytes: number, ms: number) => latencies.push(ms))
  await once(run, 'start') // every request is built by now
  const before = usage()
  const { errors, non2xx } = await run
  const after = usage()
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  await sleep(100) // the server ends what was cut off
  const count = latencies.length
  const perRequest = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined || count === 0 ? undefined : (to - from) / count
  const nodeUs = perRequest(before.node, after.node)
  const seconds = (after.at - before.at) / 1_000
  latencies.sort((a, b) => a - b)
  return {
    perSecond: count / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    nodeUs,
    postgresUs: perRequest(before.postgres, after.postgres),
    busy: nodeUs === undefined ? undefined : (nodeUs * count) / (seconds * 1e6),
    failures: [
      ...(errors > 0 ? [`${errors} connection errors`] : []),
      ...(non2xx > 0 ? [`${non2xx} answers other than 2xx`] : []),
      ...(count === 0 ? ['no answer'] : []),
    ],
  }
}

function requestsOf(traffic: Traffic) {
  if ('cycle' in traffic) return traffic.cycle()
  return [{ setupRequest: (request: Request) => ({ ...request, ...traffic.next() }) }]
}

/** Of values in ascending order. */
export const quantile = (sorted: number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle) - 1] ?? Number.NaN)) / 2
}
