import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { clearThrottle, countWrongCode, wrongCodesMax } from '../../../../src/db/login-throttle.ts'
import { mintToken } from '../../../../src/db/mail-tokens.ts'
import { type Api, Client, type Person, password } from '../../../helpers/api.ts'
import { addFactor, codeAt, stepUp, wrongCode } from '../../../helpers/factor.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const login = (api: Api, { email }: Person, more: object = {}) =>
  api.anonymous.post('/auth/login', { username: email, password, ...more })

/** As if this user had just proved who he is, in each of his sessions. */
async function proveNow({ id }: Person, sql: postgres.Sql) {
  await sql`update sessions set stepped_up_at = now() where user_id = ${id}`
  await sql`select pg_notify('tenon_access', ${`user:${id}`})`
}

const answered = ({ status, body }: { status: number; body: { code?: string } }) => [status, body?.code]

describe('a second factor', () => {
  test('is set up after a proof of who one is, and counts from its first code on', async ({ api, owner, sql }) => {
    expect(answered(await owner.post('/auth/totp'))).toEqual([403, 'step_up_required'])
    await stepUp(owner)
    const { status, body } = await owner.post('/auth/totp')
    expect(status).toBe(201)
    expect(body.secret).toMatch(/^[A-Z2-7]{32}$/)
    const uri = new URL(body.otpauth_uri)
    expect(Object.fromEntries(uri.searchParams)).toEqual({
      issuer: 'Tenon',
      secret: body.secret,
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    })
    expect(decodeURIComponent(uri.pathname)).toContain(owner.email)
    expect((await login(api, owner)).status).toBe(200)
    const confirmed = await owner.post('/auth/totp/confirm', { code: codeAt(body.secret) })
    expect(confirmed.body.recovery_codes).toHaveLength(10)
    for (const code of confirmed.body.recovery_codes) expect(code).toMatch(/^[a-z2-7]{5}-[a-z2-7]{5}$/)
    expect(answered(await login(api, owner))).toEqual([401, 'totp_required'])
    expect((await owner.get('/auth/me')).body.totp_enabled).toBe(true)
    const actions = (await eventsOf(sql, owner.id)).map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['factor.started', 'factor.added']))
    expect(
      await sql`select template, data ->> 'change' as change from mail_outbox where recipient = ${owner.email} and template <> 'verify_email'`,
    ).toEqual([{ template: 'factor_changed', change: 'factor.added' }])
  })

  test('is asked for only where the password was right', async ({ api, owner, sql }) => {
    await addFactor(owner, sql)
    for (const more of [{}, { totp_code: '123456' }]) {
      const answer = await login(api, owner, { password: 'Wrong-Horse-7', ...more })
      expect(answered(answer)).toEqual([401, 'invalid_credentials'])
    }
  })

  test('signs in with a code of the moment, and with those beside it', async ({ api, owner, sql }) => {
    const { secret } = await addFactor(owner, sql)
    for (const steps of [-1, 0, 1]) {
      await sql`update users set totp_last_step = null where id = ${owner.id}`
      const now = Date.now() % 30_000
      // Near the end of a step the neighbours may be neighbours no more when they arrive.
      const near = now > 29_000 && steps !== 0
      const { status } = await login(api, owner, { totp_code: codeAt(secret, near ? 0 : steps) })
      expect([steps, status]).toEqual([steps, 200])
    }
    await sql`update users set totp_last_step = null where id = ${owner.id}`
    for (const steps of [-4, 4, 2_880])
      expect(answered(await login(api, owner, { totp_code: codeAt(secret, steps) }))).toEqual([422, 'invalid_code'])
  })

  test('follows the clock of the database, not that of the service', async ({ api, owner, sql }) => {
    const { secret, code } = await addFactor(owner, sql)
    const right = await code()
    const clock = Date.now
    try {
      Date.now = () => clock() - 300_000
      expect(answered(await login(api, owner, { totp_code: codeAt(secret) }))).toEqual([422, 'invalid_code'])
      expect((await login(api, owner, { totp_code: right })).status).toBe(200)
    } finally {
      Date.now = clock
    }
  })

  test('makes a session that counts as opened with it', async ({ api, owner, sql }) => {
    const { code } = await addFactor(owner, sql)
    await login(api, owner, { totp_code: await code() })
    const rows = await sql`select mfa from sessions where user_id = ${owner.id} order by created_at`
    expect(rows.map(({ mfa }) => mfa)).toEqual([true, true])
  })

  test('opens what an organisation keeps for those who have one', async ({ api, owner, sql }) => {
    const other = await api.signIn(owner.email)
    await sql`update organizations set settings = '{"mfa_required": true}' where id = ${owner.orgId}`
    await sql`select pg_notify('tenon_access', ${`org:${owner.orgId}`})`
    await expect.poll(async () => answered(await owner.get('/portfolios'))).toEqual([403, 'mfa_required'])
    await addFactor(owner, sql)
    expect((await owner.get('/portfolios')).status).toBe(200)
    expect(answered(await other.get('/portfolios'))).toEqual([403, 'mfa_required'])
    await proveNow(owner, sql)
    await expect.poll(async () => (await owner.delete('/auth/totp')).status).toBe(204)
    expect(answered(await owner.get('/portfolios'))).toEqual([403, 'mfa_required'])
  })

  test('is kept sealed, and its recovery codes hashed', async ({ owner, sql }) => {
    const { secret, recoveryCodes } = await addFactor(owner, sql)
    const kept = JSON.stringify([
      await sql`select encode(totp_secret, 'escape') as secret from users where id = ${owner.id}`,
      await sql`select encode(code_hash, 'escape') as code from recovery_codes where user_id = ${owner.id}`,
      await sql`select before, after from audit_events where actor_id = ${owner.id}`,
      await sql`select data from mail_outbox`,
    ])
    for (const shown of [secret, ...recoveryCodes, recoveryCodes[0]!.replace('-', '')])
      expect(kept).not.toContain(shown)
  })

  test('cannot be set up over one that counts', async ({ owner, sql }) => {
    await addFactor(owner, sql)
    expect(answered(await owner.post('/auth/totp'))).toEqual([409, 'invalid_state'])
    const late = await owner.post('/auth/totp/confirm', { code: '123456' })
    expect(answered(late)).toEqual([409, 'invalid_state'])
  })

  test('that was begun anew forgets the secret before', async ({ owner }) => {
    await stepUp(owner)
    const first = (await owner.post('/auth/totp')).body.secret
    const second = (await owner.post('/auth/totp')).body.secret
    expect(answered(await owner.post('/auth/totp/confirm', { code: codeAt(first) }))).toEqual([422, 'invalid_code'])
    expect((await owner.post('/auth/totp/confirm', { code: codeAt(second) })).status).toBe(200)
  })

  test('is removed after a proof, with its codes and what sessions had by it', async ({ api, owner, sql }) => {
    await addFactor(owner, sql)
    const [session] = await sql`select id from sessions where user_id = ${owner.id}`
    await sql`update sessions set stepped_up_at = null where id = ${session?.id}`
    api.app.access.clear()
    expect(answered(await owner.delete('/auth/totp'))).toEqual([403, 'step_up_required'])
    await proveNow(owner, sql)
    await expect.poll(async () => (await owner.delete('/auth/totp')).status).toBe(204)
    expect((await owner.delete('/auth/totp')).status).toBe(204)
    expect((await login(api, owner)).status).toBe(200)
    expect(await sql`select 1 from recovery_codes where user_id = ${owner.id}`).toHaveLength(0)
    expect(await sql`select 1 from sessions where user_id = ${owner.id} and mfa`).toHaveLength(0)
    const removed = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'factor.removed')
    expect(removed).toHaveLength(1)
  })
})

