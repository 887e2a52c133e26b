import { expect } from 'vitest'
import { password } from '../../../helpers/api.ts'
import { hashAtFullCost } from '../../../helpers/hashing.ts'
import { test } from '../../../helpers/sql.ts'
import { compareTimes, tolerance } from '../../../helpers/timing.ts'

hashAtFullCost()

test('a sign-in takes as long for an account that does not exist or is disabled as for a known one', {
  timeout: 240_000,
}, async ({ api, owner, sql }) => {
  const disabled = await api.newUser(owner, 'member')
  await sql`update users set is_active = false where id = ${disabled.id}`
  const tried = [
    [owner.email, 'Wrong-Horse-7'],
    ['nobody@example.com', 'Wrong-Horse-7'],
    [disabled.email, password],
  ] as const
  const compared = await compareTimes(
    tried.map(([username, guessed]) => async () => {
      expect((await api.anonymous.post('/auth/login', { username, password: guessed })).status).toBe(401)
    }),
    // The sixth guess would be refused without a look at the password.
    () => sql`delete from login_throttles`,
  )
  const [known, unknown, off] = compared.medians
  console.log(`medians of ${compared.rounds} sign-ins in ms:`, { known, unknown, off })
  for (const share of compared.longer) expect(Math.abs(share), JSON.stringify(compared)).toBeLessThan(tolerance)
})
