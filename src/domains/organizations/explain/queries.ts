import { and, eq, inArray } from 'drizzle-orm'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { apiKeys } from '../../../db/tables/identity.ts'
import { members, organizations, roles } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404 } from '../../../lib/errors.ts'

/** A member as authorisation sees him, with the roles of the organisation's own that he has. */
export async function findMember(scope: TenantScope, userId: string) {
  const [member] = await scope.db
    .select({
      roles: members.roles,
      member_active: members.is_active,
      user_active: users.is_active,
      is_superuser: users.is_superuser,
      email_verified_at: users.email_verified_at,
      totp_confirmed_at: users.totp_confirmed_at,
      policy: organizations.settings,
    })
    .from(members)
    .innerJoin(users, eq(users.id, members.user_id))
    .innerJoin(organizations, eq(organizations.id, members.org_id))
    .where(and(owned(members, scope), eq(members.user_id, userId)))
  return member && { ...member, custom: await customRoles(scope, member.roles) }
}

const customRoles = (scope: TenantScope, names: string[]) =>
  scope.db
    .select({ name: roles.name, permissions: roles.permissions })
    .from(roles)
    .where(and(owned(roles, scope), inArray(roles.name, names)))

export async function getKey(scope: TenantScope, id: string) {
  const mine = and(owned(apiKeys, scope), eq(apiKeys.id, id))
  return oneOr404(
    await scope.db.select({ name: apiKeys.name, permissions: apiKeys.permissions }).from(apiKeys).where(mine),
  )
}
