import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { limitGuesses } from '../../src/db/login-throttle.ts'
import { Problem } from '../../src/lib/errors.ts'
import type { Api, Person } from '../helpers/api.ts'
import { Client, password } from '../helpers/api.ts'
import { type Outcome, tenon, tenonHere } from '../helpers/cli.ts'
import { addFactor } from '../helpers/factor.ts'
import { test as base, eventsOf } from '../helpers/sql.ts'

const platform = '00000000-0000-0000-0000-000000000000'
const secret = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'
const own = 'Quiet-Harbour-5'

type Run = (args: string, input?: string) => Promise<Outcome>

const on = (run: typeof tenon, DATABASE_URL: string): Run => {
  const env = { DATABASE_URL, JWT_SECRET: secret, ENCRYPTION_KEY: secret }
  return (args, input) => run(args.split(' '), env, input)
}

/** A test with the command line on the database of a running service, in this process or in one of its own. */
const test = base.extend<{ run: Run; runApart: Run }>({
  run: async ({ api }, use) => use(on(tenonHere, api.url)),
  runApart: async ({ api }, use) => use(on(tenon, api.url)),
})

const shown = ({ out }: Outcome) => /shown this once: (\S+)/.exec(out)?.[1]

const login = async ({ anonymous }: Api, username: string, word: string) =>
  (await anonymous.post('/auth/login', { username, password: word })).status

async function account(sql: postgres.Sql, email: string) {
  const [user] = await sql`select * from users where email = ${email}`
  return user!
}

/** A person whose session the service has in its cache. */
async function cached(api: Api): Promise<Person> {
  const person = await api.newOwner()
  const [session] = await api.app.pools.requests.sql`select id from sessions where user_id = ${person.id}`
  await expect
    .poll(async () => (await person.get('/auth/me')) && api.app.access.peek(session!.id), { interval: 10 })
    .toBeDefined()
  return person
}

const refused = (person: Person) =>
  expect.poll(async () => (await person.get('/auth/me')).status, { timeout: 2_000, interval: 5 }).toBe(401)

const platformEvents = async (sql: postgres.Sql, id: string) =>
  (await eventsOf(sql, id)).filter(({ org_id }) => org_id === platform)

describe('create-superuser', () => {
  test('makes one with a random password that is shown once, a verified address and a record', async ({
    api,
    run,
    runApart,
    sql,
  }) => {
    const made = await runApart('create-superuser --email Root@Example.com')
    expect(made).toMatchObject({ code: 0, err: '' })
    expect(await login(api, 'root@example.com', shown(made)!)).toBe(200)
    const user = await account(sql, 'root@example.com')
    expect(user).toMatchObject({ is_superuser: true, email_verified_at: expect.any(Date) })
    const events = await platformEvents(sql, user.id)
    expect(events.map(({ action }) => action)).toEqual(['user.created', 'user.superuser_granted'])
    expect(events[0]).toMatchObject({ actor_id: null, request_id: 'cli' })
    expect(JSON.stringify(events)).not.toContain('argon2')

    const again = await run('create-superuser --email root@example.com')
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('the one the account had') })
    expect(shown(again)).toBeUndefined()
    expect(await login(api, 'root@example.com', shown(made)!)).toBe(200)
    expect(await platformEvents(sql, user.id)).toHaveLength(2)
  })

  test('makes the organisation he shall own, once', async ({ run, sql }) => {
    for (let time = 1; time <= 2; time++)
      expect(
        await run('create-superuser --email chief@example.com --organization NorthBank --password-stdin', `${own}\n`),
      ).toMatchObject({ code: 0 })
    const owned = await sql`
      select o.name, m.roles from organizations o join members m on m.org_id = o.id join users u on u.id = m.user_id
      where u.email = 'chief@example.com'`
    expect([...owned]).toEqual([{ name: 'NorthBank', roles: ['owner'] }])
  })

  test('promotes a verified account, which keeps its password and its sessions', async ({ api, run, sql }) => {
    const person = await cached(api)
    await sql`update users set email_verified_at = now() where id = ${person.id}`
    expect(await run(`create-superuser --email ${person.email}`)).toMatchObject({ code: 0 })
    await expect.poll(async () => (await person.get('/auth/me')).body.user?.is_superuser, { timeout: 2_000 }).toBe(true)
    expect(await login(api, person.email, password)).toBe(200)
    expect((await platformEvents(sql, person.id)).map(({ action }) => action)).toEqual(['user.superuser_granted'])
  })

  test('leaves an account whose address was never verified to nobody who had its password', async ({
    api,
    run,
    sql,
  }) => {
    const squatter = await cached(api)
    await sql`update users set totp_secret = '\\x01', totp_confirmed_at = now() where id = ${squatter.id}`
    await sql`insert into api_keys (org_id, id, name, prefix, key_hash, permissions, ip_allowlist, created_by)
      values (${squatter.orgId}, gen_random_uuid(), 'back door', 'tn_', '\\x01', '{}', '{}', ${squatter.id})`
    const promoted = await run(`create-superuser --email ${squatter.email}`)
    expect(promoted.code).toBe(0)
    expect(await account(sql, squatter.email)).toMatchObject({ totp_secret: null, totp_confirmed_at: null })
    expect(await sql`select from api_keys where created_by = ${squatter.id} and revoked_at is null`).toHaveLength(0)
    await refused(squatter)
    expect(await login(api, squatter.email, password)).toBe(401)
    expect(await login(api, squatter.email, shown(promoted)!)).toBe(200)
  })

  test('made twice at once is one account', async ({ runApart, sql }) => {
    const outcomes = await Promise.all([1, 2].map(() => runApart('create-superuser --email twin@example.com')))
    expect(outcomes.map(({ code, err }) => [code, err])).toEqual([
      [0, ''],
      [0, ''],
    ])
    expect(outcomes.filter((one) => shown(one) !== undefined)).toHaveLength(1)
    expect(await sql`select from users where email = 'twin@example.com'`).toHaveLength(1)
  })

  test('refuses weak passwords and what is no address, in one sentence', async ({ run, sql }) => {
    const refusals: [string, string, RegExp][] = [
      ['create-superuser --email weak@example.com --password-stdin', 'short\n', /^The password must have 8 .+\.$/],
      ['create-superuser --email weak@example.com --password-stdin', '', /^The password must have 8 .+\.$/],
      ['create-superuser --email weak@example.com --password lowercase1!', '', /^The password must hold .+\.$/],
      [
        'create-superuser --email weak@example.com --password-file /none',
        '',
        /^The password file cannot be read: .+\.$/,
      ],
      ['create-superuser --email nobody', '', /^nobody is no e-mail address\.$/],
      ['create-superuser', '', /^Say who: .+\.$/],
    ]
    for (const [args, input, sentence] of refusals) {
      const { code, out, err } = await run(args, input)
      expect([code, out]).toEqual([1, ''])
      expect(err.trim()).toMatch(sentence)
    }
    expect(await sql`select from users where email = 'weak@example.com'`).toHaveLength(0)
  })
})