describe('a code', () => {
  test('works once, also when it is used twice at the same moment', async ({ api, owner, sql }) => {
    const { code } = await addFactor(owner, sql)
    const totp_code = await code()
    const answers = await Promise.all([1, 2, 3, 4].map(() => login(api, owner, { totp_code })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422, 422, 422])
    expect(answered(await login(api, owner, { totp_code }))).toEqual([422, 'invalid_code'])
  })

  test('is not used up by the code before it', async ({ api, owner, sql }) => {
    const { secret } = await addFactor(owner, sql)
    const [{ step } = { step: 0 }] = await sql<{ step: number }[]>`
      select totp_last_step as step from users where id = ${owner.id}`
    await sql`update users set totp_last_step = ${step - 1} where id = ${owner.id}`
    expect((await login(api, owner, { totp_code: codeAt(secret) })).status).toBe(200)
    expect(answered(await login(api, owner, { totp_code: codeAt(secret, -1) }))).toEqual([422, 'invalid_code'])
  })

  test('confirms once, also when it is sent twice at the same moment', async ({ owner, sql }) => {
    await stepUp(owner)
    const { secret } = (await owner.post('/auth/totp')).body
    const code = codeAt(secret)
    const answers = await Promise.all([1, 2, 3].map(() => owner.post('/auth/totp/confirm', { code })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
    expect(await sql`select 1 from recovery_codes where user_id = ${owner.id}`).toHaveLength(10)
  })

  test('under an Idempotency-Key gives the answer again that was lost on its way', async ({ api, owner, sql }) => {
    await stepUp(owner)
    const { secret } = (await owner.post('/auth/totp')).body
    const headers = { 'idempotency-key': 'confirm' }
    const confirm = { code: codeAt(secret) }
    const first = await owner.post('/auth/totp/confirm', confirm, headers)
    expect((await owner.post('/auth/totp/confirm', confirm, headers)).body).toEqual(first.body)
    await sql`update users set totp_last_step = null where id = ${owner.id}`
    const signIn = { username: owner.email, password, totp_code: codeAt(secret) }
    const key = { 'idempotency-key': 'sign-in' }
    const opened = await api.anonymous.post('/auth/login', signIn, key)
    expect(opened.status).toBe(200)
    expect((await api.anonymous.post('/auth/login', signIn, key)).body).toEqual(opened.body)
  })

  test('that is wrong five times locks the account, and each is recorded', async ({ api, owner, sql }) => {
    const { secret, code } = await addFactor(owner, sql)
    for (let n = 0; n < 5; n++)
      expect(answered(await login(api, owner, { totp_code: wrongCode(secret) }))).toEqual([422, 'invalid_code'])
    expect(answered(await login(api, owner, { totp_code: await code() }))).toEqual([429, 'account_locked'])
    const refused = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'session.refused')
    expect(refused).toHaveLength(5)
  })

  test('can be guessed no oftener when the password is sent alone in between', async ({ api, owner, sql }) => {
    const { secret } = await addFactor(owner, sql)
    for (let n = 0; n < 5; n++) {
      expect(answered(await login(api, owner))).toEqual([401, 'totp_required'])
      expect(answered(await login(api, owner, { totp_code: wrongCode(secret) }))).toEqual([422, 'invalid_code'])
    }
    expect(answered(await login(api, owner))).toEqual([429, 'account_locked'])
  })

  test('that is wrong five times at the set-up locks as well', async ({ owner, sql }) => {
    await stepUp(owner)
    const { secret } = (await owner.post('/auth/totp')).body
    for (let n = 0; n < 5; n++) {
      const answer = await owner.post('/auth/totp/confirm', { code: wrongCode(secret) })
      expect(answered(answer)).toEqual([422, 'invalid_code'])
    }
    const locked = await owner.post('/auth/totp/confirm', { code: codeAt(secret) })
    expect(answered(locked)).toEqual([429, 'account_locked'])
    const refused = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'factor.refused')
    expect(refused).toHaveLength(5)
  })
})

