import { LoanQuery } from '../src/domains/credit/loans/schemas.ts'
import { type Account, authorization, call, createPortfolio, signUp } from './lib/client.ts'
import { type Context, rounds, withServers } from './lib/context.ts'
import { createBeside, type Database } from './lib/database.ts'
import type { Traffic } from './lib/load.ts'
import type { Result } from './lib/report.ts'
import type { Server } from './lib/servers.ts'

const few = 10_000
/** So many times the loans of the import's tape: ten million, if nothing else is said. */
const times = 10
const portfolioCount = 40
const rowsAtOnce = 500_000
const cycleLength = 400

/** The sorts that the loan list offers. */
const sorts = (LoanQuery.properties.sort as unknown as { enum: string[] }).enum.filter((name) => !name.startsWith('-'))

type Side = { database: Database; account: Account; portfolios: string[] }

/** The loan list over ten times the tape (ten million loans) against the same over ten thousand, each in a database of its own. */
export async function scale(context: Context): Promise<Result> {
  const many = context.settings.loans * times
  const beside = await Promise.all([createBeside(context.database), createBeside(context.database)])
  try {
    const [small, large] = [await sideOf(context, beside[0], few), await sideOf(context, beside[1], many)]
    return await withServers({ ...context, ...large }, ['tenon'], ({ tenon: ours }) =>
      withServers({ ...context, ...small }, ['tenon'], async ({ tenon: theirs }) => {
        const samples = await rounds(
          context,
          { server: ours, traffic: listsOf(large) },
          { server: theirs, traffic: listsOf(small) },
        )
        return {
          name: 'scale',
          title: `GET /loans, 50 of a portfolio or of all, by date or number, over ${text(many)} loans (“Tenon”) against ${text(few)} (“baseline”), both of Tenon`,
          better: 'lower' as const,
          figure: { name: 'p99 ms', of: (sample) => sample.p99 as number, text: (value) => value.toFixed(1) },
          budget: { required: 1.2, design: 1.2 },
          notes: [await sortsOf(ours, large, many), await sortsOf(theirs, small, few)],
          ...samples,
        }
      }),
    )
  } finally {
    for (const database of beside) await database.drop()
  }
}

const text = (count: number) => count.toLocaleString('en-US')

/** An account in this database, and its loans in portfolios of equal size. */
async function sideOf(context: Context, database: Database, count: number): Promise<Side> {
  const { account: _, ...base } = context
  const made = await withServers({ ...base, database }, ['tenon'], async ({ tenon }) => {
    const account = await signUp(tenon.url)
    const portfolios: string[] = []
    for (let index = 0; index < portfolioCount; index++)
      portfolios.push(await createPortfolio(tenon.url, account, `Portfolio ${index}`))
    return { account, portfolios }
  })
  const { sql } = database
  for (let from = 0; from < count; from += rowsAtOnce) {
    context.signal.throwIfAborted()
    const to = Math.min(from + rowsAtOnce, count) - 1
    await sql`
      insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, matures_on, original_principal,
        balance, interest_rate, status, days_past_due, stage, created_at, updated_at)
      select ${made.account.orgId}, (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
        (${made.portfolios}::uuid[])[1 + n % ${portfolioCount}], 'L' || lpad(n::text, 8, '0'), 'Borrower ' || (n::bigint * 7919) % 400000, 'USD',
        date '2014-01-01' + ((n::bigint * 104729) % 3650)::int, date '2024-01-01' + ((n::bigint * 1299709) % 3650)::int,
        5000 + (n::bigint * 15485863) % 995000, (n::bigint * 32452843) % 500000, 0.05,
        (array['current', 'current', 'current', 'delinquent', 'paid'])[1 + n % 5], case n % 5 when 3 then n % 90 else 0 end, 1,
        timestamptz '2024-01-01' + n * interval '1 second', now()
      from generate_series(${from}::int, ${to}::int) as n`
    context.say(`  ${text(to + 1)} of ${text(count)} loans`)
  }
  await sql`vacuum (analyze) loans`
  await sql`checkpoint`.catch(() => undefined) // not every owner may
  return { database, ...made }
}

/** Pages as clients ask for them, of random portfolios. */
const listsOf = ({ account, portfolios }: Side): Traffic => ({
  cycle: () =>
    Array.from({ length: cycleLength }, (_, at) => {
      const portfolio = `portfolio_id=${portfolios[Math.floor(Math.random() * portfolios.length)]}`
      const query = ['', portfolio, `${portfolio}&sort=loan_number`, portfolio][at % 4]
      return { path: `/api/v1/loans?limit=50&${query}`, headers: authorization(account) }
    }),
})

/** How long the first page of a portfolio takes in each sort. */
async function sortsOf({ url }: Server, { account, portfolios }: Side, count: number): Promise<string> {
  const taken: string[] = []
  for (const sort of sorts) {
    const path = `${url}/api/v1/loans?limit=50&portfolio_id=${portfolios[0]}&sort=-${sort}`
    const start = performance.now()
    const failed = await call(path, { headers: authorization(account) }).then(
      () => '',
      () => ' (failed)',
    )
    taken.push(`${sort} ${(performance.now() - start).toFixed(0)} ms${failed}`)
  }
  return `first page of a portfolio of ${text(count / portfolioCount)} among ${text(count)}, by sort: ${taken.join(', ')}`
}
