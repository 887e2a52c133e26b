import { and, eq, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import { missingReference, withConstraints } from '../../../db/errors.ts'
import { cancelInvitations } from '../../../db/invitations.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { sessions } from '../../../db/tables/identity.ts'
import { members } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { notFound, Problem } from '../../../lib/errors.ts'
import { holdOwners, revokeKeysOf } from '../members/queries.ts'
import { present, standingIn } from '../organizations/queries.ts'
import { assertActive, assertOwner, type Caller } from '../organizations/rules.ts'
import type { Organization } from '../organizations/schemas.ts'

/**
 * Ends the caller's membership, with the keys and the pending invitations he made there; his sessions go on without the organisation.
 * @throws Problem `last_owner`, or `in_use` while something there depends on him
 */
export const leaveOrganization = (scope: TenantScope, { user_id }: Caller, orgId: string): Promise<void> =>
  withConstraints({ portfolios_manager: managesPortfolios }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db, org_id: orgId }
      const owners = await holdOwners(inside)
      if (owners.length === 1 && owners[0]?.user_id === user_id)
        throw new Problem(
          'last_owner',
          'You are the last owner: transfer the ownership first, or delete the organisation.',
        )
      const mine = and(owned(members, inside), eq(members.user_id, user_id), members.is_active, notDeleted)
      const [left] = await db.delete(members).where(mine).returning({ roles: members.roles })
      if (left === undefined) throw notFound()
      await revokeKeysOf(inside, user_id)
      await cancelInvitations(inside, { invited_by: [user_id] })
      await db
        .update(sessions)
        .set({ org_id: null })
        .where(and(eq(sessions.user_id, user_id), eq(sessions.org_id, orgId)))
      await recordEvent(inside, {
        action: 'member.left',
        subject_type: 'user',
        subject_id: user_id,
        before: { roles: left.roles },
      })
      await notifyAccess(db, `user:${user_id}`)
    }),
  )

const notDeleted = sql`exists (
  select from organizations where organizations.id = ${members.org_id} and organizations.deleted_at is null)`

const managesPortfolios = () =>
  new Problem('in_use', 'You are the manager of portfolios there; give them to somebody else first.')

/**
 * Makes another member an owner, and the caller an administrator, whose pending invitations end: one may make an owner.
 * @throws Problem `not_found` where that user is no active member
 */
export const transferOwnership = (scope: TenantScope, caller: Caller, orgId: string, heirId: string) =>
  scope.db.transaction(async (db): Promise<Organization> => {
    const inside = { ...scope, db, org_id: orgId }
    const { organization, ...standing } = await standingIn(inside, caller, orgId, 'lock')
    assertOwner(standing.roles)
    assertActive(organization)
    const me = (await holdOwners(inside)).find((owner) => owner.user_id === caller.user_id)
    assertOwner(me ? ['owner'] : [])
    if (heirId === caller.user_id) throw new Problem('invalid_state', 'You own the organisation already.')
    const heir = await findMember(inside, heirId)
    await setRoles(inside, heirId, [...heir.roles, 'owner'])
    const roles = await setRoles(inside, caller.user_id, [
      ...standing.roles.filter((role) => role !== 'owner'),
      'admin',
    ])
    await cancelInvitations(inside, { invited_by: [caller.user_id] })
    await recordEvent(inside, {
      action: 'organization.transferred',
      subject_type: 'organization',
      subject_id: orgId,
      before: { owner_id: caller.user_id },
      after: { owner_id: heirId },
    })
    await notifyAccess(db, `org:${orgId}`)
    const data = {
      organization_id: orgId,
      organization_name: organization.name,
      former_owner: me?.email,
      new_owner: heir.email,
    }
    for (const recipient of [heir.email, me?.email as string])
      await enqueueMail(db, { template: 'ownership_transferred', recipient, data })
    return present(scope, { ...standing, organization, roles })
  })

async function findMember(scope: TenantScope, userId: string) {
  const [member] = await scope.db
    .select({ email: users.email, roles: members.roles })
    .from(members)
    .innerJoin(users, and(eq(users.id, members.user_id), users.is_active))
    .where(and(owned(members, scope), eq(members.user_id, userId), members.is_active))
    .for('update', { of: members })
  if (member === undefined) throw missingReference('/body/user_id', 'no active member of')()
  return member
}

async function setRoles(scope: TenantScope, userId: string, roles: string[]): Promise<string[]> {
  const unique = [...new Set(roles)]
  await scope.db
    .update(members)
    .set({ roles: unique, version: sql`${members.version} + 1`, updated_at: sql`now()` })
    .where(and(owned(members, scope), eq(members.user_id, userId)))
  return unique
}
