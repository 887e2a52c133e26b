import { describe, expect } from 'vitest'
import { startService } from '../../src/service.ts'
import { type Answer, type Api, test as base, type Client, type Person, startApi, testConfig } from '../helpers/api.ts'
import { newPortfolio } from '../helpers/credit.ts'
import { freePort } from '../helpers/port.ts'
import { type DatabaseProxy, openProxy } from '../helpers/proxy.ts'
import { countEvents, ownerSql, test as withSql } from '../helpers/sql.ts'

const recoveryMs = 2_000

/** A service whose way to Postgres the test can cut, and somebody who uses it. */
const test = base.extend<{ proxy: DatabaseProxy; cut: Api; person: Person }>({
  proxy: async ({ api }, use) => {
    const proxy = await openProxy(api.url)
    await use(proxy)
    await proxy.close()
  },
  cut: async ({ api, proxy }, use) => {
    const cut = await startApi({ DB_ACQUIRE_TIMEOUT_MS: '300' }, { ...api, url: proxy.url })
    await use(cut)
    await cut.close()
  },
  person: async ({ cut }, use) => {
    const person = await cut.newOwner()
    await newPortfolio(person)
    await use(person)
  },
})

/** Several callers who ask again and again until the load is ended. */
function load(person: Client) {
  const answers: Answer[] = []
  let running = true
  const caller = async (n: number) => {
    while (running) {
      const write = n % 4 === 0
      answers.push(
        await (write ? person.post('/portfolios', { name: 'x', currency: 'USD' }) : person.get('/portfolios')),
      )
    }
  }
  const callers = Array.from({ length: 8 }, (_, n) => caller(n))
  return {
    answers,
    last: () => answers.at(-1)?.status,
    end: async () => {
      running = false
      await Promise.all(callers)
      return answers
    },
  }
}

const isUnavailable = ({ status, headers, body }: Answer) =>
  status === 503 && body.code === 'unavailable' && Number(headers['retry-after']) >= 1

/** Whatever happened meanwhile, each answer was a success or an honest 503. */
function expectHonest(answers: Answer[]) {
  const odd = answers.filter((answer) => answer.status >= 300 && !isUnavailable(answer))
  expect(odd.map(({ status, text }) => [status, text])).toEqual([])
}

const statusOf = async ({ app }: Api, path: string) => (await app.inject(path)).statusCode

describe('Postgres that stops under load', () => {
  test('is answered with 503 and when to come back, and recovered from within two seconds', async ({
    cut,
    proxy,
    person,
  }) => {
    const work = load(person)
    await expect.poll(() => work.answers.length, { timeout: 5_000, interval: 5 }).toBeGreaterThan(20)
    await proxy.down()
    await expect.poll(work.last, { timeout: 5_000, interval: 5 }).toBe(503)
    expect(await statusOf(cut, '/health/live')).toBe(200)
    expect(await statusOf(cut, '/health/ready')).toBe(503)
    const away = work.answers.length
    await expect.poll(() => work.answers.length, { timeout: 5_000, interval: 5 }).toBeGreaterThan(away + 20)
    expect(isUnavailable(work.answers.at(-1) as Answer)).toBe(true)
    await proxy.up()
    const back = performance.now()
    await expect.poll(async () => (await person.get('/portfolios')).status, { timeout: 5_000, interval: 10 }).toBe(200)
    expect(performance.now() - back).toBeLessThan(recoveryMs)
    expect(await statusOf(cut, '/health/ready')).toBe(200)
    const recovered = work.answers.length
    await expect.poll(() => work.answers.length, { timeout: 5_000, interval: 5 }).toBeGreaterThan(recovered + 20)
    const answers = await work.end()
    expect(answers.slice(-8).map(({ status }) => status < 300)).toEqual(Array(8).fill(true))
    expectHonest(answers)
  })

  withSql(
    'that ends every connection is recovered from too, and no answer is other than 503',
    async ({ owner, sql }) => {
      const work = load(owner)
      for (let round = 0; round < 3; round++) {
        const before = work.answers.length
        await expect.poll(() => work.answers.length, { timeout: 5_000, interval: 5 }).toBeGreaterThan(before + 20)
        await sql`
        select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and application_name like 'tenon%'`
      }
      await expect
        .poll(async () => (await owner.get('/portfolios')).status, { timeout: recoveryMs, interval: 10 })
        .toBe(200)
      const answers = await work.end()
      expectHonest(answers)
      // What was answered as made is there, once.
      const made = answers.filter(({ status }) => status === 201).map(({ body }) => body.id)
      const [row] = await sql`select count(*)::int as count from portfolios where id = any(${made})`
      expect(row?.count).toBe(made.length)
    },
  )
})

