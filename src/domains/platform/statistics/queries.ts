import { sql } from 'drizzle-orm'
import type { Db } from '../../../db/client.ts'
import { auditEvents, auditQueue } from '../../../db/tables/audit.ts'
import { apiKeys, mailOutbox, sessions } from '../../../db/tables/identity.ts'
import { imports } from '../../../db/tables/imports.ts'
import { organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import type { PlatformStatistics } from './schemas.ts'

/** How much of everything there is, in one statement, so that the figures are of one moment. */
export async function readStatistics(db: Db): Promise<PlatformStatistics> {
  const [row] = await db.execute<PlatformStatistics>(sql`
    select
      (select json_build_object('total', count(*), 'active', count(*) filter (where is_active),
          'superusers', count(*) filter (where is_superuser and is_active),
          'second_factor', count(*) filter (where totp_confirmed_at is not null)) from ${users}) as users,
      (select json_build_object('active', count(*) filter (where deleted_at is null and is_active),
          'suspended', count(*) filter (where deleted_at is null and not is_active),
          'deleted', count(*) filter (where deleted_at is not null)) from ${organizations}) as organizations,
      (select count(*) from ${sessions} where revoked_at is null and least(expires_at, ends_at) > now()) as sessions,
      (select count(*) from ${apiKeys} where revoked_at is null and coalesce(expires_at > now(), true)) as api_keys,
      (select coalesce(json_agg(json_build_object('day', day, 'events', events) order by day), '[]') from (
          select (created_at at time zone 'UTC')::date as day, count(*) as events from ${auditEvents}
          where created_at >= (now() at time zone 'UTC')::date - 6 group by day) days) as events_per_day,
      (select count(*) from ${auditQueue}) as audit_unsealed,
      (select json_build_object('waiting', count(*) filter (where outcome is null),
          'failed', count(*) filter (where outcome = 'failed')) from ${mailOutbox}) as mail,
      (select coalesce(json_object_agg(status, imports), '{}') from (
          select status, count(*) as imports from ${imports} group by status) by_status) as imports,
      pg_database_size(current_database()) as database_bytes,
      to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as measured_at`)
  return row as PlatformStatistics
}
