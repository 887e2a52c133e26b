import { and, eq, inArray, or, type SQL, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { revokeKeys } from '../../../db/credentials.ts'
import { withConstraints } from '../../../db/errors.ts'
import { cancelInvitations } from '../../../db/invitations.ts'
import { compare, containsText, type Filter, listPage } from '../../../db/list.ts'
import { assertEmailAllowed } from '../../../db/policy.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { apiKeys } from '../../../db/tables/identity.ts'
import { members, organizations, roles as ownRoles } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { requiredEmail } from '../../../lib/email.ts'
import { invalidField, notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { rolesHere } from '../roles/queries.ts'
import { builtInRoles, mayAssignRoles, permissionsOf } from '../roles/rules.ts'
import { changeFault, loses, type Manager, type MemberChange, rolesGained } from './rules.ts'
import type { Member, MemberBulk, MemberCreate, MemberQuery, MemberUpdate } from './schemas.ts'

const joins = eq(users.id, members.user_id)

const columns = {
  id: members.id,
  user_id: members.user_id,
  email: users.email,
  full_name: users.full_name,
  roles: members.roles,
  is_active: members.is_active,
  managed: members.managed,
  version: members.version,
  created_at: members.created_at,
  updated_at: members.updated_at,
}

/** Members who hold a role. */
export const holdsRole: Filter = (value) => sql`${value}::text = any(${members.roles})`

const list = {
  name: 'members',
  table: members,
  sorts: { created_at: members.created_at },
  filters: {
    user_id: compare(members.user_id),
    role: holdsRole,
    is_active: compare(members.is_active),
    q: containsText(users.email, users.full_name),
  },
  joined: { table: users, on: joins, columns, id: members.id },
}

export const listMembers = (scope: TenantScope, query: MemberQuery) =>
  listPage<typeof members, Member>(scope, list, query)

const findMembers = (scope: TenantScope, where: SQL): Promise<Member[]> =>
  scope.db
    .select(columns)
    .from(members)
    .innerJoin(users, joins)
    .where(and(owned(members, scope), where))

export const getMember = async (scope: TenantScope, id: string): Promise<Member> =>
  oneOr404(await findMembers(scope, eq(members.id, id)))

/** @throws Problem when these are no roles of this organisation, or the manager may not give them */
export async function requireGrant(scope: TenantScope, manager: Manager, roles: string[], pointer = '/body/roles') {
  const { unknown, permissions } = await rolesHere(scope, roles)
  if (unknown.length > 0) throw invalidField(pointer, 'role', 'must name roles of this organisation')
  if (!mayAssignRoles(manager.roles, manager.permissions, roles, permissions))
    throw new Problem('forbidden', 'Nobody gives a permission he does not have, and only an owner makes an owner.')
}

/** The canonical form of an address that may join. @throws Problem `email_domain_not_allowed` */
export async function admittedEmail({ db, org_id }: TenantScope, text: string): Promise<string> {
  const email = requiredEmail(text)
  await assertEmailAllowed(db, org_id, email)
  return email
}

const managingRoles = builtInRoles.filter((name) => permissionsOf([name]).has('members:manage'))

/** The account belongs to another organisation in which this user manages members, too. */
const managedElsewhere = (scope: TenantScope, userId: string) => sql`exists (
  select from members theirs
  join members mine on mine.org_id = theirs.org_id and mine.user_id = ${userId} and mine.is_active
  join ${organizations} on ${organizations.id} = mine.org_id and ${organizations.is_active}
    and ${organizations.deleted_at} is null
  where theirs.user_id = ${users.id} and theirs.is_active and theirs.org_id <> ${scope.org_id}
    and (mine.roles && ${sql.param(managingRoles, members.roles)}::text[] or exists (
      select from ${ownRoles} where ${ownRoles.org_id} = mine.org_id and ${ownRoles.name} = any(mine.roles)
        and 'members:manage' = any(${ownRoles.permissions}))))`

/**
 * Adds an account that the manager manages in another organisation already; whoever else has an account is invited, as
 * is whoever has none, so that the answer tells nothing of an address.
 * @throws Problem `not_found`, or `already_exists` for a member
 */
export async function addMember(scope: TenantScope, manager: Manager, body: MemberCreate): Promise<Member> {
  await requireGrant(scope, manager, body.roles)
  const email = await admittedEmail(scope, body.email)
  if ((await findMembers(scope, eq(users.email, email))).length > 0) throw memberAlready()
  const within = and(eq(users.email, email), users.is_active, managedElsewhere(scope, manager.user_id))
  const [account] = manager.api_key_id === null ? await scope.db.select({ id: users.id }).from(users).where(within) : []
  if (account === undefined)
    throw new Problem(
      'not_found',
      'You manage no account with this address in another organisation; invite it: POST /api/v1/invitations.',
    )
  return withConstraints({ members_user: memberAlready }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const values = { user_id: account.id, roles: body.roles }
      const { id } = await insertAudited(inside, 'member', members, values)
      await cancelInvitations(inside, { email })
      await notifyAccess(db, `user:${account.id}`)
      return getMember(inside, id)
    }),
  )
}

export const memberAlready = () => new Problem('already_exists', 'This address belongs to a member already.')

