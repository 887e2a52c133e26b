import { networkOf } from '../lib/address.ts'
import { sha256 } from '../lib/crypto.ts'
import { Problem, type ProblemCode } from '../lib/errors.ts'
import { Limiter } from '../lib/limiter.ts'
import { clientOf, type Db } from './client.ts'

/**
 * Wrong guesses at one account within 15 minutes that lock it for 15 minutes: for the network they came from, and for
 * everybody.
 */
const networkGuesses = 5
const accountGuesses = 20

/** The problems of who guessed wrong; whatever else ends an attempt is not held against him. */
const wrong: ProblemCode[] = ['invalid_credentials', 'wrong_password', 'invalid_code']

/** One account's guesses, and those from one network, which begin with the account's, so that both are found together. */
const accountKey = (login: string) => sha256(login).subarray(0, 16)
const keysOf = (login: string, ip: string) => {
  const account = accountKey(login)
  return { account, pair: Buffer.concat([account, sha256(networkOf(ip)).subarray(0, 16)]) }
}

/**
 * Judges one guess at an account's secret. It counts as wrong before it is judged, so that a burst has no more guesses
 * than a series; a right one clears the count. Accounts that do not exist are counted and locked alike.
 * @param login a canonical e-mail address or a username
 * @param judge throws `invalid_credentials`, `wrong_password` or `invalid_code` where the guess is wrong
 * @param refused records a wrong guess
 * @throws Problem `account_locked`, also for the right guess
 */
export async function limitGuesses<T>(
  db: Db,
  login: string,
  ip: string,
  judge: () => Promise<T>,
  refused: () => Promise<void>,
): Promise<T> {
  const keys = keysOf(login, ip)
  return inLane(keys.pair.toString('hex'), async () => {
    await reserve(db, keys)
    try {
      const result = await judge()
      await forget(db, keys)
      return result
    } catch (error) {
      if (error instanceof Problem && wrong.includes(error.code)) await refused()
      else await release(db, keys)
      throw error
    }
  })
}

type Keys = { account: Buffer; pair: Buffer }

/** Counts the guess for both keys in one statement; the account is touched only where the network may still guess. */
async function reserve(db: Db, keys: Keys): Promise<void> {
  const client = clientOf(db)
  const counted = (max: number) => client`
    on conflict (key) do update set
      failures = case when ${client.unsafe(stale)} then 1 else t.failures + 1 end,
      first_failed_at = case when ${client.unsafe(stale)} then now() else t.first_failed_at end,
      locked_until = case when not ${client.unsafe(stale)} and t.failures + 1 >= ${max} then now() + interval '15 minutes' end
    where t.locked_until is null or t.locked_until <= now() returning key`
  const [reserved] = await client<{ pair: boolean; account: boolean }[]>`
    with pair as (
      insert into login_throttles as t (key, failures) values (${keys.pair}, 1) ${counted(networkGuesses)}),
    account as (
      insert into login_throttles as t (key, failures) select ${keys.account}::bytea, 1 from pair
      ${counted(accountGuesses)})
    select exists (select from pair) as pair, exists (select from account) as account`
  if (reserved?.account) return
  if (reserved?.pair) await takeBack(db, keys.pair, networkGuesses)
  throw await locked(db, keys)
}

/** A row whose lock or whose window is over: the count begins anew. */
const stale = `coalesce(t.locked_until, t.first_failed_at + interval '15 minutes') <= now()`

async function locked(db: Db, { account, pair }: Keys): Promise<Problem> {
  const [left] = await clientOf(db)<{ seconds: number | null }[]>`
    select ceil(extract(epoch from max(locked_until) - now()))::int as seconds
    from login_throttles where key in (${account}, ${pair}) and locked_until > now()`
  const retryAfterS = Math.max(left?.seconds ?? 1, 1)
  return new Problem('account_locked', `Too many wrong guesses; try again in ${retryAfterS} seconds.`, { retryAfterS })
}

/** An attempt that was no guess after all. The pair comes first everywhere, so that two never wait for each other. */
async function release(db: Db, { account, pair }: Keys): Promise<void> {
  await takeBack(db, pair, networkGuesses)
  await takeBack(db, account, accountGuesses)
}

