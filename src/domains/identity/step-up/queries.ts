import { eq, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { sessions } from '../../../db/tables/identity.ts'
import type { Keys } from '../../../lib/crypto.ts'
import { useCode } from '../totp/queries.ts'

/**
 * Marks one session as just proved, and uses up the code that proved it.
 * @param code undefined where the password did
 * @throws Problem `invalid_code`
 */
export const stepUp = (
  scope: TenantScope,
  keys: Keys,
  session: { id: string; user_id: string },
  code: string | undefined,
): Promise<void> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    if (code !== undefined) await useCode(inside, keys, session.user_id, code)
    await db.update(sessions).set({ stepped_up_at: sql`now()` }).where(eq(sessions.id, session.id))
    await notifyAccess(db, `session:${session.id}`)
    await recordEvent(inside, { action: 'session.stepped_up', subject_type: 'session', subject_id: session.id })
  })

/** A proof that failed. */
export const recordFailedProof = (scope: TenantScope, sessionId: string) =>
  recordEvent(scope, { action: 'session.step_up_refused', subject_type: 'session', subject_id: sessionId })
