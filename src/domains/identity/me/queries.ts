import { eq, sql } from 'drizzle-orm'
import { recordEvent } from '../../../db/audit.ts'
import { withConstraints } from '../../../db/errors.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { assertVersion, oneOr404 } from '../../../lib/errors.ts'
import { usernameTaken } from '../registration/queries.ts'
import type { UserUpdate } from './schemas.ts'

/** The user, the organisation his credential speaks for, and whether he has a second factor. */
export async function getMe({ db, org_id }: TenantScope, userId: string) {
  const user = oneOr404(await db.select().from(users).where(eq(users.id, userId)))
  const [organization] = await db
    .select({ id: organizations.id, name: organizations.name, code: organizations.code })
    .from(organizations)
    .where(eq(organizations.id, org_id))
  return { user, organization: organization ?? null, totp_enabled: user.totp_confirmed_at !== null }
}

/**
 * Changes the named fields of the caller's profile; a patch without fields changes nothing.
 * @param version the version he saw, or undefined to change whatever is there
 * @throws Problem `username_taken` or `version_mismatch`
 */
export const updateUser = (scope: TenantScope, userId: string, patch: UserUpdate, version?: number): Promise<void> =>
  withConstraints({ users_username: usernameTaken }, () =>
    scope.db.transaction(async (db) => {
      const user = oneOr404(await db.select().from(users).where(eq(users.id, userId)).for('update'))
      assertVersion(user, version)
      const names = Object.keys(patch) as (keyof UserUpdate)[]
      if (names.length === 0) return
      await db
        .update(users)
        .set({ ...patch, version: sql`${users.version} + 1`, updated_at: sql`now()` })
        .where(eq(users.id, userId))
      const changed = names.filter((name) => patch[name] !== user[name])
      const only = (values: UserUpdate) => Object.fromEntries(changed.map((name) => [name, values[name]]))
      await recordEvent(
        { ...scope, db },
        {
          action: 'user.updated',
          subject_type: 'user',
          subject_id: userId,
          before: only(user),
          after: only(patch),
        },
      )
    }),
  )
