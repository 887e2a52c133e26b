import { type Asked, preparedAs, statementsOf } from './lib/capture.ts'
import { authorization, call, createPortfolio } from './lib/client.ts'
import { type Context, withServers } from './lib/context.ts'
import { seedLoans } from './lib/database.ts'
import type { Sample } from './lib/load.ts'
import { hasPsql, openPsql } from './lib/psql.ts'
import type { Result } from './lib/report.ts'

/** What is asked of the portfolio, below `/portfolios/{id}/`; one with a body is a POST. A line each. */
const endpoints: Record<string, { path: string; body?: object }> = {
  metrics: { path: 'metrics' },
  'metrics of a date': { path: 'metrics?as_of=2024-02-29' },
  segments: { path: 'metrics/segments?by=state&by2=status' },
  'segments, folded': { path: 'metrics/segments?by=sector&limit=50' },
  delinquency: { path: 'delinquency' },
  'delinquency, a series': { path: 'delinquency?series=true' },
  concentration: { path: 'concentration' },
  vintages: { path: 'vintages' },
  'vintages by state': { path: 'vintages?by=state&step=12' },
  'roll rates': { path: 'roll-rates?from=2024-01-31&to=2024-02-29' },
  'stage transitions': { path: 'transition-matrix?kind=stage&from=2024-01-31&to=2024-02-29' },
  'default rates': { path: 'default-rates?period=quarter&basis=count&from=2020-01-01&to=2023-12-31' },
  stress: { path: 'stress', body: { name: 'Bench', shocks: { pd_multiplier: '2' } } },
}

const reported = ['2024-01-31', '2024-02-29']

/** Each endpoint about a large book, one call at a time, against the statements it sent, run by psql. */
export async function metrics(context: Context): Promise<Result[] | string> {
  if (!hasPsql()) return 'metrics: left out, psql is not installed'
  return withServers(context, ['tenon'], async ({ tenon }) => {
    const { account, settings, say } = context
    const portfolio = await createPortfolio(tenon.url, account, 'Metrics')
    await seedBook(context, portfolio)
    const requests = Object.values(endpoints).map(
      ({ path, ...more }): Asked => ({ path: `/api/v1/portfolios/${portfolio}/${path}`, ...more }),
    )
    const statements = await statementsOf(context, requests)
    const psql = openPsql(context)
    try {
      const results: Result[] = []
      for (const [at, name] of Object.keys(endpoints).entries()) {
        const runs = statements[at]!.map((statement, index) => preparedAs(`s${at}_${index}`, statement))
        for (const { prepare } of runs) await psql.run(prepare)
        const { path, body } = requests[at]!
        const options = { headers: authorization(account), ...(body !== undefined && { json: body }) }
        const ours = () => timed(() => call(`${tenon.url}${path}`, options))
        const theirs = async () => {
          let ms = 0
          for (const { execute } of runs) ms += await psql.run(execute)
          return ms
        }
        await ours()
        await theirs()
        const samples: { tenon: Sample[]; base: Sample[] } = { tenon: [], base: [] }
        for (let round = 1; round <= settings.rounds; round++) {
          samples.tenon.push(sampleOf(await ours()))
          samples.base.push(sampleOf(await theirs()))
        }
        say(`  ${name}: ${samples.tenon.at(-1)?.p50?.toFixed(0)} and ${samples.base.at(-1)?.p50?.toFixed(0)} ms`)
        results.push({
          name: `metrics: ${name}`,
          title: `${path.replace(portfolio, '{id}')} over ${settings.loans.toLocaleString('en-US')} loans, against the same SQL in psql`,
          better: 'lower',
          figure: { name: 'ms', of: (sample) => sample.p50 as number, text: (value) => value.toFixed(0) },
          budget: { required: 1.1, design: 1.1 },
          notes: [],
          ...samples,
        })
      }
      return results
    } finally {
      psql.close()
    }
  })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

const sampleOf = (ms: number): Sample => ({
  perSecond: 1_000 / ms,
  p50: ms,
  nodeUs: undefined,
  postgresUs: undefined,
  failures: [],
})

/** A portfolio full of loans, reported for two dates. */
async function seedBook({ database, account, settings, say, signal }: Context, portfolio: string) {
  say(`  making ${settings.loans.toLocaleString('en-US')} loans and ${reported.length} snapshots of each`)
  await seedLoans(database, settings.loans, { org_id: account.orgId, portfolios: [portfolio] })
  const { sql } = database
  const columns = await sql<{ name: string }[]>`
    select loan.column_name as name from information_schema.columns loan
    join information_schema.columns version using (table_schema, column_name)
    where loan.table_name = 'loans' and version.table_name = 'loan_versions' and column_name not in ('id', 'version')`
  const names = columns.map(({ name }) => `"${name}"`).join(', ')
  for (const date of reported) {
    signal.throwIfAborted()
    await sql.unsafe(
      `insert into loan_versions (id, loan_id, as_of, ${names}) select gen_random_uuid(), id, $1, ${names} from loans where portfolio_id = $2`,
      [date, portfolio],
    )
  }
  await sql`vacuum (analyze) loan_versions`
}
