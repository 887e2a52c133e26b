import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../src/config.ts'
import { exportLoans } from './export.ts'
import { importScenarios } from './import.ts'
import { type Account, createPortfolio, signUp } from './lib/client.ts'
import { type Context, type Settings, withServers } from './lib/context.ts'
import { createDatabase, type Database, seedLoans } from './lib/database.ts'
import { failuresOf, type Result, report } from './lib/report.ts'
import { logins } from './logins.ts'
import { metrics } from './metrics.ts'
import { replicas } from './replicas.ts'
import { scale } from './scale.ts'
import { type Scenario, scenarios } from './scenarios.ts'

const all: Record<string, Scenario | ((context: Context) => Promise<string | Result | Result[]>)> = {
  ...scenarios,
  logins,
  replicas,
  ...importScenarios,
  export: exportLoans,
  metrics,
  scale,
}
const known = Object.keys(all)
/** Only where it is asked for: it makes ten million loans. */
const unasked = ['scale']
const portfolioCount = 40
const loanCount = 20_000

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '32' },
    loans: { type: 'string', default: '1000000' },
    'import-rounds': { type: 'string', default: '3' },
    only: { type: 'string' },
    out: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
})

const number = (name: 'rounds' | 'seconds' | 'connections' | 'loans' | 'import-rounds', max: number): number => {
  const value = Number(options[name])
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new Error(`--${name} must be a whole number from 1 to ${max}`)
}

const say = (message: string) => console.error(message)

/** Runs the chosen scenarios one after another and prints the report. @returns whether all of them worked */
async function main(signal: AbortSignal): Promise<boolean> {
  const names = options.only?.split(',') ?? known.filter((name) => !unasked.includes(name))
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`--only knows ${known.join(', ')}; not ${unknown.join(', ')}`)
  const settings: Settings = {
    rounds: number('rounds', 100),
    seconds: number('seconds', 60),
    connections: number('connections', 500),
    loans: number('loans', 10_000_000),
    importRounds: number('import-rounds', 20),
    profileDir: options.profile ? join(import.meta.dirname, '.tmp') : undefined,
  }
  if (settings.profileDir !== undefined) await mkdir(settings.profileDir, { recursive: true })
  const scratch = await mkdtemp(join(tmpdir(), 'tenon-bench-'))
  let database: Database | undefined
  try {
    say('Opening Postgres')
    const dataDir = join(import.meta.dirname, '../.data/bench')
    database = await createDatabase(loadConfig(process.env, { NODE_ENV: 'development', DATA_DIR: dataDir }))
    const context = await prepare({ settings, database, scratch, signal, say })
    const results: Result[] = []
    const remarks: string[] = []
    for (const name of names) {
      say(name)
      const result = await all[name]!(context)
      if (typeof result === 'string') remarks.push(`- ${result}`)
      else results.push(...[result].flat())
    }
    const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')
    const text = report(results, remarks, { command, postgres: database.version, ...settings })
    console.log(text)
    // A run of some scenarios must not replace the record of all.
    const out = options.out ?? (options.only === undefined ? join(import.meta.dirname, 'results.md') : undefined)
    if (out !== undefined) await writeFile(out, text)
    return results.every((result) => failuresOf(result).length === 0)
  } finally {
    await database?.drop()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** An account with portfolios full of loans. */
async function prepare(base: Omit<Context, 'account' | 'portfolios' | 'loanIds'>): Promise<Context> {
  const made = await withServers(base, ['tenon'], async ({ tenon }) => {
    const account: Account = await signUp(tenon.url)
    const portfolios: string[] = []
    for (let index = 0; index < portfolioCount; index++)
      portfolios.push(await createPortfolio(tenon.url, account, `Portfolio ${index}`))
    return { account, portfolios }
  })
  const where = { org_id: made.account.orgId, portfolios: made.portfolios }
  return { ...base, ...made, loanIds: await seedLoans(base.database, loanCount, where) }
}

const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => {
    say('Stopping: the servers, the database and the files of this run are being removed.')
    stopping.abort(new Error(`stopped by ${name}`))
  })

try {
  process.exitCode = (await main(stopping.signal)) ? 0 : 1
} catch (error) {
  console.error(stopping.signal.aborted ? (stopping.signal.reason as Error).message : error)
  process.exitCode = stopping.signal.aborted ? 130 : 1
}
