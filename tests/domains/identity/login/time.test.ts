import { expect } from 'vitest'
import { password } from '../../../helpers/api.ts'
import { test } from '../../../helpers/sql.ts'

const samples = 200

const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number

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
  const times: number[][] = tried.map(() => [])
  for (let round = -3; round < samples; round++) {
    // Each takes every place in turn, for what came before has its own effect.
    for (let place = 0; place < tried.length; place++) {
      const index = (place + round + tried.length) % tried.length
      const [username, guessed] = tried[index] as (typeof tried)[number]
      await sql`delete from login_throttles`
      const start = performance.now()
      const { status } = await api.anonymous.post('/auth/login', { username, password: guessed })
      const took = performance.now() - start
      expect(status).toBe(401)
      if (round >= 0) times[index]?.push(took)
    }
  }
  const [known, unknown, off] = times.map(median) as [number, number, number]
  console.log(`medians of ${samples} sign-ins in ms:`, { known, unknown, off })
  for (const other of [unknown, off]) expect(Math.abs(other / known - 1)).toBeLessThan(0.1)
})
