import { hash, verify } from 'argon2'
import { Problem } from './errors.ts'
import { Limiter } from './limiter.ts'

/** OWASP's minimum for argon2id: 19 MiB, two passes, one lane. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Hashing holds a thread of libuv's pool of four: two at once leave the others to files and DNS. */
const limiter = new Limiter(
  2,
  60,
  () => new Problem('busy', 'Too many sign-ins at once; try again in a few seconds.', { retryAfterS: 2 }),
)

/** @returns an argon2id hash in PHC text form */
export const hashPassword = (password: string): Promise<string> => limiter.run(() => hash(password, parameters))

let dummy: Promise<string> | undefined

/**
 * Whether the password is the one that was hashed. Without a hash (no such user) it takes as long and says no.
 * @throws Problem `busy` when too many wait
 */
export async function verifyPassword(hashed: string | undefined, password: string): Promise<boolean> {
  dummy ??= hash('no such user', parameters)
  const against = hashed ?? (await dummy)
  const matches = await limiter.run(() => verify(against, password))
  return matches && hashed !== undefined
}

/**
 * Why a new password will not do, or undefined.
 * @param composition ask for upper case, digit and special character too
 */
export function passwordFault(password: string, composition: boolean, own: (string | undefined)[]): string | undefined {
  if (password.length < 8 || password.length > 128) return 'must have 8 to 128 characters'
  if (composition && !(/\p{Lu}/u.test(password) && /\p{Nd}/u.test(password) && /[^\p{L}\p{Nd}]/u.test(password)))
    return 'must hold an upper-case letter, a digit and a special character'
  const lower = password.toLowerCase()
  if (own.some((name) => name !== undefined && name.toLowerCase() === lower))
    return 'must not be the e-mail address or the username'
  return undefined
}
