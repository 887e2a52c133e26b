import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { clearThrottle, limitGuesses } from '../../../../src/db/login-throttle.ts'
import { Problem } from '../../../../src/lib/errors.ts'
import { type Api, test as base, password, startApi } from '../../../helpers/api.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const wrong = 'Wrong-Horse-7'
const unique = () => `${randomBytes(6).toString('hex')}@example.com`

const guess = async ({ app }: Api, username: string, from: string, guessed = wrong, headers = {}) => {
  const payload = { username, password: guessed }
  const answer = await app.inject({ method: 'POST', url: '/api/v1/auth/login', remoteAddress: from, payload, headers })
  return { status: answer.statusCode, body: answer.json(), wait: Number(answer.headers['retry-after']) }
}

const guesses = async (api: Api, count: number, username: string, from: (n: number) => string) => {
  for (let n = 0; n < count; n++) expect((await guess(api, username, from(n))).status).toBe(401)
}

describe('five wrong passwords from one network', () => {
  test('lock the account for that network, and for the right password too', async ({ api, owner }) => {
    await guesses(api, 5, owner.email, () => '192.0.2.1')
    const { status, body, wait } = await guess(api, owner.email, '192.0.2.1', password)
    expect([status, body.code]).toEqual([429, 'account_locked'])
    expect(wait).toBeGreaterThan(880)
    expect(wait).toBeLessThanOrEqual(900)
    expect((await guess(api, owner.email, '192.0.2.2', password)).status).toBe(200)
    expect((await guess(api, owner.email, '192.0.2.1', password)).status).toBe(429)
  })

  test('lock an account that does not exist just so', async ({ api, owner }) => {
    const answers = []
    for (const name of [owner.email, unique(), 'nobody']) {
      await guesses(api, 5, name, () => '192.0.2.1')
      const { status, body, wait } = await guess(api, name, '192.0.2.1', password)
      const { request_id, detail, ...said } = body
      answers.push({ status, said, detail: detail.replace(/\d+/, 'n'), waits: wait > 880 })
    }
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).toEqual(answers[0])
    expect(answers[0]?.status).toBe(429)
  })

  test('count together whatever the spelling of the account and the address inside an IPv6 /64', async ({
    api,
    owner,
  }) => {
    const spelt = [owner.email.toUpperCase(), ` ${owner.email}`, owner.email]
    for (let n = 0; n < 5; n++)
      expect((await guess(api, spelt[n % 3] as string, `2001:db8::${n + 1}`)).status).toBe(401)
    expect((await guess(api, owner.email, '2001:db8::ffff', password)).status).toBe(429)
    expect((await guess(api, owner.email, '2001:db8:0:1::1', password)).status).toBe(200)
  })

  test('count together whatever addresses the request claims to come from', async ({ api, owner }) => {
    for (let n = 0; n < 5; n++)
      await guess(api, owner.email, '192.0.2.1', wrong, { 'x-forwarded-for': `198.51.100.${n}` })
    const claimed = { 'x-forwarded-for': '198.51.100.77' }
    expect((await guess(api, owner.email, '192.0.2.1', password, claimed)).status).toBe(429)
  })

  test('lock nobody but for fifteen minutes, by the clock of the database', async ({ api, owner, sql }) => {
    await guesses(api, 5, owner.email, () => '192.0.2.31')
    await sql`update login_throttles set locked_until = now() + interval '60 seconds'`
    const { wait } = await guess(api, owner.email, '192.0.2.31', password)
    expect(wait).toBeGreaterThan(30)
    expect(wait).toBeLessThanOrEqual(60)
    await sql`update login_throttles set locked_until = now() - interval '1 second', first_failed_at = now() - interval '901 seconds'`
    await guesses(api, 4, owner.email, () => '192.0.2.31')
    expect((await guess(api, owner.email, '192.0.2.31', password)).status).toBe(200)
  })

  test('lock nothing when they are more than fifteen minutes apart', async ({ api, owner, sql }) => {
    await guesses(api, 4, owner.email, () => '192.0.2.41')
    await sql`update login_throttles set first_failed_at = now() - interval '901 seconds'`
    await guesses(api, 4, owner.email, () => '192.0.2.41')
    expect((await guess(api, owner.email, '192.0.2.41', password)).status).toBe(200)
  })

  test('are forgotten with the right one', async ({ api, owner }) => {
    for (let turn = 0; turn < 3; turn++) {
      await guesses(api, 4, owner.email, () => '192.0.2.51')
      expect((await guess(api, owner.email, '192.0.2.51', password)).status).toBe(200)
    }
  })

  test('are each recorded, and refusals of a locked account are not', async ({ api, owner, sql }) => {
    await guesses(api, 5, owner.email, () => '192.0.2.61')
    for (let n = 0; n < 3; n++) await guess(api, owner.email, '192.0.2.61')
    const refused = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'session.refused')
    expect(refused.map(({ ip }) => ip)).toEqual(Array(5).fill('192.0.2.61'))
  })
})

