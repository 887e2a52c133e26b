import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { hash, verify } from 'argon2'
import { hashesAtOnce, hashParameters } from '../src/lib/password.ts'
import { atRate, reader } from './lib/beside.ts'
import { call } from './lib/client.ts'
import { type Context, withServers } from './lib/context.ts'
import type { Sample } from './lib/load.ts'
import type { Result } from './lib/report.ts'
import type { Server } from './lib/servers.ts'

const password = 'Correct-Horse-7'
const simultaneous = 100
const readsPerSecond = 100

/** Logins that never end against argon2 by itself, at the same number of hashes at once; and reads beside them. */
export async function logins(context: Context): Promise<Result> {
  return withServers(context, ['tenon'], async ({ tenon }) => {
    const { settings, say, signal } = context
    say(`  registering ${simultaneous} accounts`)
    const names = Array.from({ length: simultaneous }, (_, index) => `login-${index}@example.com`)
    for (const email of names) await call(`${tenon.url}/api/v1/auth/register`, { json: { email, password } })
    const { read, close } = reader(context, tenon)
    const samples: { tenon: Sample[]; base: Sample[] } = { tenon: [], base: [] }
    const notes: string[] = []
    for (let round = 1; round <= settings.rounds; round++) {
      signal.throwIfAborted()
      const forMs = settings.seconds * 1_000
      samples.base.push(await hashing(forMs))
      const quiet = await atRate(readsPerSecond, read, sleep(2_000, undefined, { signal }))
      const storm = loginStorm(tenon, names, forMs)
      const during = await atRate(readsPerSecond, read, storm)
      const { sample, refused } = await storm
      samples.tenon.push(sample)
      const ms = (value: number) => `${value.toFixed(1)} ms`
      notes.push(
        `round ${round}: reads alone and beside: p50 ${ms(quiet.p50)} and ${ms(during.p50)} (${(during.p50 / quiet.p50).toFixed(1)}×; the goal is 1.5×), p99 ${ms(quiet.p99)} and ${ms(during.p99)} (the goal is 25 ms); ${during.failed} reads failed, ${refused} logins were told to come again (429, 503)`,
      )
      say(
        `  round ${round}: ${sample.perSecond.toFixed(1)} logins and ${samples.base.at(-1)?.perSecond.toFixed(1)} hashes a second`,
      )
    }
    close()
    return {
      name: 'logins',
      title: `${simultaneous} clients that sign in again and again, against argon2.verify alone, both with ${hashesAtOnce} hash(es) at once; ${readsPerSecond} reads a second beside`,
      better: 'higher',
      figure: { name: 'hashes/s', of: (sample) => sample.perSecond, text: (value) => value.toFixed(1) },
      budget: { design: 0.9 },
      ...samples,
      notes,
    }
  })
}

/** argon2 by itself. */
async function hashing(forMs: number): Promise<Sample> {
  const hashed = await hash(password, hashParameters)
  const start = performance.now()
  let count = 0
  const work = async () => {
    for (; performance.now() - start < forMs; count++) await verify(hashed, password)
  }
  await Promise.all(Array.from({ length: hashesAtOnce }, work))
  return {
    perSecond: count / ((performance.now() - start) / 1_000),
    nodeUs: undefined,
    postgresUs: undefined,
    failures: [],
  }
}

/** Every name signs in, again as soon as it is answered; who is told to wait waits as long as he is told. */
async function loginStorm(server: Server, names: string[], forMs: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: names.length })
  const start = performance.now()
  const failures: string[] = []
  let count = 0
  let refused = 0
  const client = async (username: string) => {
    while (performance.now() - start < forMs) {
      const { status, retryAfterS } = await post(server, agent, JSON.stringify({ username, password }))
      if (status === 200) count += performance.now() - start < forMs ? 1 : 0
      else if (status === 429 || status === 503) {
        refused++
        await sleep(Math.min(retryAfterS * 1_000, Math.max(0, forMs - (performance.now() - start))))
      } else failures.push(`a login was answered ${status}`)
    }
  }
  await Promise.all(names.map(client))
  agent.destroy()
  return { sample: { perSecond: count / (forMs / 1_000), nodeUs: undefined, postgresUs: undefined, failures }, refused }
}

function post({ url }: Server, agent: Agent, body: string): Promise<{ status: number; retryAfterS: number }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    request(`${url}/api/v1/auth/login`, { method: 'POST', agent, headers }, (response) => {
      const answer = { status: response.statusCode ?? 0, retryAfterS: Number(response.headers['retry-after'] ?? 1) }
      response.resume().once('close', () => resolve(answer))
    })
      .once('error', reject)
      .end(body)
  })
}
