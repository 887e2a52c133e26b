import { eq, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import { missingReference } from '../../../db/errors.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { sessions } from '../../../db/tables/identity.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { homeOf } from '../sessions/queries.ts'
import type { ImpersonationCreate } from './schemas.ts'

/**
 * Opens a session in which the calling superuser acts as a user. It has no refresh token, and ends with its time, with
 * a sign-out, or with the superuser's rights. Both the platform's trail and the organisation's tell of it.
 * @throws Problem `forbidden` for oneself or a superuser, `invalid_state` for a suspended account
 */
export const impersonate = (
  scope: TenantScope,
  userId: string,
  { reason, minutes, organization_id }: ImpersonationCreate & { minutes: number },
) =>
  scope.db.transaction(async (db) => {
    const { is_active, is_superuser } = oneOr404(await db.select().from(users).where(eq(users.id, userId)).for('share'))
    if (is_superuser) throw new Problem('forbidden', 'Nobody acts as a superuser.')
    if (!is_active) throw new Problem('invalid_state', 'This account is suspended; restore it first.')
    const org_id = await homeOf(db, userId, organization_id)
    if (org_id === null && organization_id !== undefined) throw missingReference('/body/organization_id')()
    const [session] = await db
      .insert(sessions)
      .values({
        id: uuidv7(),
        user_id: userId,
        org_id,
        impersonator_id: scope.actor.user_id,
        ip: scope.actor.ip,
        expires_at: sql`now() + ${minutes} * interval '1 minute'` as never,
        ends_at: sql`now() + ${minutes} * interval '1 minute'` as never,
      })
      .returning({ id: sessions.id, user_id: sessions.user_id, org_id: sessions.org_id, ends_at: sessions.ends_at })
    const made = session as NonNullable<typeof session>
    const after = { reason, session_id: made.id, organization_id: org_id, ends_at: made.ends_at }
    for (const trail of new Set([platformOrgId, org_id ?? platformOrgId]))
      await recordEvent(
        { ...scope, db, org_id: trail },
        { action: 'user.impersonated', subject_type: 'user', subject_id: userId, after },
      )
    return made
  })
