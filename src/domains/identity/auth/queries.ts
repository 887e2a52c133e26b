import { and, eq, gt, isNull, or, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { withConstraints } from '../../../db/errors.ts'
import { prepared } from '../../../db/prepared.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { refreshTokens, sessions } from '../../../db/tables/identity.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { sha256 } from '../../../lib/crypto.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { refreshGraceS, slugOf } from './rules.ts'
import type { User } from './schemas.ts'

export type Account = { id: string; password_hash: string; is_active: boolean }
export type Session = { id: string; user_id: string; org_id: string | null }

/** What the session check asks on a cache miss: the session while it lives, with its user and his roles. */
export async function findAccess(db: Db, sessionId: string) {
  const statement = prepared(db, 'find_access', (handle, name) =>
    handle
      .select({
        session_id: sessions.id,
        user_id: sessions.user_id,
        org_id: sessions.org_id,
        roles: members.roles,
        is_superuser: users.is_superuser,
        email_verified_at: users.email_verified_at,
        expires_in_s: sql<number>`extract(epoch from ${sessions.expires_at} - now())::float8`,
      })
      .from(sessions)
      .innerJoin(users, and(eq(users.id, sessions.user_id), users.is_active))
      .leftJoin(members, and(eq(members.org_id, sessions.org_id), eq(members.user_id, sessions.user_id)))
      .leftJoin(organizations, eq(organizations.id, members.org_id))
      .where(
        and(
          eq(sessions.id, sql.placeholder('id')),
          isNull(sessions.revoked_at),
          gt(sessions.expires_at, sql`now()`),
          or(isNull(sessions.org_id), organizations.is_active),
        ),
      )
      .prepare(name),
  )
  const [found] = await statement.execute({ id: sessionId })
  return found
}

type NewAccount = { email: string; username: string | null; full_name: string | null; password_hash: string }

/**
 * Makes a user and the organisation he owns.
 * @throws Problem `email_taken` or `username_taken`
 */
export const register = (scope: TenantScope, account: NewAccount, organizationName: string): Promise<User> =>
  withConstraints({ users_email: emailTaken, users_username: usernameTaken }, () =>
    scope.db.transaction(async (db) => {
      // First, so that the answer to a taken username tells nothing of the address.
      if (account.username !== null && (await findAccount(db, account.username))) throw usernameTaken()
      const [user] = await db
        .insert(users)
        .values({ id: uuidv7(), ...account })
        .returning()
      const org_id = uuidv7()
      const owner = user as NonNullable<typeof user>
      const code = await freeCode(db, organizationName)
      await db.insert(organizations).values({ id: org_id, name: organizationName, code, contact_email: account.email })
      await db.insert(members).values({ org_id, id: uuidv7(), user_id: owner.id, roles: ['owner'] })
      const events = { ...scope, db, org_id, actor: { ...scope.actor, user_id: owner.id } }
      await recordEvent(events, {
        action: 'user.registered',
        subject_type: 'user',
        subject_id: owner.id,
        after: { email: account.email },
      })
      await recordEvent(events, {
        action: 'organization.created',
        subject_type: 'organization',
        subject_id: org_id,
        after: { name: organizationName, code },
      })
      return owner
    }),
  )

const emailTaken = () => new Problem('email_taken', 'An account with this e-mail address exists; sign in instead.')
const usernameTaken = () => new Problem('username_taken', 'This username is taken; choose another.')

async function freeCode(db: Db, name: string): Promise<string> {
  const slug = slugOf(name)
  const [used] = await db.select({ id: organizations.id }).from(organizations).where(eq(organizations.code, slug))
  return used === undefined ? slug : `${slug}-${uuidv7().slice(-8)}`
}

/** @param login a canonical e-mail address, or a username */
export async function findAccount(db: Db, login: string): Promise<Account | undefined> {
  const [account] = await db
    .select({ id: users.id, password_hash: users.password_hash, is_active: users.is_active })
    .from(users)
    .where(or(eq(users.email, login), eq(users.username, login)))
  return account
}

type NewSession = { user_id: string; user_agent: string | null; remember_me: boolean; ttl_s: number; token: string }

/** Signs a user in: the session in his first active organisation, its first refresh token, and the audit event. */
export const createSession = (scope: TenantScope, { user_id, ttl_s, token, ...device }: NewSession): Promise<Session> =>
  scope.db.transaction(async (db) => {
    const [home] = await db
      .select({ org_id: members.org_id })
      .from(members)
      .innerJoin(organizations, and(eq(organizations.id, members.org_id), organizations.is_active))
      .where(eq(members.user_id, user_id))
      .orderBy(members.created_at, members.id)
      .limit(1)
    const session = { id: uuidv7(), user_id, org_id: home?.org_id ?? null }
    await db
      .insert(sessions)
      .values({ ...session, ...device, ip: scope.actor.ip, expires_at: sql`now() + ${ttl_s} * interval '1 second'` })
    await db.insert(refreshTokens).values({ token_hash: sha256(token), session_id: session.id })
    await db.update(users).set({ last_login_at: sql`now()` }).where(eq(users.id, user_id))
    const events = { ...scope, db, org_id: session.org_id ?? platformOrgId, actor: { ...scope.actor, user_id } }
    await recordEvent(events, { action: 'session.created', subject_type: 'session', subject_id: session.id })
    return session
  })

/** A sign-in that was refused; the account is named only where there is one. */
export const recordRefusal = (scope: TenantScope, account: Account | undefined) =>
  recordEvent(scope, { action: 'session.refused', subject_type: 'user', subject_id: account?.id ?? null })

/** What became of a refresh token: exchanged (perhaps by a parallel request just now), unknown, or stolen. */
export type Exchange =
  | { outcome: 'exchanged'; session: Session }
  | { outcome: 'unknown' }
  | { outcome: 'reused'; session: Session }

/**
 * Uses a refresh token up and stores its successor. A token that was used before and comes again after the
 * grace ends the whole session: either its owner or a thief holds a newer one, and nobody can tell which.
 */
export const exchangeToken = (
  scope: TenantScope,
  token: string,
  successor: string,
  ttlS: number,
  rememberS: number,
): Promise<Exchange> =>
  scope.db.transaction(async (db) => {
    const [found] = await db
      .select({
        id: sessions.id,
        user_id: sessions.user_id,
        org_id: sessions.org_id,
        live: sql<boolean>`${sessions.revoked_at} is null and ${sessions.expires_at} > now() and ${users.is_active}`,
        used: sql<boolean>`${refreshTokens.used_at} is not null`,
        late: sql<boolean>`${refreshTokens.used_at} < now() - ${refreshGraceS} * interval '1 second'`,
      })
      .from(refreshTokens)
      .innerJoin(sessions, eq(sessions.id, refreshTokens.session_id))
      .innerJoin(users, eq(users.id, sessions.user_id))
      .where(eq(refreshTokens.token_hash, sha256(token)))
      .for('update', { of: refreshTokens })
    if (!found?.live) return { outcome: 'unknown' }
    const session = { id: found.id, user_id: found.user_id, org_id: found.org_id }
    if (found.late) {
      await endSession(
        { ...scope, db, actor: { ...scope.actor, user_id: session.user_id } },
        session,
        'refresh_token_reuse',
      )
      return { outcome: 'reused', session }
    }
    if (!found.used) {
      await db
        .update(refreshTokens)
        .set({ used_at: sql`now()` })
        .where(eq(refreshTokens.token_hash, sha256(token)))
      await db.insert(refreshTokens).values({ token_hash: sha256(successor), session_id: session.id })
      const ttl = sql`case when ${sessions.remember_me} then ${rememberS}::int else ${ttlS}::int end`
      await db
        .update(sessions)
        .set({ last_seen_at: sql`now()`, expires_at: sql`now() + ${ttl} * interval '1 second'` })
        .where(eq(sessions.id, session.id))
    }
    return { outcome: 'exchanged', session }
  })

/** Ends a session, tells every instance, and records why. */
export async function endSession(scope: TenantScope, session: Session, reason: string): Promise<void> {
  await scope.db.transaction(async (db) => {
    await db
      .update(sessions)
      .set({ revoked_at: sql`now()`, revoked_reason: reason })
      .where(and(eq(sessions.id, session.id), isNull(sessions.revoked_at)))
    await notifyAccess(db, `session:${session.id}`)
    const events = { ...scope, db, org_id: session.org_id ?? platformOrgId }
    await recordEvent(events, {
      action: 'session.ended',
      subject_type: 'session',
      subject_id: session.id,
      after: { reason },
    })
  })
}

export async function getMe({ db, org_id }: TenantScope, userId: string) {
  const user: User = oneOr404(await db.select().from(users).where(eq(users.id, userId)))
  const [organization] = await db
    .select({ id: organizations.id, name: organizations.name, code: organizations.code })
    .from(organizations)
    .where(eq(organizations.id, org_id))
  return { user, organization: organization ?? null }
}

/** Makes the first superuser and the organisation he owns, unless the account is there. @returns whether it was made */
export async function ensureSuperuser(db: Db, account: NewAccount, organizationName: string): Promise<boolean> {
  const actor = { user_id: null, principal: 'system', request_id: 'start', ip: '' }
  return db.transaction(async (handle) => {
    await handle.execute(sql`select pg_advisory_xact_lock(hashtext('tenon first superuser'))`)
    if (await findAccount(handle, account.email)) return false
    const { id } = await register({ db: handle, org_id: platformOrgId, actor }, account, organizationName)
    await handle.update(users).set({ is_superuser: true, email_verified_at: sql`now()` }).where(eq(users.id, id))
    return true
  })
}

/** Whether any superuser exists. */
export async function hasSuperuser(db: Db): Promise<boolean> {
  const found = await db.select({ id: users.id }).from(users).where(eq(users.is_superuser, true)).limit(1)
  return found.length > 0
}
