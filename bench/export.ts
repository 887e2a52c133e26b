import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { Loan } from '../src/domains/credit/loans/schemas.ts'
import { authorization, createPortfolio } from './lib/client.ts'
import { type Context, withServers } from './lib/context.ts'
import { seedLoans } from './lib/database.ts'
import { type Round, timed } from './lib/importing.ts'
import { watchMemory } from './lib/processes.ts'
import { hasPsql, psqlAt } from './lib/psql.ts'
import type { Result } from './lib/report.ts'

/** V8 looks after buffers outside its heap once they are 64 MB; what counts is that three million rows take no more. */
const memoryGrowthMax = 96 * 2 ** 20

/** A portfolio as CSV over HTTP against `psql \\copy` of the same columns of the same loans. */
export async function exportLoans(context: Context): Promise<Result | string> {
  if (!hasPsql()) return 'export: left out, psql is not installed'
  const { settings, account, database, say } = context
  return withServers(context, ['tenon'], async ({ tenon }) => {
    const portfolio = await createPortfolio(tenon.url, account, 'Export')
    const warmUp = await createPortfolio(tenon.url, account, 'Export, warm-up')
    say(`  seeding ${settings.loans.toLocaleString('en-US')} loans`)
    await seedLoans(database, 10_000, { org_id: account.orgId, portfolios: [warmUp] })
    await seedLoans(database, settings.loans, { org_id: account.orgId, portfolios: [portfolio] })

    const ours = async (of: string, rows: number) =>
      timed(context, rows, tenon.pid, async () => {
        const headers = { ...authorization(account), accept: 'text/csv' }
        const request = get(`${tenon.url}/api/v1/loans?portfolio_id=${of}`, { headers, signal: context.signal })
        const [answer] = (await once(request, 'response')) as [IncomingMessage]
        return countedAs(rows + 1, await linesOf(answer))
      })
    const columns = Object.keys(Loan.properties).join(', ')
    const select = `select ${columns} from loans where org_id = '${account.orgId}' and portfolio_id = '${portfolio}'`
    const theirs = () =>
      timed(context, settings.loans, undefined, async () => {
        const { args, env } = psqlAt(database.url)
        const command = `\\copy (${select}) to stdout with (format csv, header)`
        const stdio = ['ignore', 'pipe', 'inherit'] as const
        const psql = spawn('psql', [...args, '-c', command], { env, stdio: [...stdio], signal: context.signal })
        return countedAs(settings.loans + 1, await linesOf(psql.stdout as Readable))
      })

    await ours(warmUp, 10_000)
    await theirs()
    const memory = watchMemory(tenon.pid)
    const samples: { tenon: Round[]; base: Round[] } = { tenon: [], base: [] }
    for (let round = 1; round <= settings.importRounds; round++) {
      samples.tenon.push(await ours(portfolio, settings.loans))
      samples.base.push(await theirs())
      const [mine, other] = [samples.tenon.at(-1)?.seconds, samples.base.at(-1)?.seconds]
      say(`  round ${round}: ${mine?.toFixed(1)} s and ${other?.toFixed(1)} s`)
    }
    const grown = memory()
    if (grown !== undefined && grown > memoryGrowthMax)
      samples.tenon[0]?.failures.push('memory grew by more than 96 MB')
    await database.sql`delete from loans where portfolio_id in ${database.sql([portfolio, warmUp])}`
    return {
      name: 'export',
      title: `GET /loans?portfolio_id=… as CSV, ${settings.loans.toLocaleString('en-US')} loans in order, against psql \\copy of the same columns in any order`,
      better: 'higher',
      figure: {
        name: 'rows/s',
        of: (sample) => sample.perSecond,
        text: (value) => Math.round(value).toLocaleString('en-US'),
      },
      budget: { required: 0.5, design: 0.5 },
      notes: [
        `peak memory of the service over all rounds, above a warm-up of 10,000 loans: ${grown === undefined ? '-' : `+${(grown / 2 ** 20).toFixed(1)} MB`} (at most 96 MB)`,
      ],
      ...samples,
    }
  })
}

/** How many lines a stream has; generated loans have no line ends within. */
async function linesOf(stream: Readable): Promise<number> {
  let lines = 0
  for await (const chunk of stream as AsyncIterable<Buffer>)
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++
  return lines
}

const countedAs = (expected: number, found: number): string[] =>
  found === expected ? [] : [`${found} lines of ${expected} arrived`]
