import type { Account } from './client.ts'
import type { Database } from './database.ts'
import { load, type Sample, type Traffic } from './load.ts'
import { type Server, type Side, startServer } from './servers.ts'

export type Settings = {
  rounds: number
  seconds: number
  connections: number
  /** Rows of the import's tape, and how often each side loads it. */
  loans: number
  importRounds: number
  profileDir: string | undefined
}

/** What every scenario works with. */
export type Context = {
  settings: Settings
  database: Database
  /** A directory of this run's own, removed at its end. */
  scratch: string
  account: Account
  /** Portfolios of equal size in which the reads look, and the ids of all their loans. */
  portfolios: string[]
  loanIds: string[]
  signal: AbortSignal
  say(message: string): void
}

/** Runs `work` with servers of its own, fresh for each scenario, and ends them whatever happens. */
export async function withServers<const S extends readonly Side[], T>(
  {
    database,
    scratch,
    account,
    settings,
    signal,
  }: Omit<Context, 'portfolios' | 'loanIds' | 'account'> & {
    account?: Account
  },
  sides: S,
  work: (servers: { [K in S[number]]: Server }) => Promise<T>,
): Promise<T> {
  const started: Partial<Record<Side, Server>> = {}
  try {
    for (const side of sides) {
      const { profileDir } = settings
      const orgId = side === 'bare' ? account?.orgId : undefined
      started[side] = await startServer(side, database, {
        ...{ cwd: scratch, profileDir, signal },
        ...(orgId !== undefined && { orgId }),
      })
    }
    return await work(started as Record<S[number], Server>)
  } finally {
    for (const server of Object.values(started)) await server.stop()
  }
}

const warmUpSeconds = 2

/** Loads two servers in turn, A B A B …, after a warm-up of each. */
export async function rounds(
  { settings, database, signal, say }: Context,
  tenon: { server: Server; traffic: Traffic },
  base: { server: Server; traffic: Traffic },
): Promise<{ tenon: Sample[]; base: Sample[] }> {
  const { connections, seconds } = settings
  const once = ({ server, traffic }: typeof tenon, duration: number) =>
    load({ ...server, postmaster: database.postmaster }, traffic, { connections, seconds: duration, signal })
  for (const side of [tenon, base]) await once(side, warmUpSeconds)
  const samples: { tenon: Sample[]; base: Sample[] } = { tenon: [], base: [] }
  for (let round = 1; round <= settings.rounds; round++) {
    const [ours, theirs] = [await once(tenon, seconds), await once(base, seconds)]
    samples.tenon.push(ours)
    samples.base.push(theirs)
    say(`  round ${round}: ${ours.perSecond.toFixed(0)} and ${theirs.perSecond.toFixed(0)} requests a second`)
  }
  return samples
}
