import { deepEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { authorization, call, createPortfolio } from './lib/client.ts'
import { type Context, rounds, withServers } from './lib/context.ts'
import { seedLoans } from './lib/database.ts'
import type { Request, Sample, Traffic } from './lib/load.ts'
import { loanBody } from './lib/loans.ts'
import type { Budget, Result } from './lib/report.ts'

export type Scenario = (context: Context) => Promise<Result>

const requestsPerSecond: Result['figure'] = {
  name: 'requests/s',
  of: (sample) => sample.perSecond,
  text: (value) => Math.round(value).toLocaleString('en-US'),
}
const p50: Result['figure'] = {
  name: 'p50 ms',
  of: (sample: Sample) => sample.p50 as number,
  text: (value) => value.toFixed(2),
}

const random = <T>(from: T[]): T => from[Math.floor(Math.random() * from.length)] as T

/** So many for each connection that together they reach most of the loans. */
const cycleLength = 400
const cycleOf = (make: () => Request): Traffic => ({ cycle: () => Array.from({ length: cycleLength }, make) })

/** The same traffic in the account's name. */
function signedIn(traffic: Traffic, { account }: Context): Traffic {
  const sign = (request: Request): Request => ({
    ...request,
    headers: { ...request.headers, ...authorization(account) },
  })
  return 'cycle' in traffic ? { cycle: () => traffic.cycle().map(sign) } : { next: () => sign(traffic.next()) }
}

type AgainstBare = {
  name: string
  title: string
  budget: Budget
  traffic: (context: Context) => Traffic
  /** What Tenon sends besides. */
  more?: (request: Request) => Request
}

/** A scenario that asks Tenon and the bare server the same; reads must also be answered the same. */
const againstBare =
  ({ name, title, budget, traffic, more = (request) => request }: AgainstBare): Scenario =>
  async (context) =>
    withServers(context, ['tenon', 'bare'], async ({ tenon, bare }) => {
      const plain = traffic(context)
      const ours = signedIn('cycle' in plain ? plain : { next: () => more(plain.next()) }, context)
      if ('cycle' in plain) {
        const { path } = plain.cycle()[0] as Request
        deepEqual(
          dataOf(await call(`${tenon.url}${path}`, { headers: authorization(context.account) })),
          dataOf(await call(`${bare.url}${path}`)),
        )
      }
      const samples = await rounds(context, { server: tenon, traffic: ours }, { server: bare, traffic: plain })
      return { name, title, better: 'higher', figure: requestsPerSecond, budget, notes: [], ...samples }
    })

/** Pages differ in how they write their cursor. */
const dataOf = (answer: object) => ('data' in answer ? answer.data : answer)

let created = 0
/** A loan nobody has sent yet. */
const newLoan = ({ portfolios }: Context): Traffic => ({
  next: () => {
    const index = created++
    const body = JSON.stringify({ portfolio_id: random(portfolios), ...loanBody(index, `C${index}`) })
    return { method: 'POST', path: '/api/v1/loans', headers: { 'content-type': 'application/json' }, body }
  },
})

const deepRows = 100_000
const deepLimit = 10
const walkLimit = 200

/** Both sides are Tenon: pages of ten around the ten-thousandth, and the first. */
const deep: Scenario = async (context) =>
  withServers(context, ['tenon'], async ({ tenon }) => {
    const { account, database, say } = context
    const portfolio = await createPortfolio(tenon.url, account, 'Deep')
    await seedLoans(database, deepRows, { org_id: account.orgId, portfolios: [portfolio] })
    say(`  walking through ${deepRows.toLocaleString('en-US')} loans`)
    const first = `/api/v1/loans?portfolio_id=${portfolio}&limit=`
    const cursors: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const url: string = `${tenon.url}${first}${walkLimit}${next && `&cursor=${next}`}`
      const page = await call<{ next_cursor: string | null }>(url, { headers: authorization(account) })
      next = page.next_cursor
      if (next !== null) cursors.push(next)
    }
    const last = cursors.slice(-deepRows / walkLimit / 10)
    const far = cycleOf(() => ({ path: `${first}${deepLimit}&cursor=${random(last)}` }))
    const near = cycleOf(() => ({ path: `${first}${deepLimit}` }))
    const samples = await rounds(
      context,
      { server: tenon, traffic: signedIn(far, context) },
      { server: tenon, traffic: signedIn(near, context) },
    )
    return {
      name: 'deep',
      title: `GET /loans?limit=${deepLimit}, pages 9,000 to 10,000 (“Tenon”) against page 1 (“baseline”), both of Tenon`,
      ...{ better: 'lower' as const, figure: p50, budget: { design: 1.1 }, notes: [], ...samples },
    }
  })

export const scenarios: Record<string, Scenario> = {
  stack: againstBare({
    name: 'stack',
    title: 'a small answer without the database, signed in, against bare Fastify with the same response schema',
    budget: { required: 0.45, design: 0.5 },
    traffic: () => cycleOf(() => ({ path: '/bench/stack' })),
  }),
  get: againstBare({
    name: 'get',
    title: 'GET /loans/{id}, random ids, against the same select in bare Fastify + postgres, no auth',
    budget: { required: 0.7, design: 0.75 },
    traffic: ({ loanIds }) => cycleOf(() => ({ path: `/api/v1/loans/${random(loanIds)}` })),
  }),
  list: againstBare({
    name: 'list',
    title: 'GET /loans?portfolio_id=…&limit=50, random portfolios, against the same select, bare',
    budget: { required: 0.85, design: 0.9 },
    traffic: ({ portfolios }) => cycleOf(() => ({ path: `/api/v1/loans?portfolio_id=${random(portfolios)}&limit=50` })),
  }),
  create: againstBare({
    name: 'create',
    title: 'POST /loans, durable and audited, against the same insert, bare and without audit',
    budget: { design: 0.6 },
    traffic: newLoan,
  }),
  'create-once': againstBare({
    name: 'create-once',
    title: 'the same with an Idempotency-Key, against the same insert without',
    budget: { design: 0.6 },
    traffic: newLoan,
    more: (request) => ({ ...request, headers: { ...request.headers, 'idempotency-key': randomUUID() } }),
  }),
  deep,
}
