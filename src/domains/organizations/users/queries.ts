import { and, eq, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import { passwordChanged } from '../../../db/credentials.ts'
import { withConstraints } from '../../../db/errors.ts'
import { cancelInvitations } from '../../../db/invitations.ts'
import { containsText, listPage } from '../../../db/list.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { members } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { changeHeld, changingMembers, type HeldMember, heldMember, holdsRole } from '../members/queries.ts'
import type { Manager } from '../members/rules.ts'
import { rolesHere } from '../roles/queries.ts'
import { accountFault, isOwnAccount } from './rules.ts'
import type { OrganizationUser, OrganizationUserQuery, UserBulk } from './schemas.ts'

const joins = eq(users.id, members.user_id)
const isActive = sql<boolean>`(${users.is_active} and ${members.is_active})`

/** A user as this organisation sees him. Account and membership only ever rise in version, so their sum is one. */
const columns = {
  id: users.id,
  email: users.email,
  username: users.username,
  full_name: users.full_name,
  locale: users.locale,
  is_active: isActive,
  roles: members.roles,
  managed: members.managed,
  email_verified_at: users.email_verified_at,
  last_login_at: users.last_login_at,
  version: sql<number>`${users.version} + ${members.version}`,
  created_at: members.created_at,
  updated_at: sql<string>`greatest(${users.updated_at}, ${members.updated_at})`,
}

const list = {
  name: 'users',
  table: members,
  sorts: { created_at: members.created_at },
  filters: {
    is_active: (value: unknown) => sql`${isActive} = ${value}::boolean`,
    role: holdsRole,
    q: containsText(users.email, users.username, users.full_name),
  },
  joined: { table: users, on: joins, columns, id: members.user_id },
}

export const listUsers = (scope: TenantScope, query: OrganizationUserQuery) =>
  listPage<typeof members, OrganizationUser>(scope, list, query)

export async function getUser(scope: TenantScope, id: string): Promise<OrganizationUser> {
  const mine = and(owned(members, scope), eq(members.user_id, id))
  return oneOr404(await scope.db.select(columns).from(members).innerJoin(users, joins).where(mine))
}

type NewUser = { email: string; username: string | null; full_name: string | null; password_hash: string; role: string }

/**
 * Makes an account that this organisation manages, and its membership.
 * @param verify mail the address a link that verifies it
 * @throws Problem `email_taken` or `username_taken`
 */
export const createUser = (scope: TenantScope, user: NewUser, verify: boolean): Promise<OrganizationUser> =>
  withConstraints({ users_email: emailTaken, users_username: usernameTaken }, () =>
    scope.db.transaction(async (db) => {
      const { role, ...account } = user
      const inside = { ...scope, db }
      const id = uuidv7()
      const membership = { org_id: scope.org_id, id: uuidv7(), user_id: id, roles: [role], managed: true }
      await db.insert(users).values({ id, ...account })
      await db.insert(members).values(membership)
      const { email, username, full_name } = account
      const after = { email, username, full_name, roles: [role] }
      await recordEvent(inside, { action: 'user.created', subject_type: 'user', subject_id: id, after })
      await cancelInvitations(inside, { email })
      if (verify) await enqueueMail(db, { template: 'verify_email', recipient: email })
      return getUser(inside, id)
    }),
  )

const emailTaken = () => new Problem('email_taken', 'Another account has this e-mail address.')
const usernameTaken = () => new Problem('username_taken', 'Another account has this username; choose another.')

export type UserPatch = {
  profile: { full_name?: string | null; username?: string | null; locale?: string | null }
  membership: { roles?: string[]; is_active?: boolean }
  password_hash?: string | undefined
}

/**
 * Changes a user's profile and his membership.
 * @throws Problem when the caller may not, or the version is another
 */
export const updateUser = (
  scope: TenantScope,
  manager: Manager,
  id: string,
  { profile, membership, password_hash }: UserPatch,
  version?: number,
): Promise<OrganizationUser> =>
  withConstraints({ users_username: usernameTaken }, () =>
    changingMembers(scope, 'user_id', [id], async (inside, held) => {
      const target = heldMember(held, 'user_id', id)
      const account = await holdAccount(inside, target, version)
      const changes = { ...profile, ...(password_hash !== undefined && { password_hash }) }
      if (Object.keys(changes).length > 0) {
        const { permissions } = await rolesHere(inside, target.roles)
        const fault = accountFault(manager, account, password_hash !== undefined, permissions)
        if (fault) throw fault
        await changeAccount(inside, account, changes)
      }
      if (Object.keys(membership).length > 0) await changeHeld(inside, manager, held, target, membership)
      return getUser(inside, id)
    }),
  )

/**
 * The account of a held member, held too, so that it joins no other organisation meanwhile.
 * @throws Problem `version_mismatch` when account and membership are not as the caller saw them
 */
async function holdAccount({ db, org_id }: TenantScope, member: HeldMember, version?: number) {
  const { user_id, roles, managed } = member
  const [user] = await db.select().from(users).where(eq(users.id, user_id)).for('update')
  const [elsewhere] = await db
    .select({ id: members.id })
    .from(members)
    .where(and(eq(members.user_id, user_id), sql`${members.org_id} <> ${org_id}`))
    .limit(1)
  const { email_verified_at, ...account } = oneOr404(user ? [user] : [])
  if (version !== undefined && version !== account.version + member.version)
    throw new Problem('version_mismatch', 'The user was changed meanwhile; read him again and repeat the change.')
  return {
    ...account,
    user_id,
    roles,
    managed,
    elsewhere: elsewhere !== undefined,
    verified: email_verified_at !== null,
  }
}

type HeldAccount = Awaited<ReturnType<typeof holdAccount>>
type AccountChange = UserPatch['profile'] & { password_hash?: string }

async function changeAccount(scope: TenantScope, account: HeldAccount, changes: AccountChange) {
  const { password_hash, ...profile } = changes
  const names = Object.keys(profile) as (keyof typeof profile)[]
  const differing = names.filter((name) => profile[name] !== account[name])
  const only = (values: AccountChange) => Object.fromEntries(differing.map((name) => [name, values[name] ?? null]))
  await scope.db
    .update(users)
    .set({ ...changes, version: sql`${users.version} + 1`, updated_at: sql`now()` })
    .where(eq(users.id, account.user_id))
  if (differing.length > 0)
    await recordEvent(scope, {
      action: 'user.updated',
      subject_type: 'user',
      subject_id: account.user_id,
      before: only(account),
      after: only(profile),
    })
  if (password_hash !== undefined) await passwordChanged(scope, account, 'user.password_changed')
}

/** Ends the membership, and the account with all its sessions where it is this organisation's alone. */
async function removeHeld(
  scope: TenantScope,
  manager: Manager,
  held: HeldMember[],
  target: HeldMember,
  version?: number,
) {
  const account = await holdAccount(scope, target, version)
  await changeHeld(scope, manager, held, target, { removed: true })
  if (!isOwnAccount(account)) return
  await scope.db.delete(users).where(eq(users.id, target.user_id))
  const { email, username, full_name } = account
  await recordEvent(scope, {
    action: 'user.deleted',
    subject_type: 'user',
    subject_id: target.user_id,
    before: { email, username, full_name },
  })
}

export const deleteUser = (scope: TenantScope, manager: Manager, id: string, version?: number): Promise<void> =>
  changingMembers(scope, 'user_id', [id], (inside, held) =>
    removeHeld(inside, manager, held, heldMember(held, 'user_id', id), version),
  )

/** Changes the memberships of many users, or deletes them. */
export const changeUsers = (
  scope: TenantScope,
  manager: Manager,
  { items, atomic = false }: UserBulk,
): Promise<BulkResult> =>
  changingMembers(
    scope,
    'user_id',
    items.map(({ id }) => id),
    (outside, held) =>
      runBulk(items, atomic, ({ id, delete: remove, ...change }) =>
        // A savepoint: a user whom portfolios refer to cannot be deleted, and the others still can.
        outside.db.transaction(async (db) => {
          const inside = { ...outside, db }
          const target = heldMember(held, 'user_id', id)
          if (remove) await removeHeld(inside, manager, held, target)
          else await changeHeld(inside, manager, held, target, change)
          return id
        }),
      ),
  )
