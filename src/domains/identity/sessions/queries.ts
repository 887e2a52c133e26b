import { and, eq, isNull, type SQL, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { refreshTokens, sessions } from '../../../db/tables/identity.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { sha256 } from '../../../lib/crypto.ts'
import { refreshGraceS } from './rules.ts'

const secondsAhead = (seconds: SQL) => sql`now() + ${seconds} * interval '1 second'`

export type Session = { id: string; user_id: string; org_id: string | null }

type NewSession = {
  user_id: string
  /** Its first refresh token. */
  token: string
  user_agent: string | null
  device: string | null
  remember_me: boolean
  mfa: boolean
  /** Until it ends unless it is refreshed, and until it ends in any case. */
  ttl_s: number
  max_ttl_s: number
  impersonator_id?: string
}

/** Signs a user in: the session in his first active organisation, its first refresh token, and the audit event. */
export const createSession = (
  scope: TenantScope,
  { user_id, ttl_s, max_ttl_s, token, ...device }: NewSession,
): Promise<Session> =>
  scope.db.transaction(async (db) => {
    const [home] = await db
      .select({ org_id: members.org_id })
      .from(members)
      .innerJoin(
        organizations,
        and(eq(organizations.id, members.org_id), organizations.is_active, isNull(organizations.deleted_at)),
      )
      .where(and(eq(members.user_id, user_id), members.is_active))
      .orderBy(members.created_at, members.id)
      .limit(1)
    const session = { id: uuidv7(), user_id, org_id: home?.org_id ?? null }
    await db.insert(sessions).values({
      ...session,
      ...device,
      ip: scope.actor.ip,
      expires_at: secondsAhead(sql`least(${ttl_s}::int, ${max_ttl_s}::int)`),
      ends_at: secondsAhead(sql`${max_ttl_s}::int`),
    })
    await db.insert(refreshTokens).values({ token_hash: sha256(token), session_id: session.id })
    await db.update(users).set({ last_login_at: sql`now()` }).where(eq(users.id, user_id))
    const events = { ...scope, db, org_id: session.org_id ?? platformOrgId, actor: { ...scope.actor, user_id } }
    await recordEvent(events, { action: 'session.created', subject_type: 'session', subject_id: session.id })
    return session
  })

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
        live: sql<boolean>`${sessions.revoked_at} is null and least(${sessions.expires_at}, ${sessions.ends_at}) > now() and ${users.is_active}`,
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
        .set({ last_seen_at: sql`now()`, expires_at: sql`least(${secondsAhead(ttl)}, ${sessions.ends_at})` })
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