base(
  'Postgres that is away at the start is waited for; meanwhile the service lives and is not ready',
  async ({ api, owner }) => {
    const proxy = await openProxy(api.url)
    await proxy.down()
    const port = await freePort()
    const starting = startService(
      testConfig({ DATABASE_URL: proxy.url, MIGRATION_DATABASE_URL: proxy.through(api.ownerUrl), PORT: String(port) }),
    )
    const ask = async (path: string, headers: Record<string, string> = {}) =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers }).then(
        async (answer) => ({
          status: answer.status,
          wait: answer.headers.get('retry-after'),
          text: await answer.text(),
        }),
        () => ({ status: 0, wait: null, text: '' }),
      )
    await expect.poll(async () => (await ask('/health/live')).status, { timeout: 5_000, interval: 10 }).toBe(200)
    expect((await ask('/health/ready')).status).toBe(503)
    for (const headers of [{}, { authorization: `Bearer ${owner.token}` }]) {
      const { status, wait, text } = await ask('/api/v1/portfolios', headers)
      expect([status, Number(wait) >= 1, JSON.parse(text).code]).toEqual([503, true, 'unavailable'])
    }
    await proxy.up()
    const service = await starting
    expect((await ask('/health/ready')).status).toBe(200)
    expect((await ask('/api/v1/portfolios', { authorization: `Bearer ${owner.token}` })).status).toBe(200)
    await service.close()
    await proxy.close()
  },
)

withSql(
  'a pool without a free connection answers 503 within the acquire timeout, and goes on after',
  async ({ api, owner }) => {
    const small = await startApi({ DB_POOL_MAX: '2', DB_ACQUIRE_TIMEOUT_MS: '300' }, api)
    const person = await small.signIn(owner.email)
    const sql = ownerSql(api.ownerUrl, 1)
    const waiting: Promise<Answer & { ms: number }>[] = []
    await sql.begin(async (tx) => {
      await tx`lock table portfolios in access exclusive mode`
      for (let n = 0; n < 30; n++) {
        const start = performance.now()
        waiting.push(person.get('/portfolios').then((answer) => ({ ...answer, ms: performance.now() - start })))
      }
      let refused = 0
      for (const answer of waiting) answer.then(({ status }) => (refused += Number(status === 503)))
      await expect.poll(() => refused, { timeout: 2_500, interval: 5 }).toBeGreaterThanOrEqual(24)
      expect(await statusOf(small, '/health/live')).toBe(200)
    })
    const answers = await Promise.all(waiting)
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(isUnavailable(answer)).toBe(true)
      expect(answer.ms).toBeLessThan(300 + 500)
    }
    expect(answers.some(({ status }) => status === 200)).toBe(true)
    for (let n = 0; n < 10; n++) expect((await person.get('/portfolios')).status).toBe(200)
    await sql.end()
    await small.close()
  },
)

withSql(
  'a backend killed inside a transaction fails its request, leaves nothing, and lets the key be used again',
  async ({ owner, sql }) => {
    const send = () =>
      owner.post('/portfolios', { name: 'Book', currency: 'USD', code: 'HELD' }, { 'idempotency-key': 'k' })
    const before = await countEvents(sql)
    let failed: Promise<Answer> | undefined
    await sql
      .begin(async (tx) => {
        await tx`
        insert into portfolios (org_id, id, code, name, currency, default_definition, bucket_edges)
        values (${owner.orgId}, gen_random_uuid(), 'HELD', 'x', 'USD', '{}', '{1}')`
        failed = send()
        const blocked = async () =>
          (
            await sql`
            select pid from pg_stat_activity
            where datname = current_database() and application_name = 'tenon' and wait_event_type = 'Lock'`
          )[0]?.pid
        await expect.poll(blocked, { timeout: 2_000, interval: 5 }).toBeDefined()
        await sql`select pg_terminate_backend(${await blocked()}, 5000)`
        expect(isUnavailable(await failed)).toBe(true)
        throw new Error('undo')
      })
      .catch((error) => expect(error.message).toBe('undo'))
    expect((await owner.get('/portfolios')).body.data).toEqual([])
    expect(await sql`select 1 from idempotency_keys where org_id = ${owner.orgId}`).toEqual([])
    expect(await countEvents(sql)).toBe(before)
    expect((await send()).status).toBe(201)
    expect((await send()).status).toBe(201)
    expect((await owner.get('/portfolios')).body.data).toHaveLength(1)
  },
)