describe('wrong codes in a row', () => {
  test('lock the factor whatever time is between them, until a recovery code or a new password', async ({
    api,
    owner,
    sql,
  }) => {
    const { code, recoveryCodes, secret } = await addFactor(owner, sql)
    const { db } = api.app.pools.requests
    const tries = async (totp_code: string) => {
      await clearThrottle(db, owner.email, null)
      return answered(await login(api, owner, { totp_code }))
    }
    for (let n = 2; n < wrongCodesMax; n++) await countWrongCode(db, owner.id)
    expect(await tries(wrongCode(secret))).toEqual([422, 'invalid_code'])
    expect((await tries(await code()))[0]).toBe(200)
    for (let n = 1; n < wrongCodesMax; n++) await countWrongCode(db, owner.id)
    expect(await tries(wrongCode(secret))).toEqual([422, 'invalid_code'])
    await api.app.runTask('purge login throttles')
    expect(await tries(await code())).toEqual([429, 'account_locked'])
    expect(answered(await owner.post('/auth/step-up', { totp_code: await code() }))).toEqual([429, 'account_locked'])
    expect((await eventsOf(sql, owner.id)).map(({ action }) => action)).toContain('factor.locked')
    expect(await sql`select 1 from mail_outbox where template = 'factor_locked'`).toHaveLength(1)
    expect((await tries(recoveryCodes[0] as string))[0]).toBe(200)
    expect((await tries(await code()))[0]).toBe(200)

    await sql`update users set email_verified_at = now() where id = ${owner.id}`
    for (let n = 0; n < wrongCodesMax; n++) await countWrongCode(db, owner.id)
    expect(await tries(await code())).toEqual([429, 'account_locked'])
    const link = { purpose: 'reset_password', email: owner.email, user_id: owner.id, ttl_s: 60 } as const
    const token = await mintToken(db, link)
    expect((await api.anonymous.post('/auth/reset-password', { token, password })).status).toBe(204)
    expect((await tries(await code()))[0]).toBe(200)
  })
})