describe('reset-password', () => {
  test('ends every session at once on a running service, mailed links too, and leaves a record', async ({
    api,
    run,
    sql,
  }) => {
    const person = await cached(api)
    const bystander = await cached(api)
    const { body } = await api.anonymous.post('/auth/login', { username: person.email, password })
    await sql`insert into mail_tokens (token_hash, purpose, email, user_id, expires_at)
      values ('\\x01', 'reset_password', ${person.email}, ${person.id}, now() + interval '1 hour')`
    const reset = await run(`reset-password --email ${person.email.toUpperCase()}`)
    expect(reset).toMatchObject({ code: 0, err: '', out: expect.stringContaining('Ended 2 sessions of 1 user.') })
    await refused(person)
    expect((await new Client(api.app, body.access_token).get('/auth/me')).status).toBe(401)
    expect((await api.anonymous.post('/auth/refresh', { refresh_token: body.refresh_token })).status).toBe(401)
    expect(await sql`select from mail_tokens where user_id = ${person.id}`).toHaveLength(0)
    expect((await bystander.get('/auth/me')).status).toBe(200)
    expect(await login(api, person.email, password)).toBe(401)
    expect(await login(api, person.email, shown(reset)!)).toBe(200)
    expect(
      await sql`select from mail_outbox where recipient = ${person.email} and template = 'password_changed'`,
    ).toHaveLength(1)
    const events = await platformEvents(sql, person.id)
    expect(events.find(({ action }) => action === 'password.reset')).toMatchObject({
      actor_id: null,
      after: { sessions_ended: 2 },
      request_id: 'cli',
    })
  })

  test('takes the second factor away where it is told so, and leaves a record', async ({ api, run, sql }) => {
    const person = await api.newOwner()
    await addFactor(person, sql)
    const kept = await run(`reset-password --email ${person.email}`)
    expect(await login(api, person.email, shown(kept)!)).toBe(401)
    const removed = await run(`reset-password --email ${person.email} --remove-second-factor`)
    expect(await login(api, person.email, shown(removed)!)).toBe(200)
    const actions = (await platformEvents(sql, person.id)).map(({ action }) => action)
    expect(actions).toEqual(['password.reset', 'factor.removed', 'password.reset'])
    expect(await sql`select from recovery_codes where user_id = ${person.id}`).toHaveLength(0)
  })

  test('clears the lock that wrong guesses left on its address and its username', async ({ api, run, sql }) => {
    const person = await api.newOwner()
    const { db } = api.app.pools.requests
    await sql`update users set username = 'kim' where id = ${person.id}`
    const guess = async (login: string) =>
      limitGuesses(
        db,
        login,
        '192.0.2.1',
        async () => {
          throw new Problem('invalid_credentials', 'wrong')
        },
        async () => undefined,
      ).catch((error: Problem) => error.code)
    for (const login of [person.email, 'kim', 'somebody-else']) {
      for (let times = 1; times <= 5; times++) await guess(login)
      expect(await guess(login)).toBe('account_locked')
    }
    expect(await run(`reset-password --email ${person.email}`)).toMatchObject({ code: 0 })
    expect(await guess(person.email)).toBe('invalid_credentials')
    expect(await guess('kim')).toBe('invalid_credentials')
    expect(await guess('somebody-else')).toBe('account_locked')
  })

  test('takes a password from standard input or from a file, and does not show it', async ({ api, run, runApart }) => {
    const { email } = await api.newOwner()
    const piped = await runApart(`reset-password --email ${email} --password-stdin`, `${own}\n`)
    expect(piped.code).toBe(0)
    expect(piped.out + piped.err).not.toContain(own)
    expect(await login(api, email, own)).toBe(200)
    const path = join(api.config.dataDir, `password-${process.pid}`)
    await writeFile(path, 'Second-Harbour-6\n')
    expect(await run(`reset-password --email ${email} --password-file ${path}`)).toMatchObject({ code: 0 })
    await rm(path)
    expect(await login(api, email, 'Second-Harbour-6')).toBe(200)
    expect(await run(`reset-password --email ${email} --password ${email.toUpperCase()}`)).toMatchObject({ code: 1 })
  })

  test('of an address that nobody has is refused in one sentence', async ({ run }) => {
    expect(await run('reset-password --email nobody@example.com')).toEqual({
      code: 1,
      out: '',
      err: 'No account has the address nobody@example.com.\n',
    })
  })
})

