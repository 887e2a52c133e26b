import { and, asc, eq, gt, isNotNull, isNull, lt, or, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { assertCodesLeft, countWrongCode, forgetWrongCodes } from '../../../db/login-throttle.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { recoveryCodes, sessions } from '../../../db/tables/identity.ts'
import { users } from '../../../db/tables/users.ts'
import { type Keys, seal, tryUnseal, unseal } from '../../../lib/crypto.ts'
import { Problem } from '../../../lib/errors.ts'
import { isRecoveryCode, newRecoveryCodes, otpauthUri, recoveryHash, stepOf } from './rules.ts'

const invalidCode = () =>
  new Problem('invalid_code', 'The code is wrong, or was used already; wait for the next one and try again.')

const nowMs = sql<number>`(extract(epoch from now()) * 1000)::float8`

/**
 * Runs what uses up a code, and counts a wrong one, beside that transaction: it is rolled back. The holder is told of the
 * one that locks his factor.
 */
export const countingCodes = <T>(scope: TenantScope, userId: string, use: () => Promise<T>): Promise<T> =>
  use().catch(async (error: unknown) => {
    if (error instanceof Problem && error.code === 'invalid_code' && (await countWrongCode(scope.db, userId)))
      await scope.db.transaction((db) => tell({ ...scope, db }, 'factor.locked', userId, 'factor_locked'))
    throw error
  })

/**
 * Uses up a code of a user's second factor, in the transaction of what it allows: of two uses of one code, at once or
 * not, one succeeds.
 * @throws Problem `invalid_code`, or `account_locked` after too many wrong ones in a row
 */
export async function useCode(scope: TenantScope, keys: Keys, userId: string, code: string): Promise<void> {
  if (!isRecoveryCode(code)) await assertCodesLeft(scope.db, userId)
  const factor = await holdFactor(scope.db, keys, userId)
  const used =
    factor !== undefined &&
    (isRecoveryCode(code)
      ? await useRecoveryCode(scope, factor, userId, code)
      : await useMoment(scope, factor, userId, code))
  if (!used) throw invalidCode()
  await forgetWrongCodes(scope.db, userId)
}

type Factor = { secret: string; nowMs: number }

/** The confirmed factor of a user, who is held; undefined where he has none. */
async function holdFactor(db: Db, keys: Keys, userId: string): Promise<Factor | undefined> {
  const [user] = await db
    .select({ sealed: users.totp_secret, nowMs })
    .from(users)
    .where(and(eq(users.id, userId), isNotNull(users.totp_confirmed_at)))
    .for('no key update')
  return user?.sealed ? { secret: unseal(keys, user.sealed), nowMs: user.nowMs } : undefined
}

async function useMoment({ db }: TenantScope, factor: Factor, userId: string, code: string): Promise<boolean> {
  const step = stepOf(factor.secret, code, factor.nowMs)
  if (step === undefined) return false
  const unused = or(isNull(users.totp_last_step), lt(users.totp_last_step, step))
  const used = await db
    .update(users)
    .set({ totp_last_step: step })
    .where(and(eq(users.id, userId), unused))
    .returning({ id: users.id })
  return used.length > 0
}

async function useRecoveryCode(scope: TenantScope, { secret }: Factor, userId: string, code: string): Promise<boolean> {
  const used = await scope.db
    .update(recoveryCodes)
    .set({ used_at: sql`now()` })
    .where(
      and(
        eq(recoveryCodes.user_id, userId),
        eq(recoveryCodes.code_hash, recoveryHash(secret, code)),
        isNull(recoveryCodes.used_at),
      ),
    )
    .returning({ user_id: recoveryCodes.user_id })
  if (used.length === 0) return false
  await recordEvent(scope, { action: 'recovery_code.used', subject_type: 'user', subject_id: userId })
  return true
}

/**
 * Begins to set up a second factor; it counts once a code of it was given.
 * @throws Problem `invalid_state` where there is one already
 */
export const startTotp = (scope: TenantScope, keys: Keys, userId: string, secret: string) =>
  scope.db.transaction(async (db) => {
    const [user] = await db
      .update(users)
      .set({ totp_secret: seal(keys, secret), totp_last_step: null })
      .where(and(eq(users.id, userId), isNull(users.totp_confirmed_at)))
      .returning({ email: users.email })
    if (user === undefined)
      throw new Problem('invalid_state', 'A second factor is set up already; DELETE /api/v1/auth/totp removes it.')
    await recordEvent({ ...scope, db }, { action: 'factor.started', subject_type: 'user', subject_id: userId })
    return { secret, otpauth_uri: otpauthUri(secret, user.email) }
  })

/**
 * Makes the second factor count from its first code, and the session one that was opened with it.
 * @returns the recovery codes, which are kept hashed only
 * @throws Problem `invalid_code`, or `invalid_state` where nothing waits for a code
 */
export const confirmTotp = (
  scope: TenantScope,
  keys: Keys,
  user: { id: string; session_id: string },
  code: string,
): Promise<string[]> =>
  scope.db.transaction(async (db) => {
    const [pending] = await db
      .select({ sealed: users.totp_secret, nowMs })
      .from(users)
      .where(and(eq(users.id, user.id), isNull(users.totp_confirmed_at)))
      .for('update')
    if (!pending?.sealed)
      throw new Problem(
        'invalid_state',
        'No second factor waits for its first code; begin with POST /api/v1/auth/totp.',
      )
    const secret = unseal(keys, pending.sealed)
    const step = stepOf(secret, code, pending.nowMs)
    if (step === undefined) throw invalidCode()
    await db.update(users).set({ totp_confirmed_at: sql`now()`, totp_last_step: step }).where(eq(users.id, user.id))
    await db.update(sessions).set({ mfa: true }).where(eq(sessions.id, user.session_id))
    const codes = await newSet({ ...scope, db }, secret, user.id)
    await tell({ ...scope, db }, 'factor.added', user.id)
    return codes
  })

/** Removes the second factor, pending or not, its recovery codes, and what sessions had by it. */
export const deleteTotp = (scope: TenantScope, userId: string): Promise<void> =>
  scope.db.transaction(async (db) => {
    const [had] = await db
      .select({ confirmed: users.totp_confirmed_at })
      .from(users)
      .where(and(eq(users.id, userId), isNotNull(users.totp_secret)))
      .for('update')
    if (had === undefined) return
    await db.update(users).set({ totp_secret: null, totp_confirmed_at: null }).where(eq(users.id, userId))
    await db.delete(recoveryCodes).where(eq(recoveryCodes.user_id, userId))
    await db.update(sessions).set({ mfa: false }).where(eq(sessions.user_id, userId))
    if (had.confirmed !== null) await tell({ ...scope, db }, 'factor.removed', userId)
  })

/** Replaces the recovery codes. @throws Problem `invalid_state` without a second factor */
export const replaceRecoveryCodes = (scope: TenantScope, keys: Keys, userId: string): Promise<string[]> =>
  scope.db.transaction(async (db) => {
    const factor = await holdFactor(db, keys, userId)
    if (factor === undefined)
      throw new Problem('invalid_state', 'Recovery codes stand in for a second factor; set one up first.')
    const codes = await newSet({ ...scope, db }, factor.secret, userId)
    await tell({ ...scope, db }, 'recovery_codes.replaced', userId)
    return codes
  })

async function newSet({ db }: TenantScope, secret: string, user_id: string): Promise<string[]> {
  const codes = newRecoveryCodes()
  await db.delete(recoveryCodes).where(eq(recoveryCodes.user_id, user_id))
  await db.insert(recoveryCodes).values(codes.map((code) => ({ user_id, code_hash: recoveryHash(secret, code) })))
  return codes
}

/** A change of factors is audited, reaches every instance, and is mailed to whom it concerns. */
async function tell(
  scope: TenantScope,
  action: string,
  userId: string,
  template: 'factor_changed' | 'factor_locked' = 'factor_changed',
): Promise<void> {
  const { db, actor } = scope
  await recordEvent(scope, { action, subject_type: 'user', subject_id: userId })
  await notifyAccess(db, `user:${userId}`)
  const [user] = await db.select({ email: users.email, at: sql<string>`now()` }).from(users).where(eq(users.id, userId))
  const data = { change: action, ip: actor.ip, at: user?.at }
  await enqueueMail(db, { template, recipient: user?.email as string, data })
}

/** A wrong code for what is to become the second factor. */
export const recordWrongCode = (scope: TenantScope, userId: string) =>
  recordEvent(scope, { action: 'factor.refused', subject_type: 'user', subject_id: userId })

/** A factor that the present key does not open; `secret` is undefined where the key before does not either. */
type AgedFactor = { id: string; sealed: Buffer; secret: string | undefined }

/** The factors that were sealed with another than the present key, pending ones too. */
export async function* agedFactors(db: Db, [present, ...before]: Keys): AsyncGenerator<AgedFactor> {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const batch = await db
      .select({ id: users.id, sealed: users.totp_secret })
      .from(users)
      .where(and(isNotNull(users.totp_secret), gt(users.id, after)))
      .orderBy(asc(users.id))
      .limit(factorsAtOnce)
    for (const { id, sealed } of batch as { id: string; sealed: Buffer }[])
      if (tryUnseal([present], sealed) === undefined) yield { id, sealed, secret: tryUnseal(before, sealed) }
    if (batch.length < factorsAtOnce) return
    after = batch.at(-1)?.id as string
  }
}

const factorsAtOnce = 500

/** Seals with the present key what the key before sealed, unless it changes just then. @returns how many */
export async function resealFactors(db: Db, keys: Keys): Promise<number> {
  let count = 0
  for await (const { id, sealed, secret } of agedFactors(db, keys)) {
    if (secret === undefined) continue
    const unchanged = and(eq(users.id, id), eq(users.totp_secret, sealed))
    await db
      .update(users)
      .set({ totp_secret: seal(keys, secret) })
      .where(unchanged)
    count++
  }
  return count
}