describe('a recovery code', () => {
  test('signs in once, however it is written, and is recorded', async ({ api, owner, sql }) => {
    const { recoveryCodes } = await addFactor(owner, sql)
    const [one, two, three] = recoveryCodes as [string, string, string]
    for (const totp_code of [one, two.toUpperCase(), three.replace('-', '')]) {
      expect((await login(api, owner, { totp_code })).status).toBe(200)
      expect(answered(await login(api, owner, { totp_code }))).toEqual([422, 'invalid_code'])
    }
    const used = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'recovery_code.used')
    expect(used.map(({ actor_id }) => actor_id)).toEqual([owner.id, owner.id, owner.id])
  })

  test('used twice at the same moment signs in once', async ({ api, owner, sql }) => {
    const { recoveryCodes } = await addFactor(owner, sql)
    const answers = await Promise.all([1, 2, 3].map(() => login(api, owner, { totp_code: recoveryCodes[0] })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422, 422])
  })

  test('of another user, or of the set before, is worth nothing', async ({ api, owner, sql }) => {
    const [mine, other] = [await addFactor(owner, sql), await api.newOwner()]
    const { recoveryCodes } = await addFactor(other, sql)
    expect((await login(api, owner, { totp_code: recoveryCodes[0] })).status).toBe(422)
    const renewed = await owner.post('/auth/totp/recovery-codes')
    expect(renewed.body.recovery_codes).toHaveLength(10)
    expect((await login(api, owner, { totp_code: mine.recoveryCodes[1] })).status).toBe(422)
    expect((await login(api, owner, { totp_code: renewed.body.recovery_codes[1] })).status).toBe(200)
  })

  test('is given to nobody without a second factor or a proof', async ({ owner }) => {
    expect(answered(await owner.post('/auth/totp/recovery-codes'))).toEqual([403, 'step_up_required'])
    await stepUp(owner)
    expect(answered(await owner.post('/auth/totp/recovery-codes'))).toEqual([409, 'invalid_state'])
  })
})

test('a second factor can be set up before the address is verified, and by no API key', async ({ api, owner, sql }) => {
  await sql`update users set email_verified_at = null where id = ${owner.id}`
  await stepUp(owner)
  expect((await owner.post('/auth/totp')).status).toBe(201)
  expect((await new Client(api.app).post('/auth/totp')).status).toBe(401)
})
