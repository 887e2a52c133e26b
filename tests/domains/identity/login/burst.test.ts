import { expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { hashAtFullCost } from '../../../helpers/hashing.ts'

hashAtFullCost()

test('a burst of a hundred sign-ins is answered in part, and reads go on meanwhile', async ({ api, owner }) => {
  await owner.post('/portfolios', { name: 'Book', currency: 'USD' })
  let pending = 100
  const burst = Array.from({ length: pending }, async (_, n) => {
    const { status, headers } = await api.anonymous.post('/auth/login', {
      username: `nobody-${n}@example.com`,
      password: 'Wrong-Horse-7',
    })
    pending--
    return { status, wait: headers['retry-after'] }
  })
  let reads = 0
  while (pending > 0) {
    expect((await owner.get('/portfolios')).status).toBe(200)
    if (pending > 0) reads++
  }
  const answers = await Promise.all(burst)
  const refused = answers.filter(({ status }) => status !== 401)
  expect(refused.length).toBeGreaterThan(0)
  expect(answers.length - refused.length).toBeGreaterThan(10)
  for (const { status, wait } of refused) {
    expect([429, 503]).toContain(status)
    expect(Number(wait)).toBeGreaterThan(0)
  }
  expect(reads).toBeGreaterThan(20)
  expect((await api.signIn(owner.email)).id).toBe(owner.id)
})
