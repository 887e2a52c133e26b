import { and, eq, isNotNull, isNull, ne, type SQL, sql } from 'drizzle-orm'
import { notifyAccess } from './access.ts'
import { recordEvent } from './audit.ts'
import type { Db } from './client.ts'
import { dropTokens } from './mail-tokens.ts'
import { enqueueMail } from './outbox.ts'
import type { TenantScope } from './scope.ts'
import { apiKeys, recoveryCodes, sessions } from './tables/identity.ts'
import { users } from './tables/users.ts'

/**
 * Ends every session of a user, on every instance, in the caller's transaction.
 * @param keep the id of the session that goes on
 */
export async function revokeSessions(db: Db, userId: string, reason: string, keep: string | null = null) {
  const others = keep === null ? undefined : ne(sessions.id, keep)
  await db
    .update(sessions)
    .set({ revoked_at: sql`now()`, revoked_reason: reason })
    .where(and(eq(sessions.user_id, userId), isNull(sessions.revoked_at), others))
  await notifyAccess(db, `user:${userId}`)
}

/**
 * What follows from every new password: sessions and all links end, and the owner is told.
 * @param keep the id of the session that goes on
 */
export async function passwordChanged(
  scope: TenantScope,
  { id, email }: { id: string; email: string },
  action: string,
  keep: string | null = null,
): Promise<void> {
  const { db } = scope
  await revokeSessions(db, id, 'password_changed', keep)
  await dropTokens(db, id)
  await enqueueMail(db, { template: 'password_changed', recipient: email })
  await recordEvent(scope, { action, subject_type: 'user', subject_id: id })
}

/** Forgets with what else but password and sessions somebody could come back to an account: keys and second factor. */
export async function forgetCredentials(scope: TenantScope, userId: string): Promise<void> {
  await revokeKeys(scope, userId)
  await dropFactor(scope, userId)
}

/**
 * Ends the keys a user made, in the caller's transaction; the trail of each key's organisation tells of it.
 * @param where those of one organisation only
 */
export async function revokeKeys(scope: TenantScope, userId: string, where?: SQL): Promise<void> {
  const ended = await scope.db
    .update(apiKeys)
    .set({ revoked_at: sql`now()`, version: sql`${apiKeys.version} + 1`, updated_at: sql`now()` })
    .where(and(eq(apiKeys.created_by, userId), isNull(apiKeys.revoked_at), where))
    .returning({ id: apiKeys.id, org_id: apiKeys.org_id, revoked_at: apiKeys.revoked_at })
  for (const { id, org_id, revoked_at } of ended)
    await recordEvent(
      { ...scope, org_id },
      { action: 'api_key.revoked', subject_type: 'api_key', subject_id: id, after: { revoked_at } },
    )
}

/** Takes the second factor off an account that has one, in the caller's transaction. */
export async function dropFactor(scope: TenantScope, userId: string): Promise<void> {
  const { db } = scope
  const confirmed = and(eq(users.id, userId), isNotNull(users.totp_confirmed_at))
  const [had] = await db.select({ id: users.id }).from(users).where(confirmed).for('no key update')
  if (had !== undefined)
    await recordEvent(scope, { action: 'factor.removed', subject_type: 'user', subject_id: userId })
  await db.delete(recoveryCodes).where(eq(recoveryCodes.user_id, userId))
  await db
    .update(users)
    .set({ totp_secret: null, totp_confirmed_at: null, totp_last_step: null })
    .where(eq(users.id, userId))
}
