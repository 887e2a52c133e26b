import { and, eq, gt, inArray, isNull, or, type SQL, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { accessChannel, notifyAccess } from '../db/access.ts'
import { recordEvent } from '../db/audit.ts'
import type { Db } from '../db/client.ts'
import { dropFactor, forgetCredentials } from '../db/credentials.ts'
import { clearThrottle, forgetWrongCodes } from '../db/login-throttle.ts'
import { dropTokens } from '../db/mail-tokens.ts'
import { insertOrganization } from '../db/organizations.ts'
import { enqueueMail } from '../db/outbox.ts'
import { sessions } from '../db/tables/identity.ts'
import { members, organizations } from '../db/tables/organizations.ts'
import { users } from '../db/tables/users.ts'
import { operator } from './database.ts'

type Named = { id: string; email: string; username: string | null }
export type Ended = { sessions: number; users: number }

/** @param email canonical */
export async function findUser(db: Db, email: string) {
  const [user] = await db.select().from(users).where(eq(users.email, email))
  return user
}

export async function findOrganization(db: Db, code: string) {
  const [organization] = await db.select().from(organizations).where(eq(organizations.code, code))
  return organization
}

/**
 * Makes a superuser of an address, or of the account that has it. An account whose address was never verified may be
 * anybody's, so it becomes one only under the new password, without the sessions, keys and factors of before.
 * @param given the new password was asked for, and replaces the present one also of a verified account
 * @param organization the name of an organisation that he shall own
 * @returns whether the account was made, and whether the new password is its password
 */
export async function makeSuperuser(
  db: Db,
  account: { email: string; password_hash: string },
  given: boolean,
  organization: string | undefined,
): Promise<{ made: boolean; passwordSet: boolean }> {
  const [made] = await db
    .insert(users)
    .values({ id: uuidv7(), ...account, is_superuser: true, email_verified_at: sql`now()` })
    .onConflictDoNothing({ target: users.email })
    .returning()
  const user = made ?? (await promote(db, account.email))
  if (made !== undefined)
    await recordEvent(
      { ...operator, db },
      { action: 'user.created', subject_type: 'user', subject_id: made.id, after: { email: made.email } },
    )
  if (made !== undefined || !user.is_superuser)
    await recordEvent(
      { ...operator, db },
      { action: 'user.superuser_granted', subject_type: 'user', subject_id: user.id, after: { email: user.email } },
    )
  const passwordSet = made === undefined && (given || user.email_verified_at === null)
  if (passwordSet) await setPassword(db, user, account.password_hash)
  if (user.email_verified_at === null) await forgetCredentials({ ...operator, db }, user.id)
  if (organization !== undefined) await ensureOwned(db, user, organization)
  await notifyAccess(db, `user:${user.id}`)
  return { made: made !== undefined, passwordSet: made !== undefined || passwordSet }
}

/** @returns the account as it was before */
async function promote(db: Db, email: string) {
  const [before] = await db.select().from(users).where(eq(users.email, email)).for('update')
  if (before === undefined) throw new Error(`The account ${email} was deleted meanwhile; try again.`)
  await db
    .update(users)
    .set({
      is_superuser: true,
      is_active: true,
      email_verified_at: sql`coalesce(${users.email_verified_at}, now())`,
      version: sql`${users.version} + 1`,
      updated_at: sql`now()`,
    })
    .where(eq(users.id, before.id))
  return before
}

/** Makes the organisation, unless he owns one of this name. */
async function ensureOwned(db: Db, { id: user_id, email }: { id: string; email: string }, name: string) {
  const [owned] = await db
    .select({ id: organizations.id })
    .from(members)
    .innerJoin(organizations, eq(organizations.id, members.org_id))
    .where(and(eq(members.user_id, user_id), sql`${members.roles} @> '{owner}'`, eq(organizations.name, name)))
  if (owned !== undefined) return
  await insertOrganization({ ...operator, db }, user_id, { name, contact_email: email })
}

/**
 * Sets a password, ends what the old one opened, sessions and mailed links, and tells the owner. Wrong guesses are
 * forgotten.
 * @returns the sessions that ended
 */
export async function setPassword(db: Db, { id, email, username }: Named, password_hash: string): Promise<Ended> {
  await db
    .update(users)
    .set({ password_hash, version: sql`${users.version} + 1`, updated_at: sql`now()` })
    .where(eq(users.id, id))
  await dropTokens(db, id)
  await clearThrottle(db, email, username)
  await forgetWrongCodes(db, id)
  await enqueueMail(db, { template: 'password_changed', recipient: email })
  const ended = await endSessions(db, sessionsOf(id), 'password_reset')
  await recordEvent(
    { ...operator, db },
    { action: 'password.reset', subject_type: 'user', subject_id: id, after: { sessions_ended: ended.sessions } },
  )
  return ended
}

/** Takes the second factor off an account whose holder has lost it. */
export const removeFactor = (db: Db, userId: string): Promise<void> => dropFactor({ ...operator, db }, userId)

/** A user's own sessions, and those in which he acts as others. */
export const sessionsOf = (userId: string) => or(eq(sessions.user_id, userId), eq(sessions.impersonator_id, userId))

/** The sessions that reach an organisation, or could be switched to it: those of all its members. */
export const sessionsAt = (db: Db, orgId: string) =>
  or(
    eq(sessions.org_id, orgId),
    inArray(sessions.user_id, db.select({ id: members.user_id }).from(members).where(eq(members.org_id, orgId))),
  )

/** Ends the living sessions of a kind, or all; every instance forgets each of them at commit. */
async function endSessions(db: Db, which: SQL | undefined, reason: string): Promise<Ended> {
  const living = and(
    isNull(sessions.revoked_at),
    gt(sql`least(${sessions.expires_at}, ${sessions.ends_at})`, sql`now()`),
    which,
  )
  const ended = db
    .$with('ended')
    .as(
      db
        .update(sessions)
        .set({ revoked_at: sql`now()`, revoked_reason: reason })
        .where(living)
        .returning({ id: sessions.id, user_id: sessions.user_id }),
    )
  const [counts] = await db
    .with(ended)
    .select({
      sessions: sql<number>`count(pg_notify(${accessChannel}, 'session:' || ${ended.id}))::int`,
      users: sql<number>`count(distinct ${ended.user_id})::int`,
    })
    .from(ended)
  return counts as Ended
}

/** Ends sessions because the operator says so, and records whose they were. */
export async function revokeSessions(
  db: Db,
  which: SQL | undefined,
  subject: { subject_type: string; subject_id: string | null },
): Promise<Ended> {
  const ended = await endSessions(db, which, 'operator')
  await recordEvent(
    { ...operator, db },
    { action: 'sessions.ended', ...subject, after: { reason: 'operator', ...ended } },
  )
  return ended
}
