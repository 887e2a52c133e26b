import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { notifyAccess } from '../../../db/access.ts'
import { revokeSessions } from '../../../db/credentials.ts'
import { missingReference, withConstraints } from '../../../db/errors.ts'
import { cancelInvitations } from '../../../db/invitations.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { type BuiltInRoles, permissionsOfRoles } from '../../../db/roles.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { assertVersion, invalidField, oneOr404, Problem } from '../../../lib/errors.ts'
import { changeRow, lockRow, lockSuperusers, platformScope, recordFor } from '../shared/queries.ts'
import type { PlatformUser, PlatformUserBulk, PlatformUserQuery, PlatformUserSummary } from './schemas.ts'

const columns = {
  id: users.id,
  email: users.email,
  username: users.username,
  full_name: users.full_name,
  is_active: users.is_active,
  is_superuser: users.is_superuser,
  second_factor: sql<boolean>`${users.totp_confirmed_at} is not null`,
  email_verified_at: users.email_verified_at,
  last_login_at: users.last_login_at,
  locale: users.locale,
  version: users.version,
  created_at: users.created_at,
  updated_at: users.updated_at,
}

const list = {
  name: 'platform_users',
  table: users,
  owner: null,
  columns,
  sorts: { created_at: users.created_at, email: users.email, last_login_at: users.last_login_at },
  filters: {
    q: containsText(users.email, users.username, users.full_name),
    is_active: compare(users.is_active),
    is_superuser: compare(users.is_superuser),
    organization_id: (value: ReturnType<typeof sql>) => sql`exists (
      select from ${members} where ${members.user_id} = ${users.id} and ${members.org_id} = ${value}::uuid)`,
  },
}

export const listUsers = (scope: TenantScope, query: PlatformUserQuery) =>
  listPage<typeof users, PlatformUserSummary>(platformScope(scope), list, query)

export async function getUser({ db }: TenantScope, id: string): Promise<PlatformUser> {
  const user = oneOr404(await db.select(columns).from(users).where(eq(users.id, id)))
  const memberships = await db
    .select({
      organization_id: members.org_id,
      name: organizations.name,
      code: organizations.code,
      roles: members.roles,
      is_active: members.is_active,
    })
    .from(members)
    .innerJoin(organizations, eq(organizations.id, members.org_id))
    .where(eq(members.user_id, id))
    .orderBy(asc(members.created_at), asc(members.id))
  return { ...user, memberships }
}

export type NewUser = {
  email: string
  username: string | null
  full_name: string | null
  password_hash: string
  organization_id?: string | undefined
  roles: string[]
}

const taken = {
  users_email: () => new Problem('email_taken', 'Another account has this e-mail address.'),
  users_username: () => new Problem('username_taken', 'Another account has this username.'),
}

/**
 * Makes an account, whose address the superuser vouches for, and its membership where an organisation is named.
 * @throws Problem `email_taken` or `username_taken`
 */
export const createUser = (scope: TenantScope, user: NewUser, builtIn: BuiltInRoles): Promise<PlatformUser> =>
  withConstraints(taken, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const { organization_id: org_id, roles: held, ...account } = user
      const id = uuidv7()
      if (org_id !== undefined) await assertRoles(inside, org_id, held, builtIn)
      await db.insert(users).values({ id, ...account, email_verified_at: sql`now()` as never })
      if (org_id !== undefined) await db.insert(members).values({ org_id, id: uuidv7(), user_id: id, roles: held })
      const { email, full_name } = account
      const after = { email, full_name, ...(org_id !== undefined && { organization_id: org_id, roles: held }) }
      const event = { action: 'user.created', subject_type: 'user', subject_id: id, after }
      await recordFor(inside, org_id === undefined ? [] : [org_id], event)
      return getUser(inside, id)
    }),
  )

async function assertRoles({ db }: TenantScope, orgId: string, held: string[], builtIn: BuiltInRoles) {
  const open = and(eq(organizations.id, orgId), isNull(organizations.deleted_at))
  const [organization] = await db.select({ id: organizations.id }).from(organizations).where(open).for('share')
  if (organization === undefined) throw missingReference('/body/organization_id')()
  const { unknown } = await permissionsOfRoles(db, orgId, held, builtIn)
  if (unknown.length > 0) throw invalidField('/body/roles', 'role', 'must name roles of that organisation')
}

type Patch = Partial<Pick<typeof users.$inferSelect, 'username' | 'full_name' | 'is_active' | 'is_superuser'>>

/** Changes an account and tells every instance; the trail of each of his organisations shows it. */
const change = (scope: TenantScope, id: string, verb: string, patch: Patch, version?: number): Promise<PlatformUser> =>
  withConstraints(taken, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      if (verb !== 'updated') await lockSuperusers(inside)
      const user = await lockRow(db, users, id)
      assertVersion(user, version)
      const orgIds = verb === 'updated' ? [] : await organizationsOf(inside, id)
      await changeRow(inside, users, user, patch, { action: `user.${verb}`, subject_type: 'user', orgIds })
      // For good: a suspended user who is restored signs in again.
      if (patch.is_active === false) {
        await revokeSessions(db, id, 'user_suspended')
        await endInvitations(inside, orgIds, id)
      }
      await notifyAccess(db, `user:${id}`)
      return getUser(inside, id)
    }),
  )

