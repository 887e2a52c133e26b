import { getTableColumns } from 'drizzle-orm'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { auditEvents, platformOrgId } from '../../../../src/db/tables/audit.ts'
import { type Api, type Person, startApi } from '../../../helpers/api.ts'
import { test as base } from '../../../helpers/sql.ts'

type Chain = {
  /** Seals what has been committed. */
  seal(): Promise<unknown>
  /** What the walk says. */
  verify(query?: string): Promise<Record<string, unknown>>
  /** What became of the chain after this statement of the database's owner, which is undone. */
  after(tamper: (sql: postgres.TransactionSql) => Promise<unknown>): Promise<Record<string, unknown>>
}

const test = base.extend<{ chain: Chain }>({
  chain: async ({ api, owner, sql }, use) => {
    for (const name of ['One', 'Two', 'Three']) await owner.post('/portfolios', { name, currency: 'USD' })
    const seal = () => api.app.runTask('seal audit')
    const verify = async (query = '') => {
      const { status, body, text } = await owner.get(`/audit-events/verify${query}`)
      expect(status, text).toBe(200)
      return body
    }
    await seal()
    await use({
      seal,
      verify,
      after: async (tamper) => {
        const kept = await keep(sql)
        await sql.begin(tamper)
        const found = await verify()
        await kept.restore()
        expect(await verify()).toMatchObject({ valid: true })
        return found
      },
    })
  },
})

/** The audit's rows as they are now, to be put back. */
async function keep(sql: postgres.Sql) {
  const tables = ['audit_events', 'audit_seals', 'audit_queue'].map((name) => [name, `kept_${name}`] as const)
  for (const [name, copy] of tables) await sql`create table ${sql(copy)} as table ${sql(name)}`
  return {
    restore: () =>
      sql.begin(async (tx) => {
        for (const [name, copy] of tables) {
          await tx`truncate ${tx(name)}`
          await tx`insert into ${tx(name)} table ${tx(copy)}`
          await tx`drop table ${tx(copy)}`
        }
      }),
  }
}

const sealsOf = (sql: postgres.Sql, orgId: string) =>
  sql<{ seq: number; event_id: string; hash: Buffer }[]>`
    select seq::int, event_id, hash from audit_seals where org_id = ${orgId} order by seq`

