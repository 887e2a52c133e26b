import { and, eq, inArray, isNull, ne, type SQL, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import { clientOf, type Db } from '../../../db/client.ts'
import { listPage } from '../../../db/list.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import { purgeRows } from '../../../db/purge.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { refreshTokens, sessions } from '../../../db/tables/identity.ts'
import { organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { sha256 } from '../../../lib/crypto.ts'
import { oneOr404 } from '../../../lib/errors.ts'
import { newId } from '../../../lib/ids.ts'
import type { Page } from '../../../lib/page.ts'
import { policyEnd } from '../access/queries.ts'
import { refreshGraceS } from './rules.ts'
import type { AuthSession, SessionQuery } from './schemas.ts'

const secondsAhead = (seconds: SQL) => sql`now() + ${seconds} * interval '1 second'`

/** Neither ended nor past any of its times, the organisation's own included. */
const live = sql`${sessions.revoked_at} is null and least(${sessions.expires_at}, ${sessions.ends_at}) > now() and not exists (
  select from ${organizations} where ${organizations.id} = ${sessions.org_id} and ${policyEnd} <= now())`

export type Session = { id: string; user_id: string; org_id: string | null }

export type NewSession = {
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
}

/**
 * Signs a user in, in the caller's transaction: the session in his first active organisation, its first refresh token,
 * and the audit event. He is told by mail when he never had a session on this device, but had others; the caller holds
 * the user's row, so that of two sign-ins at once the later one knows the device.
 */
export async function createSession(
  scope: TenantScope,
  { user_id, ttl_s, max_ttl_s, token, ...details }: NewSession,
): Promise<Session> {
  const client = clientOf(scope.db)
  const { user_agent, device, remember_me, mfa } = details
  const { ip } = scope.actor
  const end = client`now() + ${max_ttl_s}::int * interval '1 second'`
  const [session] = await client<Session[]>`
    with seen as (
      select count(*) as sessions, count(*) filter (where device is not distinct from ${device}::text) as here
      from sessions where user_id = ${user_id} and impersonator_id is null),
    signed as (update users set last_login_at = now() where id = ${user_id} returning email),
    notice as (
      insert into mail_outbox (id, template, recipient, data)
      select ${newId()}::uuid, 'new_device', email,
        jsonb_build_object('device', ${device}::text, 'ip', ${ip}::text, 'at', now())
      from signed, seen where sessions > 0 and here = 0),
    session as (
      insert into sessions (id, user_id, org_id, user_agent, device, ip, remember_me, mfa, expires_at, ends_at)
      select ${newId()}::uuid, ${user_id}::uuid, (${homeOfUser(scope.db, user_id)}), ${user_agent}, ${device}, ${ip},
        ${remember_me}::boolean, ${mfa}::boolean, least(now() + ${ttl_s}::int * interval '1 second', ${end}), ${end}
      returning id, user_id, org_id),
    token as (insert into refresh_tokens (token_hash, session_id) select ${sha256(token)}::bytea, id from session)
    select id, user_id, org_id from session`
  if (session === undefined) throw new Error('an insert returned no row')
  const events = { ...scope, org_id: session.org_id ?? platformOrgId, actor: { ...scope.actor, user_id } }
  await recordEvent(events, { action: 'session.created', subject_type: 'session', subject_id: session.id })
  return session
}

/** The organisation a user's session begins in: this one, or his first active one; null where he is not in it. */
export async function homeOf(db: Db, userId: string, orgId?: string): Promise<string | null> {
  const [home] = await homeOfUser(db, userId, orgId)
  return home?.org_id ?? null
}

function homeOfUser(db: Db, userId: string, orgId?: string) {
  const client = clientOf(db)
  return client<{ org_id: string }[]>`
    select m.org_id from members m
      join organizations o on o.id = m.org_id and o.is_active and o.deleted_at is null
    where m.user_id = ${userId} and m.is_active ${orgId === undefined ? client`` : client`and m.org_id = ${orgId}`}
    order by m.created_at, m.id limit 1`
}

/** What became of a refresh token: exchanged (perhaps by a parallel request just now), unknown, or stolen. */
export type Exchange =
  | { outcome: 'exchanged'; session: Session; successor: string }
  | { outcome: 'unknown' }
  | { outcome: 'reused'; session: Session }

/**
 * Uses a refresh token up and stores its successor. A token that was used before and comes again after the
 * grace ends the whole session: either its owner or a thief holds a newer one, and nobody can tell which.
 * @param successors what each key makes of the token, the present key's first
 */
export const exchangeToken = (
  scope: TenantScope,
  token: string,
  successors: readonly string[],
  ttlS: number,
  rememberS: number,
): Promise<Exchange> =>
  scope.db.transaction(async (db) => {
    const [found] = await db
      .select({
        id: sessions.id,
        user_id: sessions.user_id,
        org_id: sessions.org_id,
        email: users.email,
        device: sessions.device,
        at: sql<string>`now()`,
        live: sql<boolean>`${live} and ${users.is_active}`,
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
      const data = { device: found.device, ip: scope.actor.ip, at: found.at }
      await enqueueMail(db, { template: 'token_theft', recipient: found.email, data })
      return { outcome: 'reused', session }
    }
    if (found.used) {
      const successor = await storedOf(db, session.id, successors)
      return successor === undefined ? { outcome: 'unknown' } : { outcome: 'exchanged', session, successor }
    }
    const successor = successors[0] as string
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
    return { outcome: 'exchanged', session, successor }
  })

/** Which of these tokens the session was given: the parallel request may have made its successor with another key. */
async function storedOf(db: Db, sessionId: string, tokens: readonly string[]): Promise<string | undefined> {
  const stored = await db
    .select({ hash: refreshTokens.token_hash })
    .from(refreshTokens)
    .where(and(eq(refreshTokens.session_id, sessionId), inArray(refreshTokens.token_hash, tokens.map(sha256))))
  return tokens.find((token) => stored.some(({ hash }) => hash.equals(sha256(token))))
}

/** Ends a session, tells every instance, and records why; one that has ended already stays as it is. */
export async function endSession(scope: TenantScope, session: Session, reason: string): Promise<void> {
  await scope.db.transaction(async (db) => {
    const ended = await db
      .update(sessions)
      .set({ revoked_at: sql`now()`, revoked_reason: reason })
      .where(and(eq(sessions.id, session.id), isNull(sessions.revoked_at)))
      .returning({ id: sessions.id })
    if (ended.length === 0) return
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

/**
 * Ends the live sessions of a user, one of them left out perhaps, tells every instance, and records why.
 * @param keep the id of the session that goes on
 * @returns how many ended
 */
export const endSessions = (scope: TenantScope, userId: string, reason: string, keep?: string): Promise<number> =>
  scope.db.transaction(async (db) => {
    const ended = await db
      .update(sessions)
      .set({ revoked_at: sql`now()`, revoked_reason: reason })
      .where(and(eq(sessions.user_id, userId), live, keep === undefined ? undefined : ne(sessions.id, keep)))
      .returning({ id: sessions.id })
    if (ended.length === 0) return 0
    await notifyAccess(db, `user:${userId}`)
    await recordEvent(
      { ...scope, db },
      {
        action: 'sessions.ended',
        subject_type: 'user',
        subject_id: userId,
        after: { reason, session_ids: ended.map(({ id }) => id) },
      },
    )
    return ended.length
  })

const list = {
  name: 'sessions',
  table: sessions,
  owner: sessions.user_id,
  where: live,
  sorts: { created_at: sessions.created_at },
  filters: {},
}

type Row = typeof sessions.$inferSelect

/** How a session reads to its user. @param current the id of the session he asks with */
const toWire =
  (current: string | null) =>
  (row: Row): AuthSession => ({ ...row, impersonated: row.impersonator_id !== null, current: row.id === current })

/** The live sessions of a user. */
export async function listSessions(
  scope: TenantScope,
  userId: string,
  current: string | null,
  query: SessionQuery,
): Promise<Page<AuthSession>> {
  const page = await listPage<typeof sessions, Row>({ ...scope, org_id: userId }, list, query)
  return { ...page, data: page.data.map(toWire(current)) }
}

/** One live session of a user. @throws Problem `not_found`, also for another's */
export async function getSession({ db }: TenantScope, userId: string, current: string | null, id: string) {
  const mine = and(eq(sessions.id, id), eq(sessions.user_id, userId), live)
  return toWire(current)(oneOr404(await db.select().from(sessions).where(mine)))
}

/** Ends one live session of a user. @throws Problem `not_found`, also for another's */
export async function deleteSession(scope: TenantScope, userId: string, id: string): Promise<void> {
  const mine = and(eq(sessions.id, id), eq(sessions.user_id, userId), live)
  await endSession(scope, oneOr404(await scope.db.select().from(sessions).where(mine)), 'revoked')
}

/**
 * Forgets sessions 90 days after their end, with their refresh tokens, and used tokens 30 days after their use: one
 * that comes back later is refused as unknown, and no longer ends the session it was stolen from.
 * @returns how many sessions
 */
export async function purgeSessions(db: Db): Promise<number> {
  const over = sql`least(${sessions.revoked_at}, ${sessions.expires_at}, ${sessions.ends_at}) < now() - interval '90 days'`
  const gone = await purgeRows(db, sessions, over)
  await purgeRows(db, refreshTokens, sql`${refreshTokens.used_at} < now() - interval '30 days'`)
  return gone
}
