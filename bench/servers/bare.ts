import Fastify from 'fastify'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { loadConfig } from '../../src/config.ts'
import { serveBench } from './child.ts'
import { stackAnswer, stackModel } from './stack.ts'

/**
 * The same answers by hand: Fastify as it comes and `postgres`, with a pool of the same size. Nobody signs in, nothing
 * is validated, logged, limited or audited. Rows are answered with JSON.stringify, which is faster here than a schema.
 */
const { database } = loadConfig()
const orgId = process.argv[2] as string
const app = Fastify()
const sql = postgres(database.url as string, {
  max: database.poolMax,
  fetch_types: false,
  types: { date: { to: 1082, from: [1082], serialize: String, parse: String } },
})
app.addHook('onClose', async () => sql.end({ timeout: 1 }))

const columns = sql`id, portfolio_id, loan_number, borrower_name, borrower_group, product, sector, country, state,
  currency, originated_on, first_payment_on, matures_on, term_months, original_principal, balance, commitment,
  interest_rate, rate_type, rate_index, rate_margin, amortization, payment_frequency, security_type, collateral_value,
  seniority, status, days_past_due, past_due_amount, stage, pd_12m, pd_lifetime, lgd, ccf, rating, defaulted_on,
  charged_off_on, charged_off_amount, recovered_amount, attributes, import_id, version, created_at, updated_at`

app.get('/bench/stack', { schema: { response: { 200: stackModel } } }, async () => stackAnswer())

app.get<{ Params: { id: string } }>('/api/v1/loans/:id', async (request, reply) => {
  const [loan] = await sql`select ${columns} from loans where org_id = ${orgId} and id = ${request.params.id}`
  return loan ?? reply.code(404).send({ error: 'not found' })
})

app.get<{ Querystring: { portfolio_id: string; limit: string } }>('/api/v1/loans', async ({ query }) => {
  const limit = Number(query.limit)
  const rows = await sql`select ${columns} from loans where org_id = ${orgId} and portfolio_id = ${query.portfolio_id}
    order by created_at desc, id desc limit ${limit + 1}`
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const cursor = () => Buffer.from(JSON.stringify([last?.created_at, last?.id])).toString('base64url')
  return { data, next_cursor: rows.length > limit ? cursor() : null }
})

app.post<{ Body: Record<string, string | number> }>('/api/v1/loans', async ({ body }, reply) => {
  const row = { org_id: orgId, id: uuidv7(), ...body }
  const [loan] = await sql`insert into loans ${sql(row)} returning ${columns}`
  return reply.code(201).send(loan)
})

await serveBench(app)