describe('the chain of an organisation', () => {
  test('takes in every committed event, in the order of time, numbered without a gap', async ({
    owner,
    chain,
    sql,
  }) => {
    const events = await sql`select id from audit_events where org_id = ${owner.orgId} order by created_at, id`
    const seals = await sealsOf(sql, owner.orgId)
    expect(seals.map(({ event_id }) => event_id)).toEqual(events.map(({ id }) => id))
    expect(seals.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(await chain.verify()).toEqual({
      valid: true,
      events: events.length,
      sealed: events.length,
      unsealed: 0,
      head: { seq: events.length, hash: seals.at(-1)?.hash.toString('hex') },
      first_fault: null,
    })
  })

  test('goes on where it ended, and shows each event its place', async ({ owner, chain, sql }) => {
    const before = (await sealsOf(sql, owner.orgId)).length
    await owner.post('/portfolios', { name: 'Four', currency: 'USD' })
    expect(await chain.verify()).toMatchObject({ valid: true, unsealed: 1, sealed: before })
    expect((await owner.get('/audit-events?limit=1')).body.data[0].sealed).toBeNull()
    await chain.seal()
    expect(await chain.verify()).toMatchObject({ valid: true, unsealed: 0, sealed: before + 1 })
    const { id, sealed } = (await owner.get('/audit-events?limit=1')).body.data[0]
    expect(sealed).toEqual({ seq: before + 1, hash: (await sealsOf(sql, owner.orgId)).at(-1)?.hash.toString('hex') })
    expect((await owner.get(`/audit-events/${id}`)).body.sealed).toEqual(sealed)
  })

  test('is its own: what others do does not move it', async ({ api, owner, chain, sql }) => {
    const before = await sealsOf(sql, owner.orgId)
    const other = await api.newOwner()
    await other.post('/portfolios', { name: 'Theirs', currency: 'USD' })
    await chain.seal()
    expect(await sealsOf(sql, owner.orgId)).toEqual(before)
    expect((await sealsOf(sql, other.orgId)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
  })

  test('has one sealer at a time, however many instances try', async ({ api, owner, chain, sql }) => {
    const replicas = await Promise.all([startApi({}, api), startApi({}, api), startApi({}, api)])
    const post = (name: number) => owner.post('/portfolios', { name: `P${name}`, currency: 'USD' })
    const sealing = Promise.all(
      [api, ...replicas].map(async ({ app }) => {
        for (let round = 0; round < 20; round++) await app.runTask('seal audit')
      }),
    )
    await Promise.all(Array.from({ length: 40 }, (_, name) => post(name)))
    await sealing
    await chain.seal()
    const count = (await sealsOf(sql, owner.orgId)).length
    expect(await chain.verify()).toMatchObject({ valid: true, events: count, sealed: count, unsealed: 0 })
    for (const replica of replicas) await replica.close()
  })

  test('takes in more than one batch at once, across organisations', async ({ api, owner, chain, sql }) => {
    const other = await api.newOwner()
    for (const { orgId } of [owner, other])
      await sql`
        with made as (
          insert into audit_events (org_id, id, action, subject_type, created_at)
          select ${orgId}, gen_random_uuid(), 'test.made', 'test', now() - number * interval '1 second'
          from generate_series(1, 2500) number returning org_id, id)
        insert into audit_queue select * from made`
    await chain.seal()
    const [left] = await sql`select count(*)::int as count from audit_queue`
    expect(left?.count).toBe(0)
    expect(await chain.verify()).toMatchObject({ valid: true, unsealed: 0 })
    expect((await other.get('/audit-events/verify')).body).toMatchObject({ valid: true, head: { seq: 2503 } })
  })

  test('covers every column of an event', () => {
    // A column more must enter the canonical form in src/domains/audit/events/queries.ts, and the list of edits below.
    expect(Object.keys(getTableColumns(auditEvents)).toSorted()).toEqual(
      [...Object.keys(edits), 'org_id', 'id'].toSorted(),
    )
  })
})

/** Another value for each column but the key. */
const edits = {
  actor_id: 'gen_random_uuid()',
  impersonator_id: 'gen_random_uuid()',
  api_key_id: 'gen_random_uuid()',
  action: "action || 'x'",
  subject_type: "subject_type || 'x'",
  subject_id: 'gen_random_uuid()',
  before: "coalesce(before, '{}') || '{\"x\": 1}'",
  after: "coalesce(after, '{}') || '{\"x\": 1}'",
  request_id: "'another'",
  ip: "'192.0.2.1'",
  created_at: "created_at + interval '1 millisecond'",
}

describe('tampering shows', () => {
  test('when any column of a sealed event is edited', async ({ owner, chain, sql }) => {
    const seals = await sealsOf(sql, owner.orgId)
    const { seq, event_id } = seals[2]!
    for (const [column, value] of Object.entries(edits)) {
      const found = await chain.after((tx) =>
        tx.unsafe(`update audit_events set ${column} = ${value} where id = '${event_id}'`),
      )
      expect(found, column).toMatchObject({ valid: false, first_fault: { seq, event_id, reason: 'hash_mismatch' } })
    }
  })

  test('when an event is deleted, sealed or not yet', async ({ owner, chain, sql }) => {
    const [, second] = await sealsOf(sql, owner.orgId)
    expect(await chain.after((tx) => tx`delete from audit_events where id = ${second!.event_id}`)).toMatchObject({
      valid: false,
      first_fault: { seq: 2, event_id: second!.event_id, reason: 'event_missing' },
    })
    await owner.post('/portfolios', { name: 'Waiting', currency: 'USD' })
    const { id } = (await owner.get('/audit-events?limit=1')).body.data[0]
    const gone = await chain.after((tx) => tx`delete from audit_events where id = ${id}`)
    expect(gone).toMatchObject({ valid: false, first_fault: { seq: null, event_id: id, reason: 'event_missing' } })
  })

  test('when an event is slipped in beside the chain', async ({ owner, chain }) => {
    const found = await chain.after(
      (tx) => tx`
        insert into audit_events (org_id, id, action, subject_type)
        values (${owner.orgId}, '00000000-0000-4000-8000-000000000001', 'loan.created', 'loan')`,
    )
    expect(found).toMatchObject({
      valid: false,
      first_fault: { seq: null, event_id: '00000000-0000-4000-8000-000000000001', reason: 'event_unknown' },
    })
  })

  test('when seals are deleted, swapped or edited', async ({ owner, chain, sql }) => {
    const mine = sql`org_id = ${owner.orgId}`
    const missing = await chain.after((tx) => tx`delete from audit_seals where ${mine} and seq = 2`)
    expect(missing).toMatchObject({ valid: false, first_fault: { seq: 2, reason: 'seal_missing' } })
    const headless = await chain.after((tx) => tx`delete from audit_seals where ${mine} and seq = 1`)
    expect(headless).toMatchObject({ valid: false, first_fault: { seq: 1, reason: 'seal_missing' } })
    const swapped = await chain.after(async (tx) => {
      await tx`update audit_seals set seq = -seq where ${mine} and seq in (2, 3)`
      await tx`update audit_seals set seq = 5 + seq where ${mine} and seq < 0`
    })
    expect(swapped).toMatchObject({ valid: false, first_fault: { seq: 2, reason: 'hash_mismatch' } })
    const edited = await chain.after((tx) => tx`update audit_seals set hash = sha256('x') where ${mine} and seq = 2`)
    expect(edited).toMatchObject({ valid: false, first_fault: { seq: 2, reason: 'hash_mismatch' } })
    const pointed = await chain.after(async (tx) => {
      await tx`update audit_seals set event_id = gen_random_uuid() where ${mine} and seq = 2`
    })
    expect(pointed).toMatchObject({ valid: false, first_fault: { seq: 2, reason: 'event_missing' } })
  })

  test('when the end is cut off or all is written anew, to whoever kept an earlier head', async ({
    owner,
    chain,
    sql,
  }) => {
    const { head } = (await chain.verify()) as { head: { seq: number; hash: string } }
    const anchored = () => chain.verify(`?anchor_seq=${head.seq}&anchor_hash=${head.hash}`)
    expect(await anchored()).toMatchObject({ valid: true })
    const kept = await keep(sql)
    await sql`
      with cut as (delete from audit_seals where org_id = ${owner.orgId} and seq = ${head.seq} returning event_id)
      delete from audit_events using cut where id = event_id`
    expect(await chain.verify()).toMatchObject({ valid: true })
    expect(await anchored()).toMatchObject({
      valid: false,
      first_fault: { seq: head.seq, event_id: null, reason: 'chain_truncated' },
    })
    await owner.post('/portfolios', { name: 'Later', currency: 'USD' })
    await chain.seal()
    expect(await chain.verify()).toMatchObject({ valid: true })
    expect(await anchored()).toMatchObject({ valid: false, first_fault: { seq: head.seq, reason: 'anchor_mismatch' } })
    await kept.restore()
    expect(await anchored()).toMatchObject({ valid: true })
  })

  test('half an anchor is refused', async ({ owner }) => {
    const hash = 'a'.repeat(64)
    for (const [query, missing] of [
      [`anchor_hash=${hash}`, 'anchor_seq'],
      ['anchor_seq=1', 'anchor_hash'],
    ])
      expect((await owner.get(`/audit-events/verify?${query}`)).body).toMatchObject({
        status: 400,
        errors: [{ pointer: `/querystring/${missing}` }],
      })
  })
})

describe('the sealer beside the service', () => {
  test('seals within a second, and through what connections it loses', async ({ api, owner, sql }) => {
    const running = await startApi({ BACKGROUND_TASKS: 'on' }, api)
    const unsealed = async (person: Person, on: Api) => {
      const { body } = await on.anonymous.get('/audit-events/verify', { authorization: `Bearer ${person.token}` })
      return body.unsealed
    }
    await expect.poll(() => unsealed(owner, running), { timeout: 3_000, interval: 20 }).toBe(0)
    for (let round = 0; round < 3; round++) {
      await owner.post('/portfolios', { name: 'Sealed', currency: 'USD' })
      const start = performance.now()
      await expect.poll(() => unsealed(owner, running), { timeout: 3_000, interval: 20 }).toBe(0)
      expect(performance.now() - start).toBeLessThan(1_000)
    }
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'tenon'`
    await owner.get('/portfolios')
    await owner.post('/portfolios', { name: 'After', currency: 'USD' })
    await expect.poll(() => unsealed(owner, running), { timeout: 5_000, interval: 50 }).toBe(0)
    expect((await owner.get('/audit-events/verify')).body.valid).toBe(true)
    await running.close()
  })

  test('a sealer that dies midway has sealed all of its batch or nothing', async ({ api, owner, chain, sql }) => {
    await owner.post('/portfolios', { name: 'Held', currency: 'USD' })
    // The batch cannot get further than its seals while somebody holds their table.
    const held = await sql.reserve()
    await held`begin`
    await held`lock table audit_seals in exclusive mode`
    const sealing = chain.seal().catch((error: unknown) => error)
    const waiting = async () =>
      (await sql`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)[0]
    await expect.poll(waiting, { timeout: 2_500, interval: 10 }).toBeDefined()
    await sql`select pg_terminate_backend(${(await waiting())?.pid})`
    expect(await sealing).toBeInstanceOf(Error)
    await held`rollback`
    held.release()
    expect(await chain.verify()).toMatchObject({ valid: true, unsealed: 1 })
    await chain.seal()
    expect(await chain.verify()).toMatchObject({ valid: true, unsealed: 0 })
    expect(api.app.lifecycle.state).toBe('ready')
  })
})

test("the platform's own trail has a chain like every other", async ({ api, chain, sql }) => {
  await api.anonymous.post('/auth/login', { username: 'nobody@example.com', password: 'wrong' })
  await chain.seal()
  const seals = await sealsOf(sql, platformOrgId)
  expect(seals.length).toBeGreaterThan(0)
  expect(seals.map(({ seq }) => seq)).toEqual(seals.map((_, index) => index + 1))
})
