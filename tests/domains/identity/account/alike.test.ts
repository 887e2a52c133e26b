import { expect } from 'vitest'
import { type Answer, newEmail, password, testWith } from '../../../helpers/api.ts'
import { hashAtFullCost } from '../../../helpers/hashing.ts'
import { compareTimes, tolerance } from '../../../helpers/timing.ts'

hashAtFullCost()

const test = testWith({ REQUIRE_VERIFIED_EMAIL: 'true' })

/** What an answer says, without what is another in each. */
const told = ({ status, body, headers }: Answer) => ({
  status,
  body,
  headers: Object.keys(headers).filter((name) => name !== 'date'),
})

for (const path of ['/auth/forgot-password', '/auth/resend-verification', '/auth/register'])
  test(`${path} answers alike for unknown and known accounts, verified or not, and takes as long`, {
    timeout: 240_000,
  }, async ({ api }) => {
    const [verified, unverified] = [newEmail(), newEmail()]
    for (const email of [verified, unverified]) await api.anonymous.post('/auth/register', { email, password })
    await api.app.pools.requests.sql`update users set email_verified_at = now() where email = ${verified}`
    let first: object | undefined
    const ask = async (email: string) => {
      const answer = await api.anonymous.post(path, path === '/auth/register' ? { email, password } : { email })
      expect(answer.status).toBe(202)
      first ??= told(answer)
      expect(told(answer)).toEqual(first)
    }
    const compared = await compareTimes([() => ask(newEmail()), () => ask(verified), () => ask(unverified)])
    for (const share of compared.longer) expect(Math.abs(share), JSON.stringify(compared)).toBeLessThan(tolerance)
  })
