import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { v7 as uuidv7 } from 'uuid'
import { readsDuring } from './lib/beside.ts'
import { authorization, createPortfolio } from './lib/client.ts'
import { type Context, withServers } from './lib/context.ts'
import { seedLoans } from './lib/database.ts'
import type { Sample } from './lib/load.ts'
import { tapeChunks, tapeColumns } from './lib/loans.ts'
import { cpuUsOf, memoryOf, resetPeak, treeCpuUsOf } from './lib/processes.ts'
import type { Result } from './lib/report.ts'
import type { Server } from './lib/servers.ts'
import { upload } from './lib/upload.ts'

const importWithinMs = 900_000
const warmUpRows = 20_000
const memoryGrowthMax = 60 * 2 ** 20

type Round = Sample & { seconds: number }

const keyColumns = ['org_id', 'id', 'portfolio_id', 'import_id']

/** HTTP import of generated loans against `psql \copy` of the same rows, keys prefilled, into the same table. */
export async function importLoans(context: Context): Promise<Result | string> {
  if (spawnSync('psql', ['--version']).status !== 0) return 'import: left out, psql is not installed'
  const { settings, scratch, account, say } = context
  say(`  writing tapes of ${settings.loans.toLocaleString('en-US')} loans`)
  const tapes = {
    warmUp: join(scratch, 'warm-up.csv'),
    ours: join(scratch, 'tape.csv'),
    psql: join(scratch, 'keys.csv'),
  }
  return withServers(context, ['tenon'], async ({ tenon }) => {
    const portfolio = await createPortfolio(tenon.url, account, 'psql')
    const importId = uuidv7()
    await writeTape(tapes.warmUp, tapeChunks(warmUpRows))
    await writeTape(tapes.ours, tapeChunks(settings.loans))
    const keys = () => [account.orgId, uuidv7(), portfolio, importId].join(',')
    await writeTape(tapes.psql, tapeChunks(settings.loans, keys))

    await importOnce(context, tenon, tapes.warmUp, warmUpRows)
    const memory = watchMemory(tenon.pid)
    const samples: { tenon: Round[]; base: Round[] } = { tenon: [], base: [] }
    for (let round = 1; round <= settings.importRounds; round++) {
      await emptyTable(context)
      samples.tenon.push(await importOnce(context, tenon, tapes.ours, settings.loans))
      await emptyTable(context)
      samples.base.push(await copyOnce(context, tapes.psql, settings.loans))
      const [ours, theirs] = [samples.tenon.at(-1)?.seconds, samples.base.at(-1)?.seconds]
      say(`  round ${round}: ${ours?.toFixed(1)} s and ${theirs?.toFixed(1)} s`)
    }
    const grown = memory()
    if (grown !== undefined && grown > memoryGrowthMax)
      samples.tenon[0]?.failures.push('memory grew by more than 60 MB')
    await emptyTable(context)
    const beside = await readsDuring(context, tenon, () => importOnce(context, tenon, tapes.ours, settings.loans))
    const megabytes = Math.round((await stat(tapes.ours)).size / 1e6)
    return {
      name: 'import',
      title: `${settings.loans.toLocaleString('en-US')} loans, ${tapeColumns.length} columns, ${megabytes} MB, through HTTP in one transaction, against psql \\copy of the same rows with their keys, same indexes, table emptied before each`,
      better: 'lower',
      figure: { name: 'wall s', of: (sample) => (sample as Round).seconds, text: (value) => value.toFixed(1) },
      budget: { required: 1.5, design: 1.2 },
      ...samples,
      notes: [
        `peak memory of the service over all rounds, above a warm-up import of ${warmUpRows.toLocaleString('en-US')} rows: ${grown === undefined ? '-' : `+${(grown / 2 ** 20).toFixed(1)} MB`} (at most 60 MB)`,
        ...beside,
      ],
    }
  })
}

const writeTape = (path: string, chunks: Iterable<string>) =>
  pipeline(Readable.from(chunks), createWriteStream(path, { highWaterMark: 2 ** 20 }))

/** Both sides find the table with the loans that reads look for, and nothing else. */
async function emptyTable({ database, account, portfolios, loanIds, signal }: Context) {
  signal.throwIfAborted()
  await database.sql`truncate loans cascade`
  const ids = await seedLoans(database, loanIds.length, { org_id: account.orgId, portfolios })
  loanIds.splice(0, ids.length, ...ids)
}

async function timed(context: Context, rows: number, pid: number | undefined, work: () => Promise<string[]>) {
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

let imports = 0

/** Each import has a portfolio of its own, for the same file twice into one is refused. */
async function importOnce(context: Context, { url, pid }: Server, file: string, rows: number): Promise<Round> {
  const { account, signal, database } = context
  const portfolio = await createPortfolio(url, account, `Import ${++imports}`)
  const round = await timed(context, rows, pid, async () => {
    const { status, body } = await upload(`${url}/api/v1/portfolios/${portfolio}/loans/import`, {
      file,
      fields: { mode: 'insert', on_error: 'abort' },
      headers: authorization(account),
      signal: AbortSignal.any([signal, AbortSignal.timeout(importWithinMs)]),
    })
    return status === 201 ? [] : [`answered ${status}: ${body.slice(0, 300)}`]
  })
  const [found] = await database.sql`select count(*)::int as loans from loans where portfolio_id = ${portfolio}`
  if (found?.loans !== rows) round.failures.push(`${found?.loans} loans of ${rows} are there`)
  return round
}

const copyOnce = (context: Context, file: string, rows: number): Promise<Round> =>
  timed(context, rows, undefined, async () => {
    const names = [...keyColumns, ...tapeColumns].join(', ')
    const { hostname, port, username, password, pathname } = new URL(context.database.url)
    const where = ['-h', hostname, '-p', port || '5432', '-U', decodeURIComponent(username), '-d', pathname.slice(1)]
    const psql = spawn(
      'psql',
      [...where, '-X', '-w', '-c', `\\copy loans (${names}) from '${file}' with (format csv)`],
      {
        env: { ...process.env, PGPASSWORD: decodeURIComponent(password) },
        stdio: ['ignore', 'pipe', 'inherit'],
        signal: AbortSignal.any([context.signal, AbortSignal.timeout(importWithinMs)]),
      },
    )
    let output = ''
    psql.stdout.on('data', (chunk) => {
      output += chunk
    })
    await once(psql, 'close')
    return output.trim() === `COPY ${rows}` ? [] : [`psql said: ${output}`]
  })

/** Watches a process from now on. @returns how far above today's its memory has been, in bytes */
function watchMemory(pid: number): () => number | undefined {
  const before = memoryOf(pid)
  if (before !== undefined) resetPeak(pid)
  return () => {
    const after = memoryOf(pid)
    return before === undefined || after === undefined ? undefined : after.peak - before.now
  }
}
