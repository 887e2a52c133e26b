import { and, eq, gt, isNull, or, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { Db } from '../../../db/client.ts'
import { prepared } from '../../../db/prepared.ts'
import { apiKeys, sessions } from '../../../db/tables/identity.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'

/** Seconds for which a session counts as just proved again. */
export const stepUpS = 600

/** The permissions of those roles that the organisation made itself. */
const customPermissions = sql<string[] | null>`(
  select array_agg(distinct permission) from roles, unnest(roles.permissions) permission
  where roles.org_id = ${members.org_id} and roles.name = any(${members.roles}))`

/** The superuser who acts as the session's user. */
const impersonators = alias(users, 'impersonators')

const shared = {
  roles: members.roles,
  custom_permissions: customPermissions,
  is_superuser: users.is_superuser,
  email_verified_at: users.email_verified_at,
  policy: organizations.settings,
}

const openOrganization = and(organizations.is_active, isNull(organizations.deleted_at))

/** When the organisation's policy ends a session, whatever its own times say; null where it does not. */
export const policyEnd = sql`${sessions.created_at} + (${organizations.settings} ->> 'session_lifetime_s')::int * interval '1 second'`

/** What the check of a session asks on a cache miss: the session while it lives, with its user and his roles. */
export async function findSessionAccess(db: Db, id: string) {
  const statement = prepared(db, 'find_session_access', (handle, name) =>
    handle
      .select({
        ...shared,
        session_id: sessions.id,
        user_id: sessions.user_id,
        org_id: sessions.org_id,
        impersonator_id: sessions.impersonator_id,
        mfa: sessions.mfa,
        stepped_up_s: sql<number>`coalesce(extract(epoch from ${sessions.stepped_up_at} + ${sql.raw(String(stepUpS))} * interval '1 second' - now()), 0)::float8`,
        expires_in_s: sql<number>`extract(epoch from least(${sessions.expires_at}, ${sessions.ends_at}, ${policyEnd}) - now())::float8`,
      })
      .from(sessions)
      .innerJoin(users, and(eq(users.id, sessions.user_id), users.is_active))
      .leftJoin(
        members,
        and(eq(members.org_id, sessions.org_id), eq(members.user_id, sessions.user_id), members.is_active),
      )
      .leftJoin(organizations, eq(organizations.id, members.org_id))
      .leftJoin(impersonators, eq(impersonators.id, sessions.impersonator_id))
      .where(
        and(
          eq(sessions.id, sql.placeholder('id')),
          isNull(sessions.revoked_at),
          gt(sql`least(${sessions.expires_at}, ${sessions.ends_at}, ${policyEnd})`, sql`now()`),
          or(isNull(sessions.org_id), openOrganization),
          or(isNull(sessions.impersonator_id), and(impersonators.is_active, impersonators.is_superuser)),
        ),
      )
      .prepare(name),
  )
  const [found] = await statement.execute({ id })
  return found
}

/** The same for an API key: it lives while its maker is an active member. */
export async function findKeyAccess(db: Db, hash: Buffer) {
  const statement = prepared(db, 'find_key_access', (handle, name) =>
    handle
      .select({
        ...shared,
        api_key_id: apiKeys.id,
        user_id: apiKeys.created_by,
        org_id: apiKeys.org_id,
        key_permissions: apiKeys.permissions,
        key_networks: apiKeys.ip_allowlist,
        rate_limit: apiKeys.rate_limit,
        expires_in_s: sql<number>`extract(epoch from coalesce(${apiKeys.expires_at}, now() + interval '1 day') - now())::float8`,
      })
      .from(apiKeys)
      .innerJoin(users, and(eq(users.id, apiKeys.created_by), users.is_active))
      .innerJoin(
        members,
        and(eq(members.org_id, apiKeys.org_id), eq(members.user_id, apiKeys.created_by), members.is_active),
      )
      .innerJoin(organizations, and(eq(organizations.id, apiKeys.org_id), openOrganization))
      .where(
        and(
          eq(apiKeys.key_hash, sql.placeholder('hash')),
          isNull(apiKeys.revoked_at),
          or(isNull(apiKeys.expires_at), gt(apiKeys.expires_at, sql`now()`)),
        ),
      )
      .prepare(name),
  )
  const [found] = await statement.execute({ hash })
  return found
}
