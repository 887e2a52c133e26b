import { eq, or, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { withConstraints } from '../../../db/errors.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { slugOf } from './rules.ts'
import type { User } from './schemas.ts'

export type Account = { id: string; password_hash: string; is_active: boolean }

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

/** A sign-in that was refused; the account is named only where there is one. */
export const recordRefusal = (scope: TenantScope, account: Account | undefined) =>
  recordEvent(scope, { action: 'session.refused', subject_type: 'user', subject_id: account?.id ?? null })

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
