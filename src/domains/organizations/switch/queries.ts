import { and, eq, isNull } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { sessions } from '../../../db/tables/identity.ts'
import { notFound } from '../../../lib/errors.ts'
import { findMembership, summaryOf } from '../organizations/queries.ts'
import { type Caller, statusOf } from '../organizations/rules.ts'

/**
 * Moves the session into another organisation of its user; what that one's policy asks is asked from the next request
 * on. Each of the two organisations gets an event that does not name the other.
 * @throws Problem `not_found` for an organisation that is not his, or not active
 */
export const switchOrganization = (scope: TenantScope, caller: Caller, orgId: string) =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db, org_id: orgId }
    const { organization, roles } = await findMembership(inside, caller, orgId)
    if (statusOf(organization) !== 'active') throw notFound()
    const { session_id, user_id } = caller
    const moved = await db
      .update(sessions)
      .set({ org_id: orgId })
      .where(and(eq(sessions.id, session_id), isNull(sessions.revoked_at)))
      .returning({ id: sessions.id })
    if (moved.length === 0) throw notFound()
    const event = { subject_type: 'session', subject_id: session_id }
    if (scope.org_id !== platformOrgId) await recordEvent({ ...scope, db }, { ...event, action: 'session.left' })
    await recordEvent(inside, { ...event, action: 'session.entered' })
    await notifyAccess(db, `session:${session_id}`)
    return { session: { id: session_id, user_id, org_id: orgId }, organization: summaryOf(inside, organization, roles) }
  })