/** A membership that is held for a change. */
export type HeldMember = {
  id: string
  user_id: string
  email: string
  roles: string[]
  is_active: boolean
  managed: boolean
  version: number
  account_active: boolean
}

/**
 * Runs changes of memberships in one transaction. It holds those that are to be changed and all owners', so that changes
 * of one organisation come one after the other, and each sees which owners are left.
 * @param change makes them by `changeHeld`; who lost something by them loses his pending invitations too, and every
 * instance is told
 */
export const changingMembers = <T>(
  scope: TenantScope,
  by: 'id' | 'user_id',
  ids: string[],
  change: (inside: TenantScope, held: HeldMember[]) => Promise<T>,
): Promise<T> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const held = await holdMembers(inside, or(inArray(members[by], ids), holdsRole(sql`'owner'`)))
    const before = held.map((one) => ({ ...one }))
    const result = await change(inside, held)
    const losers = before.filter((was) => loses(was, findHeld(held, 'id', was.id)))
    await cancelInvitations(inside, { invited_by: losers.map(({ user_id }) => user_id) })
    const [only] = ids.length === 1 ? before.filter((one) => one[by] === ids[0]) : []
    await notifyAccess(db, only === undefined ? `org:${scope.org_id}` : `user:${only.user_id}`)
    return result
  })

/** Memberships, which nobody else changes until the transaction ends; always locked in this order. */
const holdMembers = (scope: TenantScope, where: SQL | undefined): Promise<HeldMember[]> =>
  scope.db
    .select({
      id: members.id,
      user_id: members.user_id,
      email: users.email,
      roles: members.roles,
      is_active: members.is_active,
      managed: members.managed,
      version: members.version,
      account_active: users.is_active,
    })
    .from(members)
    .innerJoin(users, joins)
    .where(and(owned(members, scope), where))
    .orderBy(members.id)
    .for('update', { of: members })

const findHeld = (held: HeldMember[], by: 'id' | 'user_id', id: string) => held.find((one) => one[by] === id)

/** The held member of this id. @throws Problem `not_found` */
export function heldMember(held: HeldMember[], by: 'id' | 'user_id', id: string): HeldMember {
  const target = findHeld(held, by, id)
  if (target === undefined) throw notFound()
  return target
}

const canAct = ({ roles, is_active, account_active }: HeldMember) =>
  roles.includes('owner') && is_active && account_active

/** The owners who can act now, held: of two who leave at once, the second finds out that he is the last. */
export const holdOwners = async (scope: TenantScope): Promise<HeldMember[]> =>
  (await holdMembers(scope, holdsRole(sql`'owner'`))).filter(canAct)

/**
 * Makes one change of a held membership, and keeps what is held up to date.
 * @throws Problem when the manager may not, the last owner would go, or the version is another
 */
export async function changeHeld(
  scope: TenantScope,
  manager: Manager,
  held: HeldMember[],
  target: HeldMember,
  change: MemberChange,
  version?: number,
): Promise<void> {
  const otherOwners = held.filter((one) => one !== target && canAct(one)).length
  const fault = changeFault(manager, target, change, otherOwners)
  if (fault) throw fault
  const { removed, ...patch } = change
  await requireGrant(scope, manager, rolesGained(target, patch))
  if (removed) {
    await withConstraints({ portfolios_manager: managesPortfolios }, () =>
      deleteAudited(scope, 'member', members, target.id, version),
    )
    await revokeKeysOf(scope, target.user_id)
    held.splice(held.indexOf(target), 1)
  } else {
    await updateAudited(scope, 'member', members, target.id, patch, version)
    Object.assign(target, patch)
  }
}

/** Ends the keys a user made in this organisation: they would work again if he came back. */
export const revokeKeysOf = (scope: TenantScope, userId: string): Promise<void> =>
  revokeKeys(scope, userId, owned(apiKeys, scope))

const managesPortfolios = () =>
  new Problem('in_use', 'This member manages portfolios; give them another manager first, or deactivate the member.')

export const updateMember = (
  scope: TenantScope,
  manager: Manager,
  id: string,
  patch: MemberUpdate,
  version?: number,
): Promise<Member> =>
  changingMembers(scope, 'id', [id], async (inside, held) => {
    await changeHeld(inside, manager, held, heldMember(held, 'id', id), patch, version)
    return getMember(inside, id)
  })

/** @returns the user who was a member */
export const removeMember = (scope: TenantScope, manager: Manager, id: string, version?: number): Promise<string> =>
  changingMembers(scope, 'id', [id], async (inside, held) => {
    const target = heldMember(held, 'id', id)
    await changeHeld(inside, manager, held, target, { removed: true }, version)
    return target.user_id
  })

/** Changes the roles of many members. */
export const updateMembers = (
  scope: TenantScope,
  manager: Manager,
  { items, atomic = false }: MemberBulk,
): Promise<BulkResult> =>
  changingMembers(
    scope,
    'id',
    items.map(({ id }) => id),
    (inside, held) =>
      runBulk(items, atomic, async ({ id, roles }) => {
        await changeHeld(inside, manager, held, heldMember(held, 'id', id), { roles })
        return id
      }),
  )