/** Leaves nothing behind of a count that was begun with the attempt. */
const takeBack = (db: Db, key: Buffer, max: number) => clientOf(db)`
  with begun as (delete from login_throttles where key = ${key} and failures <= 1)
  update login_throttles set failures = failures - 1, locked_until = case when failures > ${max} then locked_until end
  where key = ${key} and failures > 1`

/** The pair first, here too. */
const forget = (db: Db, { account, pair }: Keys) => clientOf(db)`
  with pair as (delete from login_throttles where key = ${pair} returning key)
  delete from login_throttles where key = ${account} and (select count(*) from pair) >= 0`

/**
 * Forgets every wrong guess at an account, as when its password was reset.
 * @param logins its e-mail address, and its username where it has one: both are ways to name it
 */
export async function clearThrottle(db: Db, ...logins: (string | null)[]): Promise<void> {
  for (const login of logins.filter((one) => one !== null)) {
    const account = accountKey(login)
    const beyond = Buffer.concat([account, Buffer.alloc(17, 0xff)])
    await clientOf(db)`delete from login_throttles where key > ${account} and key < ${beyond}`
    await clientOf(db)`delete from login_throttles where key = ${account}`
  }
}

/**
 * Wrong codes in a row, each after the right password or in a session, that a second factor takes: NIST SP 800-63B allows a
 * hundred. Whoever guesses them is no stranger, so no time ends this lock.
 */
export const wrongCodesMax = 50

const codesKey = (userId: string) => sha256(`codes of ${userId}`).subarray(0, 16)

/** @throws Problem `account_locked` where a second factor takes no more codes of the moment */
export async function assertCodesLeft(db: Db, userId: string): Promise<void> {
  const [spent] = await clientOf(db)`
    select 1 from login_throttles where key = ${codesKey(userId)} and failures >= ${wrongCodesMax}
      and locked_until > now()`
  if (spent !== undefined)
    throw new Problem(
      'account_locked',
      'Too many wrong codes in a row: give a recovery code, or set a new password by POST /api/v1/auth/forgot-password.',
    )
}

/** Counts a wrong code, for thirty days from the last one. @returns whether it was the one that locks the factor */
export async function countWrongCode(db: Db, userId: string): Promise<boolean> {
  const [counted] = await clientOf(db)<{ failures: number }[]>`
    insert into login_throttles as t (key, failures, locked_until)
    values (${codesKey(userId)}, 1, now() + interval '30 days')
    on conflict (key) do update set locked_until = excluded.locked_until,
      failures = case when t.locked_until > now() then t.failures + 1 else 1 end
    returning failures`
  return counted?.failures === wrongCodesMax
}

/** Takes codes again: after a right one, or with a new password. */
export const forgetWrongCodes = (db: Db, userId: string) =>
  clientOf(db)`delete from login_throttles where key = ${codesKey(userId)}`

/** Forgets guesses that count no more. @returns how many */
export async function purgeThrottles(db: Db): Promise<number> {
  const client = clientOf(db)
  const gone = await client`
    delete from login_throttles where key in (
      select key from login_throttles t
      where t.first_failed_at < now() - interval '15 minutes' and ${client.unsafe(stale)} for update skip locked)`
  return gone.count
}

const lanes = new Map<string, { limiter: Limiter; users: number }>()

/**
 * Lets fewer attempts be judged at once than lock the account, so that a client that signs in often at once is not
 * taken for a guesser. A matter of this process alone: the count in the database is what holds.
 */
async function inLane<T>(key: string, task: () => Promise<T>): Promise<T> {
  const lane = lanes.get(key) ?? { limiter: new Limiter(networkGuesses - 1, 60, crowded), users: 0 }
  lanes.set(key, lane)
  lane.users++
  try {
    return await lane.limiter.run(task)
  } finally {
    lane.users--
    if (lane.users === 0) lanes.delete(key)
  }
}

const crowded = () => new Problem('busy', 'Too many sign-ins at once; try again in a few seconds.', { retryAfterS: 2 })
