import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { authorization, createPortfolio } from './client.ts'
import type { Context } from './context.ts'
import { seedLoans } from './database.ts'
import type { Sample } from './load.ts'
import { cpuUsOf, treeCpuUsOf } from './processes.ts'
import { psqlAt } from './psql.ts'
import type { Server } from './servers.ts'
import { upload } from './upload.ts'

const withinMs = 1_800_000

/** How one side loaded a tape. */
export type Round = Sample & { seconds: number }

/** Writes a file, through `transform` where one is given. */
export const writeTape = (path: string, chunks: Iterable<string>, transform?: Transform): Promise<void> => {
  const file = createWriteStream(path, { highWaterMark: 2 ** 20 })
  return transform ? pipeline(Readable.from(chunks), transform, file) : pipeline(Readable.from(chunks), file)
}

/** Both sides find the table with the loans that reads look for, and nothing else. */
export async function emptyTable({ database, account, portfolios, loanIds, signal }: Context): Promise<void> {
  signal.throwIfAborted()
  await database.sql`truncate loans, loan_versions cascade`
  const ids = await seedLoans(database, loanIds.length, { org_id: account.orgId, portfolios })
  loanIds.splice(0, ids.length, ...ids)
}

export async function timed(context: Context, rows: number, pid: number | undefined, work: () => Promise<string[]>) {
  const { postmaster } = context.database
  const usage = () => ({ node: pid === undefined ? undefined : cpuUsOf(pid), postgres: treeCpuUsOf(postmaster) })
  const [before, start] = [usage(), performance.now()]
  const failures = await work()
  const seconds = (performance.now() - start) / 1_000
  const after = usage()
  const perRow = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : (to - from) / rows
  const nodeUs = perRow(before.node, after.node)
  return {
    ...{ seconds, perSecond: rows / seconds, failures, nodeUs },
    postgresUs: perRow(before.postgres, after.postgres),
    busy: nodeUs === undefined ? undefined : (nodeUs * rows) / (seconds * 1e6),
  }
}

let portfolios = 0

/** A portfolio for one import: the same file twice into one is refused. */
export const freshPortfolio = ({ account }: Context, { url }: Server): Promise<string> =>
  createPortfolio(url, account, `Import ${++portfolios}`)

/** What is imported, and what should come of it. */
export type Load = {
  portfolio: string
  file: string
  /** Rows of the file. */
  rows: number
  fields?: Record<string, string>
  /** Counts that the answer must tell. */
  expected: Record<string, number>
}

/** One import over HTTP. */
export const importOnce = (context: Context, { url, pid }: Server, load: Load): Promise<Round> =>
  timed(context, load.rows, pid, async () => {
    const { status, body } = await upload(`${url}/api/v1/portfolios/${load.portfolio}/loans/import`, {
      file: load.file,
      fields: { mode: 'insert', on_error: 'abort', ...load.fields },
      headers: authorization(context.account),
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(withinMs)]),
    })
    if (status !== 201) return [`answered ${status}: ${body.slice(0, 300)}`]
    const counts = JSON.parse(body) as Record<string, unknown>
    return Object.entries(load.expected)
      .filter(([name, count]) => counts[name] !== count)
      .map(([name, count]) => `${name} is ${counts[name]}, not ${count}`)
  })

/** Runs psql commands, one after another. @returns what it printed */
async function psql({ database, signal }: Context, commands: string[]): Promise<string> {
  const { args, env } = psqlAt(database.url)
  const child = spawn('psql', [...args, '-q', '-v', 'ON_ERROR_STOP=1'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  child.stdin.end(`${commands.join('\n')}\n`)
  const [code] = await once(child, 'close')
  return code === 0 ? output : `psql ended with ${code}: ${output}`
}

/** Loads rows with psql: the commands must leave so many loans in the portfolio. */
export const psqlOnce = (context: Context, commands: string[], portfolio: string, rows: number): Promise<Round> =>
  timed(context, rows, undefined, async () => {
    const said = await psql(context, commands)
    return said.trim() === '' ? [] : [`psql said: ${said.slice(0, 300)}`]
  }).then(async (round) => {
    const [found] = await context.database
      .sql`select count(*)::int as loans from loans where portfolio_id = ${portfolio}`
    return found?.loans === rows
      ? round
      : { ...round, failures: [...round.failures, `${found?.loans} loans are there`] }
  })
