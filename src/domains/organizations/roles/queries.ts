import { and, arrayContains, asc, count, eq, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { deleteAudited, insertAudited, updateAudited } from '../../../db/audit.ts'
import { taken, withConstraints } from '../../../db/errors.ts'
import { getOwned } from '../../../db/get.ts'
import { cancelInvitations } from '../../../db/invitations.ts'
import { permissionsOfRoles } from '../../../db/roles.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { invitations, members, roles } from '../../../db/tables/organizations.ts'
import { notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { assertMayGrant, assertNameFree, granted } from './rules.ts'
import type { RoleCreate, RoleUpdate } from './schemas.ts'

/** So that a list of them is one page; a few more by a race do no harm. */
const rolesMax = 100

type Row = typeof roles.$inferSelect

const present = (role: Row) => ({ ...role, built_in: false })

/** What roles give in this organisation, and the names that are none. */
export const rolesHere = ({ db, org_id }: TenantScope, names: readonly string[]) =>
  permissionsOfRoles(db, org_id, names, granted)

/** The organisation's own roles. */
export async function listRoles(scope: TenantScope) {
  const rows = await scope.db.select().from(roles).where(owned(roles, scope)).orderBy(asc(roles.name))
  return rows.map(present)
}

export const getRole = async (scope: TenantScope, id: string) => present(await getOwned(scope, roles, id))

/** @param has what the caller may do: nobody makes a role that could do more */
export async function createRole(scope: TenantScope, body: RoleCreate, has: ReadonlySet<string>) {
  assertNameFree(body.name)
  assertMayGrant(has, body.permissions)
  const [made] = await scope.db.select({ count: count() }).from(roles).where(owned(roles, scope))
  if ((made?.count ?? 0) >= rolesMax)
    throw new Problem('invalid_state', `An organisation has ${rolesMax} roles of its own at most; delete one first.`)
  return withConstraints({ roles_name: taken('/body/name', 'role has this name') }, async () =>
    present(await insertAudited(scope, 'role', roles, body)),
  )
}

/** Changes a role, and at once what those may do who have it. Where it gives less, invitations they made are cancelled. */
export const updateRole = (
  scope: TenantScope,
  id: string,
  patch: RoleUpdate,
  has: ReadonlySet<string>,
  version?: number,
) =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const before = await lockRole(inside, id)
    const added = (patch.permissions ?? []).filter((permission) => !before.permissions.includes(permission))
    assertMayGrant(has, added)
    const after = await updateAudited(inside, 'role', roles, id, patch, version)
    if (!before.permissions.every((permission) => after?.permissions.includes(permission)))
      await cancelInvitations(inside, { invited_by: await holdersOf(inside, before.name) })
    await notifyAccess(db, `org:${scope.org_id}`)
    return present(oneOr404(after ? [after] : []))
  })

/** @throws Problem `in_use` while a member or an invitation has the role */
export const deleteRole = (scope: TenantScope, id: string, version?: number): Promise<void> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const { name } = await lockRole(inside, id)
    if (await isHeld(inside, name))
      throw new Problem('in_use', 'Members or open invitations have this role; take it from them first.')
    if (!(await deleteAudited(inside, 'role', roles, id, version))) throw notFound()
  })

/** Waits for whoever assigns the role just now: `permissionsOfRoles` holds it meanwhile. */
const lockRole = async (scope: TenantScope, id: string): Promise<Row> =>
  oneOr404(
    await scope.db
      .select()
      .from(roles)
      .where(and(owned(roles, scope), eq(roles.id, id)))
      .for('update'),
  )

const holds = (scope: TenantScope, name: string) => and(owned(members, scope), arrayContains(members.roles, [name]))

const holdersOf = async (scope: TenantScope, name: string): Promise<string[]> =>
  (await scope.db.select({ id: members.user_id }).from(members).where(holds(scope, name))).map(({ id }) => id)

async function isHeld(scope: TenantScope, name: string): Promise<boolean> {
  const { db } = scope
  const holders = db.select({ one: sql`1` }).from(members).where(holds(scope, name))
  const invited = db
    .select({ one: sql`1` })
    .from(invitations)
    .where(and(owned(invitations, scope), eq(invitations.status, 'pending'), arrayContains(invitations.roles, [name])))
  return (await holders.unionAll(invited).limit(1)).length > 0
}