describe('twenty wrong passwords from many networks', () => {
  test('lock the account for everybody', async ({ api, owner }) => {
    await guesses(api, 20, owner.email, (n) => `198.51.100.${n}`)
    for (const from of ['198.51.100.3', '203.0.113.1']) {
      const { status, body } = await guess(api, owner.email, from, password)
      expect([status, body.code]).toEqual([429, 'account_locked'])
    }
  })

  test('are not to be had from one network alone, so that nobody locks a stranger out', async ({ api, owner }) => {
    await guesses(api, 5, owner.email, () => '198.51.100.1')
    for (let n = 0; n < 30; n++) expect((await guess(api, owner.email, '198.51.100.1')).status).toBe(429)
    expect((await guess(api, owner.email, '198.51.100.2', password)).status).toBe(200)
  })
})

describe('guesses at once', () => {
  test('are no more than one after the other', async ({ api, owner, sql }) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => guess(api, owner.email, '192.0.2.1')))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(45)
    const refused = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'session.refused')
    expect(refused).toHaveLength(5)
  })

  test('are no more through two replicas', async ({ api, owner }) => {
    const replica = await startApi({}, api)
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => guess(n % 2 ? api : replica, owner.email, '192.0.2.1')),
    )
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5)
    await replica.close()
  })

  test('from many networks are twenty at most', async ({ api, owner }) => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => guess(api, owner.email, `198.51.100.${n}`)))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(20)
  })

  test('that are right are no guesses: a client may sign in often at once', async ({ api, owner }) => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => guess(api, owner.email, '192.0.2.1', password)))
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200))
  })
})

describe('the count of guesses', () => {
  test('leaves out what never was judged', async ({ api, owner }) => {
    const { db } = api.app.pools.requests
    const busy = () => Promise.reject(new Problem('busy', 'Too many.'))
    for (let n = 0; n < 25; n++)
      await expect(limitGuesses(db, owner.email, '192.0.2.1', busy, async () => undefined)).rejects.toThrow('Too many.')
    expect((await guess(api, owner.email, '192.0.2.1', password)).status).toBe(200)
  })

  test('is cleared for every network when the password is reset', async ({ api, owner }) => {
    const other = await api.newOwner()
    for (const { email } of [owner, other]) await guesses(api, 20, email, (n) => `198.51.100.${n % 4}`)
    await clearThrottle(api.app.pools.requests.db, owner.email, null)
    for (const from of ['198.51.100.1', '198.51.100.9'])
      expect((await guess(api, owner.email, from, password)).status).toBe(200)
    expect((await guess(api, other.email, '198.51.100.1', password)).status).toBe(429)
  })

  test('names nobody, and is purged when it counts no more', async ({ api, owner, sql }) => {
    await sql`delete from login_throttles`
    await guesses(api, 5, owner.email, () => '192.0.2.1')
    const kept = async () => (await sql`select * from login_throttles`).length
    expect(JSON.stringify(await sql`select key::text from login_throttles`)).not.toContain(owner.email)
    await api.app.runTask('purge login throttles')
    expect(await kept()).toBe(2)
    await sql`update login_throttles set first_failed_at = now() - interval '16 minutes'`
    await sql`update login_throttles set locked_until = now() - interval '1 second' where locked_until is not null`
    await api.app.runTask('purge login throttles')
    expect(await kept()).toBe(0)
  })
})

base('behind a proxy of ours, guesses count by the address it forwards', async ({ api, owner }) => {
  const proxied = await startApi({ TRUSTED_PROXIES: '10.0.0.0/8' }, api)
  const behind = (ip: string, guessed: string) =>
    guess(proxied, owner.email, '10.0.0.1', guessed, { 'x-forwarded-for': ip })
  for (let n = 0; n < 5; n++) expect((await behind('198.51.100.1', wrong)).status).toBe(401)
  expect((await behind('198.51.100.1', password)).status).toBe(429)
  expect((await behind('198.51.100.2', password)).status).toBe(200)
  await proxied.close()
})
