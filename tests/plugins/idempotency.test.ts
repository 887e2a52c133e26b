import { describe, expect, onTestFinished } from 'vitest'
import { createPool, type Db } from '../../src/db/client.ts'
import { purgeKeys } from '../../src/db/idempotency.ts'
import { createPortfolio } from '../../src/domains/credit/portfolios/queries.ts'
import { password } from '../helpers/api.ts'
import { newPortfolio } from '../helpers/credit.ts'
import { countEvents, test } from '../helpers/sql.ts'

const book = { name: 'Book', currency: 'USD' }
const key = (name: string) => ({ 'idempotency-key': name })

describe('a POST with an Idempotency-Key', () => {
  test('repeated answers as the first time and runs no second time', async ({ owner, sql }) => {
    const first = await owner.post('/portfolios', book, key('k-1'))
    expect(first.status).toBe(201)
    await owner.patch(`/portfolios/${first.body.id}`, { name: 'Renamed' })
    const events = await countEvents(sql)
    const again = await owner.post('/portfolios', book, key('k-1'))
    expect([again.status, again.body]).toEqual([201, first.body])
    expect([again.headers.location, again.headers.etag]).toEqual([first.headers.location, first.headers.etag])
    expect((await owner.get('/portfolios')).body.data).toHaveLength(1)
    expect(await countEvents(sql)).toBe(events)
  })

  test('sent in parallel has one effect; the others are told to wait, or get its answer', async ({ owner }) => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => owner.post('/portfolios', book, key('k-2'))))
    expect((await owner.get('/portfolios')).body.data).toHaveLength(1)
    const ids = new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.id))
    expect(ids.size).toBe(1)
    for (const { status, body } of answers) if (status !== 201) expect(body.code).toBe('idempotency_in_progress')
    expect((await owner.post('/portfolios', book, key('k-2'))).body.id).toBe([...ids][0])
  })

  test('is refused while the first is still running, without waiting for it', async ({ owner, sql }) => {
    const blocked = { ...book, code: 'HELD' }
    let first: Promise<{ status: number }> | undefined
    await sql
      .begin(async (tx) => {
        await tx`
          insert into portfolios (org_id, id, code, name, currency, default_definition, bucket_edges)
          values (${owner.orgId}, gen_random_uuid(), 'HELD', 'x', 'USD', '{}', '{1}')`
        first = owner.post('/portfolios', blocked, key('k-3'))
        const waits = () => sql`
          select 1 from pg_stat_activity
          where datname = current_database() and application_name = 'tenon' and wait_event_type = 'Lock'`
        await expect.poll(async () => (await waits()).length, { timeout: 2_000, interval: 5 }).toBe(1)
        const second = await owner.post('/portfolios', blocked, key('k-3'))
        expect([second.status, second.body.code]).toEqual([409, 'idempotency_in_progress'])
        throw new Error('undo')
      })
      .catch((error) => expect(error.message).toBe('undo'))
    expect((await first)?.status).toBe(201)
  })

  test('gets the first answer though it began before the first ended, and a name is free only once', async ({
    api,
    owner,
    sql,
  }) => {
    // The function that the statement locks its key with, made to wait until the first use has committed.
    await sql`create schema late`
    await sql`grant usage on schema late to public`
    await sql.unsafe(`
      create function late.pg_try_advisory_xact_lock(bigint) returns boolean language plpgsql as
      'begin perform pg_advisory_xact_lock_shared(77); return pg_catalog.pg_try_advisory_xact_lock($1); end'`)
    const url = `${api.url}?search_path=late,pg_catalog,public`
    const late = createPool({
      url,
      name: 'late',
      max: 2,
      acquireTimeoutMs: 5_000,
      statementTimeoutMs: 0,
      maxLifetimeS: 60,
    })
    onTestFinished(() => late.close())
    const caller = { org_id: owner.orgId, principal: `user:${owner.id}` }
    const actor = { ...caller, user_id: owner.id, request_id: 'r', ip: '127.0.0.1' }
    const make = (db: Db, key: string) => {
      const once = { ...caller, route: 'POST /portfolios', key, request_hash: 'k.h', hashes: ['h'] }
      return createPortfolio({ db, org_id: owner.orgId, actor, once }, { ...book, code: 'ONCE' })
    }
    const [first, repeat, other] = await sql
      .begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(77)`
        const both = Promise.allSettled([make(late.db, 'k-9'), make(late.db, 'k-10')])
        const waits = () => sql`
          select 1 from pg_stat_activity where application_name = 'late' and wait_event_type = 'Lock'`
        await expect.poll(async () => (await waits()).length, { timeout: 2_000, interval: 5 }).toBe(2)
        const first = await make(api.app.pools.requests.db, 'k-9')
        return [first, both] as const
      })
      .then(async ([first, both]) => [first, ...(await both)] as const)
    expect(repeat).toEqual({ status: 'fulfilled', value: first })
    expect(other).toMatchObject({ status: 'rejected', reason: { code: 'already_exists' } })
  })

  test('with another body is refused', async ({ owner }) => {
    expect((await owner.post('/portfolios', book, key('k-4'))).status).toBe(201)
    const { status, body } = await owner.post('/portfolios', { ...book, name: 'Other' }, key('k-4'))
    expect([status, body.code]).toEqual([422, 'idempotency_mismatch'])
  })

  test('shares its key with no other user, organisation or route', async ({ api, owner }) => {
    const colleague = await api.newUser(owner, 'admin')
    const stranger = await api.newOwner()
    const ids = []
    for (const person of [owner, colleague, stranger])
      ids.push((await person.post('/portfolios', book, key('k-5'))).body.id)
    expect(new Set(ids).size).toBe(3)
    const user = { email: `k5-${owner.id}@example.com`, password, role: 'member' }
    expect((await owner.post('/users', user, key('k-5'))).status).toBe(201)
  })

  test('that failed may be tried again with the same key', async ({ owner }) => {
    const { id } = await newPortfolio(owner, { code: 'TAKEN' })
    expect((await owner.post('/portfolios', { ...book, code: 'TAKEN' }, key('k-6'))).status).toBe(409)
    await owner.delete(`/portfolios/${id}`)
    expect((await owner.post('/portfolios', { ...book, code: 'TAKEN' }, key('k-6'))).status).toBe(201)
  })

  test('is refused with a key that is none', async ({ owner }) => {
    for (const bad of ['', ' ', 'a b', 'x'.repeat(256), 'schlüssel', 'a\tb']) {
      const { status, body } = await owner.post('/portfolios', book, key(bad))
      expect([bad, status, body.code]).toEqual([bad, 400, 'invalid_idempotency_key'])
    }
    expect((await owner.post('/portfolios', book, key('x'.repeat(255)))).status).toBe(201)
    expect((await owner.get('/portfolios')).body.data).toHaveLength(1)
  })

  test('keeps its answer sealed, and nothing that was sent', async ({ api, owner, sql }) => {
    const secret = { ...book, name: 'Secret-Name', description: 'Secret-Text' }
    await owner.post('/portfolios', secret, key('k-7'))
    const login = { username: owner.email, password }
    const first = await api.anonymous.post('/auth/login', login, key(`k-7-${owner.id}`))
    const again = await api.anonymous.post('/auth/login', login, key(`k-7-${owner.id}`))
    expect(again.body.refresh_token).toBe(first.body.refresh_token)
    const rows = await sql`select encode(answer, 'escape') as answer, request_hash from idempotency_keys`
    expect(rows.length).toBeGreaterThan(1)
    for (const told of ['Secret-', first.body.refresh_token, first.body.access_token, password])
      expect(JSON.stringify(rows)).not.toContain(told)
  })

  test('is forgotten after a day', async ({ api, owner, sql }) => {
    const first = await owner.post('/portfolios', book, key('k-8'))
    await sql`update idempotency_keys set created_at = created_at - interval '25 hours' where key = 'k-8'`
    expect(await purgeKeys(api.app.pools.requests.db)).toBe(1)
    const later = await owner.post('/portfolios', book, key('k-8'))
    expect([later.status, later.body.id === first.body.id]).toEqual([201, false])
  })
})
