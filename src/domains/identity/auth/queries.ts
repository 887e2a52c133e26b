import { eq, or, sql } from 'drizzle-orm'
import { recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { prepared } from '../../../db/prepared.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404 } from '../../../lib/errors.ts'
import { makeOwner, type NewAccount } from '../registration/queries.ts'

export type Account = {
  id: string
  email: string
  password_hash: string
  is_active: boolean
  /** Whether a second factor is set up. */
  totp: boolean
}

/** Whether a second factor is set up. */
const hasFactor = sql<boolean>`${users.totp_confirmed_at} is not null`

const accountColumns = {
  id: users.id,
  email: users.email,
  password_hash: users.password_hash,
  is_active: users.is_active,
  totp: hasFactor,
}

/** @param login a canonical e-mail address, or a username */
export async function findAccount(db: Db, login: string): Promise<Account | undefined> {
  const statement = prepared(db, 'find_account', (db, name) => {
    const given = sql.placeholder('login')
    return db
      .select(accountColumns)
      .from(users)
      .where(or(eq(users.email, given), eq(users.username, given)))
      .prepare(name)
  })
  const [account] = await statement.execute({ login })
  return account
}

/** The account of a signed-in user. @throws Problem `not_found` */
export async function getAccount(db: Db, userId: string): Promise<Account> {
  return oneOr404(await db.select(accountColumns).from(users).where(eq(users.id, userId)))
}

/** A sign-in that was refused; the account is named only where there is one. */
export const recordRefusal = (scope: TenantScope, account: Account | undefined) =>
  recordEvent(scope, { action: 'session.refused', subject_type: 'user', subject_id: account?.id ?? null })

/** Makes the first superuser and the organisation he owns, unless the account is there. @returns whether it was made */
export async function ensureSuperuser(db: Db, account: NewAccount, organizationName: string): Promise<boolean> {
  const actor = { user_id: null, principal: 'system', request_id: 'start', ip: '' }
  return db.transaction(async (handle) => {
    await handle.execute(sql`select pg_advisory_xact_lock(hashtext('tenon first superuser'))`)
    if (await findAccount(handle, account.email)) return false
    const { id } = await makeOwner({ db: handle, org_id: platformOrgId, actor }, account, organizationName)
    await handle.update(users).set({ is_superuser: true, email_verified_at: sql`now()` }).where(eq(users.id, id))
    return true
  })
}

/** Whether any superuser exists. */
export async function hasSuperuser(db: Db): Promise<boolean> {
  const found = await db.select({ id: users.id }).from(users).where(eq(users.is_superuser, true)).limit(1)
  return found.length > 0
}
