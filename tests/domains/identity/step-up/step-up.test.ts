import { describe, expect } from 'vitest'
import { type Person, password } from '../../../helpers/api.ts'
import { addFactor, stepUp, wrongCode } from '../../../helpers/factor.ts'
import { newSuperuser } from '../../../helpers/sessions.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const sessionOf = async (person: Person) => (await person.get('/auth/me')).body.session_id as string
const answered = ({ status, body }: { status: number; body: { code?: string } }) => [status, body?.code]
/** Something that asks for the proof, and what it says without. */
const guarded = async (person: Person) => answered(await person.delete('/auth/totp'))
const refused = [403, 'step_up_required']

describe('proving again who one is', () => {
  test('opens what asks for it, for ten minutes', async ({ owner, sql }) => {
    expect(await guarded(owner)).toEqual(refused)
    const { status, body } = await owner.post('/auth/step-up', { password })
    expect([status, body]).toEqual([200, { expires_in: 600 }])
    expect((await guarded(owner))[0]).toBe(204)
    const events = await eventsOf(sql, await sessionOf(owner))
    expect(events.map(({ action }) => action)).toEqual(['session.created', 'session.stepped_up'])
  })

  test('ends after ten minutes by the clock of the database', async ({ owner, sql }) => {
    await stepUp(owner)
    const id = await sessionOf(owner)
    for (const [ago, expected] of [
      ['540 seconds', [204, undefined]],
      ['600 seconds', refused],
    ] as const) {
      await sql`update sessions set stepped_up_at = now() - ${ago}::interval where id = ${id}`
      await sql`select pg_notify('tenon_access', ${`session:${id}`})`
      await expect.poll(() => guarded(owner)).toEqual(expected)
    }
  })

  test('ends in what is cached, too', async ({ api, owner, sql }) => {
    await sql`update sessions set stepped_up_at = now() - interval '599 seconds' where user_id = ${owner.id}`
    api.app.access.clear()
    expect((await guarded(owner))[0]).toBe(204)
    await expect.poll(() => guarded(owner), { timeout: 5_000 }).toEqual(refused)
  })

  test('holds for the session that did it and for no other', async ({ api, owner }) => {
    const other = await api.signIn(owner.email)
    await stepUp(owner)
    expect(await guarded(other)).toEqual(refused)
    expect((await guarded(owner))[0]).toBe(204)
  })

  test('goes on through a refresh of the session', async ({ api, owner }) => {
    await stepUp(owner)
    const { body } = await api.anonymous.post('/auth/refresh', { refresh_token: owner.refreshToken })
    const answer = await api.anonymous.send('DELETE', '/auth/totp', undefined, {
      authorization: `Bearer ${body.access_token}`,
    })
    expect(answer.status).toBe(204)
  })

  test('by a wrong password is refused and recorded, and five lock', async ({ owner, sql }) => {
    for (let n = 0; n < 5; n++) {
      const answer = await owner.post('/auth/step-up', { password: 'Wrong-Horse-7' })
      expect(answered(answer)).toEqual([422, 'wrong_password'])
    }
    expect(answered(await owner.post('/auth/step-up', { password }))).toEqual([429, 'account_locked'])
    expect(await guarded(owner)).toEqual(refused)
    const events = await eventsOf(sql, await sessionOf(owner))
    expect(events.filter(({ action }) => action === 'session.step_up_refused')).toHaveLength(5)
  })

  test('has one guess counted with those of signing in', async ({ api, owner }) => {
    for (let n = 0; n < 4; n++)
      await api.anonymous.post('/auth/login', { username: owner.email, password: 'Wrong-Horse-7' })
    await owner.post('/auth/step-up', { password: 'Wrong-Horse-7' })
    expect(answered(await api.anonymous.post('/auth/login', { username: owner.email, password }))).toEqual([
      429,
      'account_locked',
    ])
  })

  test('takes the code of whoever has a second factor, and his password no more', async ({ api, owner, sql }) => {
    const { secret, code, recoveryCodes } = await addFactor(owner, sql)
    const again = await api.anonymous.post('/auth/login', { username: owner.email, password, totp_code: await code() })
    const authorization = `Bearer ${again.body.access_token}`
    const prove = (body: object) => api.anonymous.post('/auth/step-up', body, { authorization })
    expect(answered(await prove({ password }))).toEqual([409, 'invalid_state'])
    expect(answered(await prove({ totp_code: wrongCode(secret) }))).toEqual([422, 'invalid_code'])
    const totp_code = await code()
    const answers = await Promise.all([prove({ totp_code }), prove({ totp_code })])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422])
    expect((await prove({ totp_code: recoveryCodes[0] })).status).toBe(200)
  })

  test('takes exactly one proof', async ({ owner }) => {
    for (const body of [{}, { password, totp_code: '123456' }, { totp_code: 'x' }, { password: '' }])
      expect([body, (await owner.post('/auth/step-up', body)).status]).toEqual([body, 400])
    expect(answered(await owner.post('/auth/step-up', { totp_code: '123456' }))).toEqual([409, 'invalid_state'])
  })

  test('cannot be done by who acts as somebody else', async ({ api, owner, sql }) => {
    const superuser = await newSuperuser(api, sql)
    await sql`update sessions set impersonator_id = ${superuser.id} where user_id = ${owner.id}`
    api.app.access.clear()
    const answer = await owner.post('/auth/step-up', { password })
    expect(answered(answer)).toEqual([403, 'forbidden'])
    expect(answer.headers['x-impersonated-by']).toBe(superuser.id)
    expect(await guarded(owner)).toEqual([403, 'forbidden'])
  })
})
