import { and, eq, sql, TransactionRollbackError } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import { clientOf, type Db } from '../../../db/client.ts'
import { withConstraints } from '../../../db/errors.ts'
import { acceptInvitation } from '../../../db/invitations.ts'
import { peekToken } from '../../../db/mail-tokens.ts'
import { insertOrganization } from '../../../db/organizations.ts'
import { enqueueMail, type Mail } from '../../../db/outbox.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { mailTokens } from '../../../db/tables/identity.ts'
import { users } from '../../../db/tables/users.ts'
import { Problem } from '../../../lib/errors.ts'

export type NewAccount = { email: string; username: string | null; full_name: string | null; password_hash: string }

type User = typeof users.$inferSelect

/**
 * Makes a user and the organisation he owns, and mails him a link to verify his address.
 * @throws Problem `email_taken` or `username_taken`
 */
export const register = (scope: TenantScope, account: NewAccount, organizationName: string): Promise<User> =>
  withConstraints(conflicts, () =>
    scope.db.transaction(async (db) => {
      await refuseTakenUsername(db, account.username)
      const user = await makeOwner({ ...scope, db }, account, organizationName)
      await enqueueMail(db, { template: 'verify_email', recipient: account.email })
      return user
    }),
  )

/**
 * The same where addresses must be verified: nobody learns whether an address is known, but its reader. For a known one
 * the same account is made under a name that nobody has, and undone, so that both take as long.
 * @throws Problem `username_taken`
 */
export const registerUnverified = (scope: TenantScope, account: NewAccount, organizationName: string): Promise<void> =>
  withConstraints(conflicts, () =>
    scope.db.transaction(async (db) => {
      await refuseTakenUsername(db, account.username)
      const known = await findKnown(db, account.email)
      const stand_in = { ...account, email: `${uuidv7()}@invalid`, username: null }
      await db
        .transaction(async (trial) => {
          await makeOwner({ ...scope, db: trial }, known === undefined ? account : stand_in, organizationName)
          if (known !== undefined) trial.rollback()
        })
        .catch(ignoreRollback)
      const older = and(eq(mailTokens.purpose, 'verify_email'), eq(mailTokens.email, account.email))
      await db.delete(mailTokens).where(older)
      await enqueueMail(db, mailFor(known, account, scope.actor.ip))
    }),
  ).catch(ignoreTaken)

/**
 * Makes a user and a member of the organisation that invited him. The link came to his address, so that is verified.
 * @throws Problem `mail_token_invalid`, `invitation_mismatch`, `email_taken` or `username_taken`
 */
export const registerInvited = (scope: TenantScope, account: NewAccount, token: string): Promise<User> =>
  withConstraints(conflicts, () =>
    scope.db.transaction(async (db) => {
      // Before anything tells of the address: only its reader may learn whether it has an account.
      const { email } = await peekToken(db, 'invitation', token)
      if (email !== account.email)
        throw new Problem(
          'invitation_mismatch',
          'This invitation is for another e-mail address; register with that one.',
        )
      await refuseTakenUsername(db, account.username)
      const user = await makeUser(db, account, true)
      const { org_id } = await acceptInvitation({ ...scope, db }, token, user)
      await recordRegistration({ ...scope, db, org_id }, user)
      return user
    }),
  )

/** Makes a user and the organisation he owns, in the caller's transaction. */
export async function makeOwner(scope: TenantScope, account: NewAccount, organizationName: string): Promise<User> {
  const { db } = scope
  const user = await makeUser(db, account, false)
  const inside = { ...scope, actor: { ...scope.actor, user_id: user.id } }
  const organization = { name: organizationName, contact_email: account.email }
  const { id: org_id } = await insertOrganization(inside, user.id, organization)
  await recordRegistration({ ...scope, org_id }, user)
  return user
}

async function makeUser(db: Db, account: NewAccount, verified: boolean): Promise<User> {
  const email_verified_at = verified ? sql`now()` : null
  const [user] = await db
    .insert(users)
    .values({ id: uuidv7(), ...account, email_verified_at })
    .returning()
  return user as User
}

const recordRegistration = (scope: TenantScope, { id, email }: User) =>
  recordEvent(
    { ...scope, actor: { ...scope.actor, user_id: id } },
    { action: 'user.registered', subject_type: 'user', subject_id: id, after: { email } },
  )

type Known = { verified: boolean; alone: boolean }

/** Who has the address, and whether he shares no organisation with anybody. */
async function findKnown(db: Db, email: string): Promise<Known | undefined> {
  const [known] = await clientOf(db)<Known[]>`
    select email_verified_at is not null as verified, not exists (
        select from members mine join members other on other.org_id = mine.org_id and other.user_id <> mine.user_id
        where mine.user_id = users.id) as alone
    from users where email = ${email}`
  return known
}

/**
 * Of several who registered an address that nobody has verified, the link decides: it brings the password of its own
 * registration. An account that an organisation made keeps the password it was given, or anybody could bring his.
 */
function mailFor(known: Known | undefined, { email, password_hash }: NewAccount, ip: string): Mail {
  if (known?.verified) return { template: 'already_registered', recipient: email }
  const data = known?.alone ? { password_hash, ip } : {}
  return { template: 'verify_email', recipient: email, data }
}

/** First of all, so that the answer to a taken username tells nothing of the address. */
async function refuseTakenUsername(db: Db, username: string | null): Promise<void> {
  if (username === null) return
  const [user] = await db.select({ id: users.id }).from(users).where(eq(users.username, username))
  if (user !== undefined) throw usernameTaken()
}

const emailTaken = () => new Problem('email_taken', 'An account with this e-mail address exists; sign in instead.')
export const usernameTaken = () => new Problem('username_taken', 'This username is taken; choose another.')
const conflicts = { users_email: emailTaken, users_username: usernameTaken }

const ignoreRollback = (error: unknown) => {
  if (!(error instanceof TransactionRollbackError)) throw error
}

/** Two registrations of one address at once: the other one has mailed already. */
const ignoreTaken = (error: unknown) => {
  if (!(error instanceof Problem) || error.code !== 'email_taken') throw error
}
