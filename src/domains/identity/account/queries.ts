import { and, eq, isNull, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { forgetCredentials, passwordChanged, revokeSessions } from '../../../db/credentials.ts'
import { withConstraints } from '../../../db/errors.ts'
import { clearThrottle, forgetWrongCodes } from '../../../db/login-throttle.ts'
import { dropTokens, peekToken, type TokenPurpose, takeToken, tokenInvalid } from '../../../db/mail-tokens.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { domainAllowed, domainOf } from '../../../lib/email.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'

type User = typeof users.$inferSelect

/** Whose access changed, for the caches of this instance. */
export type Changed = { user_id: string }

/**
 * Says that the address of the link is its reader's. A link of a later registration of the address brings the password
 * of that one, and ends what others did with the account.
 * @throws Problem `mail_token_invalid`
 */
export const verifyEmail = (scope: TenantScope, token: string): Promise<Changed> =>
  scope.db.transaction(async (db) => {
    const { user, password_hash } = await useToken(db, 'verify_email', token)
    const event = { action: 'user.verified', subject_type: 'user', subject_id: user.id, after: { email: user.email } }
    if (password_hash === null) await changeUser(db, user.id, { email_verified_at: sql`now()` })
    else {
      await takeOver(as({ ...scope, db }, user.id), user.id)
      await changeUser(db, user.id, { password_hash, email_verified_at: sql`now()`, username: null, full_name: null })
      await dropTokens(db, user.id)
    }
    await notifyAccess(db, `user:${user.id}`)
    await recordEvent(as({ ...scope, db }, user.id), event)
    return { user_id: user.id }
  })

/**
 * Sets the password by a link that was mailed, ends every session, verifies the address, and lets sign in again who
 * was locked out for guessing.
 * @param refuse throws where the password will not do for this user
 * @throws Problem `mail_token_invalid`
 */
export const resetPassword = (
  scope: TenantScope,
  token: string,
  password_hash: string,
  refuse: (user: User) => void,
): Promise<Changed> =>
  scope.db.transaction(async (db) => {
    const { user } = await useToken(db, 'reset_password', token)
    refuse(user)
    if (user.email_verified_at === null) await takeOver(as({ ...scope, db }, user.id), user.id)
    await changeUser(db, user.id, { password_hash, email_verified_at: user.email_verified_at ?? sql`now()` })
    await passwordChanged(as({ ...scope, db }, user.id), user, 'password.reset')
    await clearThrottle(db, user.email, user.username)
    await forgetWrongCodes(db, user.id)
    return { user_id: user.id }
  })

export async function getUser(db: Db, id: string): Promise<User> {
  return oneOr404(await db.select().from(users).where(eq(users.id, id)))
}

/**
 * Replaces the password and ends every other session of the user.
 * @param user as he was when he proved himself: who was quicker with another password makes that proof worthless
 * @throws Problem `wrong_password`
 */
export const changePassword = (
  scope: TenantScope,
  user: User,
  sessionId: string,
  password_hash: string,
): Promise<Changed> =>
  scope.db.transaction(async (db) => {
    const [current] = await db.select().from(users).where(eq(users.id, user.id)).for('update')
    if (current?.password_hash !== user.password_hash) throw wrongPassword()
    await changeUser(db, user.id, { password_hash })
    await passwordChanged({ ...scope, db }, current, 'password.changed', sessionId)
    return { user_id: user.id }
  })

export const wrongPassword = () => new Problem('wrong_password', 'The current password is wrong.')

export const recordWrongPassword = (scope: TenantScope) =>
  recordEvent(scope, { action: 'password.refused', subject_type: 'user', subject_id: scope.actor.user_id })

/**
 * Mails a link to the new address, whether it is free or not.
 * @throws Problem `email_domain_not_allowed`
 */
export const requestEmailChange = (scope: TenantScope, sessionId: string, email: string): Promise<null> =>
  scope.db.transaction(async (db) => {
    const user_id = scope.actor.user_id as string
    await refuseForbiddenDomain(db, user_id, email)
    await enqueueMail(db, { template: 'change_email', recipient: email, data: { user_id, session_id: sessionId } })
    const event = { action: 'email_change.requested', subject_type: 'user', subject_id: user_id, after: { email } }
    await recordEvent({ ...scope, db }, event)
    return null
  })

/**
 * Makes the address of the link the user's, and tells the old one.
 * @param keep the session that stays, where the user himself follows the link signed in
 * @throws Problem `mail_token_invalid`, `email_taken` or `email_domain_not_allowed`
 */
export const confirmEmail = (scope: TenantScope, token: string, keep: string | null): Promise<Changed> =>
  withConstraints({ users_email: emailTaken }, () =>
    scope.db.transaction(async (db) => {
      const { user, email } = await useToken(db, 'change_email', token)
      await refuseForbiddenDomain(db, user.id, email)
      await changeUser(db, user.id, { email, email_verified_at: sql`now()` })
      await dropTokens(db, user.id)
      await revokeSessions(db, user.id, 'email_changed', keep)
      await enqueueMail(db, { template: 'email_changed', recipient: user.email, data: { email } })
      const change = { before: { email: user.email }, after: { email } }
      const event = { action: 'user.email_changed', subject_type: 'user', subject_id: user.id, ...change }
      await recordEvent(as({ ...scope, db }, user.id), event)
      return { user_id: user.id }
    }),
  )

const emailTaken = () => new Problem('email_taken', 'Another account has this e-mail address by now.')

/** Uses a link up, the user's row locked first, as mail delivery locks it. */
async function useToken(db: Db, purpose: TokenPurpose, token: string) {
  const { user_id } = await peekToken(db, purpose, token)
  const [user] = await db
    .select()
    .from(users)
    .where(eq(users.id, user_id as string))
    .for('update')
  const { email, password_hash } = await takeToken(db, purpose, token)
  if (!user?.is_active || (purpose !== 'change_email' && user.email !== email)) throw tokenInvalid()
  return { user, email, password_hash }
}

/** Whoever follows a link is signed in by it, for this one change. */
const as = (scope: TenantScope, user_id: string): TenantScope => ({ ...scope, actor: { ...scope.actor, user_id } })

type UserChange = { [K in keyof User]?: User[K] | ReturnType<typeof sql> }

const changeUser = (db: Db, id: string, change: UserChange) =>
  db
    .update(users)
    .set({ ...change, version: sql`${users.version} + 1`, updated_at: sql`now()` })
    .where(eq(users.id, id))

/** Takes an account from whoever used it before anybody had proved to read its address. */
async function takeOver(scope: TenantScope, userId: string): Promise<void> {
  await revokeSessions(scope.db, userId, 'address_verified')
  await forgetCredentials(scope, userId)
}

/** Every organisation of the user has a say about his address. */
async function refuseForbiddenDomain(db: Db, userId: string, email: string): Promise<void> {
  const policies = await db
    .select({ settings: organizations.settings })
    .from(members)
    .innerJoin(organizations, eq(organizations.id, members.org_id))
    .where(and(eq(members.user_id, userId), members.is_active, isNull(organizations.deleted_at)))
  if (!policies.every(({ settings }) => domainAllowed(email, settings.allowed_email_domains)))
    throw new Problem(
      'email_domain_not_allowed',
      `An organisation you belong to allows no addresses of ${domainOf(email)}; use one of its own domains.`,
    )
}