describe('revoke-sessions', () => {
  test('ends those of one user, and those in which he acts as others', async ({ api, run, sql }) => {
    const person = await cached(api)
    const bystander = await cached(api)
    const [acting] = await sql`
      insert into sessions (id, user_id, impersonator_id, expires_at, ends_at)
      values (gen_random_uuid(), ${bystander.id}, ${person.id}, now() + interval '1 hour', now() + interval '1 hour')
      returning id`
    expect(await run(`revoke-sessions --email ${person.email}`)).toMatchObject({
      code: 0,
      out: 'Ended 2 sessions of 2 users.\n',
    })
    await refused(person)
    expect((await bystander.get('/auth/me')).status).toBe(200)
    expect(await sql`select from sessions where id = ${acting!.id} and revoked_at is null`).toHaveLength(0)
    expect(await run(`revoke-sessions --email ${person.email}`)).toMatchObject({
      out: 'Ended 0 sessions of 0 users.\n',
    })
    const events = (await platformEvents(sql, person.id)).filter(({ action }) => action === 'sessions.ended')
    expect(events[0]).toMatchObject({ actor_id: null, after: { reason: 'operator', sessions: 2, users: 2 } })
  })

  test('ends those of an organisation, and no other’s', async ({ api, run, sql }) => {
    const owner = await cached(api)
    const member = await api.newUser(owner, 'member')
    const bystander = await cached(api)
    const [organization] = await sql`select code from organizations where id = ${owner.orgId}`
    expect(await run(`revoke-sessions --organization ${organization!.code}`)).toMatchObject({
      code: 0,
      out: 'Ended 2 sessions of 2 users.\n',
    })
    await refused(owner)
    await refused(member)
    expect((await bystander.get('/auth/me')).status).toBe(200)
    expect(await platformEvents(sql, owner.orgId)).toMatchObject([{ action: 'sessions.ended' }])
    expect(await run('revoke-sessions --organization none-such')).toMatchObject({
      code: 1,
      err: 'No organisation has the code none-such.\n',
    })
  })

  test('ends everybody’s only when told so', async ({ api, run, runApart, sql }) => {
    const people = [await cached(api), await cached(api)]
    expect(await run('revoke-sessions')).toMatchObject({ code: 1, err: expect.stringMatching(/^Say whose sessions/) })
    expect((await people[0]!.get('/auth/me')).status).toBe(200)
    const outcome = await runApart('revoke-sessions --all')
    expect(outcome).toMatchObject({ code: 0, out: expect.stringMatching(/^Ended \d+ sessions of \d+ users\.$/m) })
    for (const person of people) await refused(person)
    expect(await sql`select from sessions where revoked_at is null`).toHaveLength(0)
  })
})

describe('the commands', () => {
  test('say in one sentence that the database is away or not migrated', async ({ api }) => {
    const away = await on(tenon, 'postgres://tenon:hidden@127.0.0.1:1/none')('revoke-sessions --all')
    expect(away).toMatchObject({ code: 1, err: expect.stringMatching(/^The database cannot be reached: .+\.\n$/) })
    expect(away.err).not.toContain('hidden')
    const empty = new URL(api.ownerUrl)
    empty.pathname = '/postgres'
    expect(await on(tenonHere, empty.href)('revoke-sessions --all')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^The database is not as this version needs it: .+\.\n$/),
    })
  })
})
