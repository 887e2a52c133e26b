import { expect } from 'vitest'
import { password } from '../../../helpers/api.ts'
import { test } from '../../../helpers/sql.ts'

const changes = [
  ['another password', "password_hash = 'another'", 'invalid_credentials'],
  ['a suspension', 'is_active = false', 'invalid_credentials'],
  ['a second factor', 'totp_confirmed_at = now()', 'totp_required'],
] as const

for (const [what, change, code] of changes)
  test(`a sign-in whose password was judged before ${what} committed opens no session`, async ({ api, owner, sql }) => {
    const held = await sql.reserve()
    await held`begin`
    await held`update users set ${held.unsafe(change)} where id = ${owner.id}`
    const late = api.anonymous.post('/auth/login', { username: owner.email, password })
    const waiting = () => sql`select 1 from pg_locks where not granted and locktype = 'transactionid'`
    await expect.poll(async () => (await waiting()).length, { interval: 10 }).toBe(1)
    await held`commit`
    held.release()
    expect((await late).body.code).toBe(code)
    expect(await sql`select 1 from sessions where user_id = ${owner.id}`).toHaveLength(1)
  })
