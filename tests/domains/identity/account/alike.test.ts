import { expect } from 'vitest'
import { type Answer, newEmail, password, testWith } from '../../../helpers/api.ts'

const samples = 200

const test = testWith({ REQUIRE_VERIFIED_EMAIL: 'true' })

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number

/** What an answer says, without what is another in each. */
const told = ({ status, body, headers }: Answer) => ({
  status,
  body,
  headers: Object.keys(headers).filter((name) => name !== 'date'),
})

/** Asks for known and unknown addresses by turns. @returns how much longer one of them takes, as a share */
async function difference(ask: (email: string) => Promise<Answer>, knownEmail: () => string): Promise<number> {
  const times: [number[], number[]] = [[], []]
  const timed = async (email: string, into: number[]) => {
    const start = performance.now()
    const answer = await ask(email)
    into.push(performance.now() - start)
    return told(answer)
  }
  for (let sample = 0; sample < samples; sample++) {
    const order = sample % 2 === 0
    const first = await timed(order ? knownEmail() : newEmail(), times[order ? 0 : 1])
    const second = await timed(order ? newEmail() : knownEmail(), times[order ? 1 : 0])
    expect(first).toEqual(second)
    expect(first.status).toBe(202)
  }
  const [known, unknown] = times.map(median) as [number, number]
  return Math.abs(known - unknown) / Math.max(known, unknown)
}

/** Other work on the machine may fall on one side: a difference that is ours is there every time. */
const options = { timeout: 180_000, retry: 2 }

for (const path of ['/auth/forgot-password', '/auth/resend-verification', '/auth/register'])
  for (const verified of [true, false])
    test(
      `${path} answers alike for unknown and ${verified ? 'verified' : 'unverified'} accounts, and takes as long`,
      options,
      async ({ api }) => {
        const known = newEmail()
        await api.anonymous.post('/auth/register', { email: known, password })
        if (verified)
          await api.app.pools.requests.sql`update users set email_verified_at = now() where email = ${known}`
        const body = (email: string) => (path === '/auth/register' ? { email, password } : { email })
        for (const email of [newEmail(), known]) await api.anonymous.post(path, body(email))
        const share = await difference(
          (email) => api.anonymous.post(path, body(email)),
          () => known,
        )
        expect(share).toBeLessThan(0.1)
      },
    )