const organizationsOf = async ({ db }: TenantScope, userId: string) => {
  const found = await db.select({ org_id: members.org_id }).from(members).where(eq(members.user_id, userId))
  return found.map(({ org_id }) => org_id)
}

/** Or whoever he invited would join in his stead. */
async function endInvitations(scope: TenantScope, orgIds: readonly string[], userId: string): Promise<void> {
  for (const org_id of orgIds) await cancelInvitations({ ...scope, org_id }, { invited_by: [userId] })
}

export const updateUser = (scope: TenantScope, id: string, patch: Patch, version?: number) =>
  change(scope, id, 'updated', patch, version)

/** @throws Problem `forbidden` for oneself */
export async function suspendUser(scope: TenantScope, id: string) {
  assertOther(scope, id)
  return change(scope, id, 'suspended', { is_active: false })
}

export const restoreUser = (scope: TenantScope, id: string) => change(scope, id, 'restored', { is_active: true })

/**
 * @throws Problem `invalid_state` for a suspended account, and for one whose address was never verified: it may be
 * anybody's
 */
export const grantSuperuser = (scope: TenantScope, id: string) =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    await lockSuperusers(inside)
    const { is_active, email_verified_at } = await lockRow(db, users, id)
    if (!is_active) throw new Problem('invalid_state', 'This account is suspended; restore it first.')
    if (email_verified_at === null)
      throw new Problem('invalid_state', 'Nobody has verified the address of this account; its holder has to, first.')
    return change(inside, id, 'superuser_granted', { is_superuser: true })
  })

/** @throws Problem `forbidden` for oneself */
export async function revokeSuperuser(scope: TenantScope, id: string) {
  assertOther(scope, id)
  return change(scope, id, 'superuser_revoked', { is_superuser: false })
}

function assertOther({ actor }: TenantScope, id: string) {
  if (id === actor.user_id) throw new Problem('forbidden', 'Nobody does this to himself; another superuser can do it.')
}

/**
 * Deletes an account with its memberships, sessions and keys.
 * @throws Problem `forbidden` for oneself, `last_owner`, or `in_use` while he manages portfolios
 */
export async function deleteUser(scope: TenantScope, id: string, version?: number): Promise<void> {
  assertOther(scope, id)
  await withConstraints({ portfolios_manager: managesPortfolios }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      await lockSuperusers(inside)
      const { email, full_name, is_superuser, ...user } = await lockRow(db, users, id)
      assertVersion(user, version)
      await assertNotLastOwner(inside, id)
      const orgIds = await organizationsOf(inside, id)
      await endInvitations(inside, orgIds, id)
      await db.delete(users).where(eq(users.id, id))
      const before = { email, full_name, is_superuser }
      await recordFor(inside, orgIds, { action: 'user.deleted', subject_type: 'user', subject_id: id, before })
      await notifyAccess(db, `user:${id}`)
    }),
  )
}

const managesPortfolios = () =>
  new Problem('in_use', 'This user manages portfolios; they need another manager first. Or suspend the account.')

/** Looks at the owners of every organisation he owns, and keeps them as they are until the transaction ends. */
async function assertNotLastOwner({ db }: TenantScope, userId: string) {
  const owns = sql`'owner' = any(${members.roles})`
  const theirs = db
    .select({ org_id: members.org_id })
    .from(members)
    .where(and(eq(members.user_id, userId), owns))
  const owners = await db
    .select({
      org_id: members.org_id,
      name: organizations.name,
      other: sql<boolean>`${members.user_id} <> ${userId} and ${members.is_active} and ${users.is_active}`,
    })
    .from(members)
    .innerJoin(users, eq(users.id, members.user_id))
    .innerJoin(organizations, and(eq(organizations.id, members.org_id), isNull(organizations.deleted_at)))
    .where(and(sql`${members.org_id} in ${theirs}`, owns))
    .orderBy(asc(members.org_id), asc(members.id))
    .for('update', { of: members })
  const kept = new Set(owners.filter(({ other }) => other).map(({ org_id }) => org_id))
  const alone = owners.find(({ org_id }) => !kept.has(org_id))
  if (alone !== undefined)
    throw new Problem(
      'last_owner',
      `This user is the last owner of ${alone.name}; make another owner or delete that organisation first.`,
    )
}

/** Does the same to many accounts. */
export const bulkUsers = (scope: TenantScope, { action, ids, atomic = false }: PlatformUserBulk): Promise<BulkResult> =>
  scope.db.transaction((db) => {
    const one = { suspend: suspendUser, restore: restoreUser, delete: deleteUser }[action]
    return runBulk(ids, atomic, async (id) => one({ ...scope, db }, id).then(() => id), 'ids')
  })
