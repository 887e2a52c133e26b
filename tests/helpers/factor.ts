import { Secret, TOTP } from 'otpauth'
import type postgres from 'postgres'
import { expect } from 'vitest'
import { type Client, type Person, password } from './api.ts'

/** The code that an authenticator program shows so many steps from now. */
export const codeAt = (secret: string, steps = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })

/** Six digits that are none of the present codes. */
export const wrongCode = (secret: string): string => {
  const right = [-2, -1, 0, 1, 2].map((steps) => codeAt(secret, steps))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.includes(code)) as string
}

/** Proves by the password, as who has no second factor does. */
export const stepUp = async (client: Client) => {
  const { status, text } = await client.post('/auth/step-up', { password })
  expect(status, text).toBe(200)
}

/** Gives a user a second factor; `code` is one that works, however many were used before. */
export async function addFactor(person: Person, sql: postgres.Sql) {
  await stepUp(person)
  const { secret } = (await person.post('/auth/totp')).body
  const confirmed = await person.post('/auth/totp/confirm', { code: codeAt(secret) })
  expect(confirmed.status, confirmed.text).toBe(200)
  return {
    secret: secret as string,
    recoveryCodes: confirmed.body.recovery_codes as string[],
    code: async () => {
      await sql`update users set totp_last_step = null where id = ${person.id}`
      return codeAt(secret)
    },
  }
}
