import { availableParallelism } from 'node:os'
import { dictionary } from '@zxcvbn-ts/language-common'
import { invalidField, Problem } from './errors.ts'
import { HashThread } from './hashing.ts'
import { Limiter } from './limiter.ts'

/** OWASP's minimum for argon2id: 19 MiB, two passes, one lane. */
export const hashParameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** A hash fills a core: one is left for requests. */
export const hashesAtOnce = Math.min(Math.max(availableParallelism() - 1, 1), 2)

const threads = Array.from({ length: hashesAtOnce }, () => new HashThread())
const idlest = () => threads.reduce((one, other) => (other.load < one.load ? other : one))

/** Each thread has one password in work and the next one at hand. */
const limiter = new Limiter(
  2 * hashesAtOnce,
  60,
  () => new Problem('busy', 'Too many sign-ins at once; try again in a few seconds.', { retryAfterS: 2 }),
)

/** @returns an argon2id hash in PHC text form */
export const hashPassword = (password: string): Promise<string> =>
  limiter.run(() => idlest().hash(password, hashParameters))

let dummy: Promise<string> | undefined

/**
 * Whether the password is the one that was hashed. Without a hash (no such user) it takes as long and says no.
 * @throws Problem `busy` when too many wait
 */
export async function verifyPassword(hashed: string | undefined, password: string): Promise<boolean> {
  dummy ??= idlest().hash('no such user', hashParameters)
  const against = hashed ?? (await dummy)
  const matches = await limiter.run(() => idlest().verify(against, password))
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
  if (isCommon(lower)) return 'must not be a password that many people use'
  return undefined
}

/** @param field of the body. @throws Problem `validation_failed` for a password that will not do */
export function assertPassword(
  password: string,
  composition: boolean,
  own: (string | undefined)[],
  field = 'password',
): void {
  const fault = passwordFault(password, composition, own)
  if (fault) throw invalidField(`/body/${field}`, 'password', fault)
}

let common: Set<string> | undefined

/** Shorter words stay useful as a part of something longer. */
const wordMin = 6

/** On the list as it stands, or with what people add to please a rule: `Password1!` is `password` to whoever guesses. */
function isCommon(lower: string): boolean {
  common ??= new Set(dictionary['passwords-common'])
  const plain = withoutEnd(lower, /[^\p{L}\p{Nd}]/u)
  const word = withoutEnd(lower, /[^\p{L}]/u)
  return common.has(lower) || common.has(plain) || (word.length >= wordMin && common.has(word))
}

function withoutEnd(text: string, unwanted: RegExp): string {
  const characters = [...text]
  while (characters.length > 0 && unwanted.test(characters.at(-1) as string)) characters.pop()
  return characters.join('')
}
