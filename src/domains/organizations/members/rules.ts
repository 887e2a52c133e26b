import { Problem } from '../../../lib/errors.ts'

/** Whoever manages members: what he is and may do here. An API key may do what it was given, and is nothing itself. */
export type Manager = {
  user_id: string
  api_key_id: string | null
  roles: readonly string[]
  permissions: ReadonlySet<string>
}

type Membership = { user_id: string; roles: readonly string[] }
type Standing = { roles: readonly string[]; is_active: boolean }

/** What is to become of a membership. */
export type MemberChange = { roles?: string[]; is_active?: boolean; removed?: true }

const forbidden = (detail: string) => new Problem('forbidden', detail)

/** Why this manager cannot touch this member at all: an owner is the business of owners. */
export const touchFault = (manager: Manager, target: Membership): Problem | undefined =>
  target.roles.includes('owner') && !manager.roles.includes('owner')
    ? forbidden('Only an owner can change or remove an owner.')
    : undefined

/** Whether a member can do less than he could; undefined for one who is none any more. */
export const loses = (was: Standing, now: Standing | undefined): boolean =>
  now === undefined || (was.is_active && !now.is_active) || was.roles.some((name) => !now.roles.includes(name))

/** The roles a change gives: those it adds, or all of them where it makes the member active again. */
export const rolesGained = (was: Standing, { roles = was.roles as string[], is_active }: MemberChange): string[] =>
  is_active && !was.is_active ? roles : roles.filter((name) => !was.roles.includes(name))

/**
 * Why this manager cannot make this change; undefined where he can, as far as he may give the roles it adds.
 * @param otherOwners how many other owners can still act
 */
export function changeFault(
  manager: Manager,
  target: Membership,
  change: MemberChange,
  otherOwners: number,
): Problem | undefined {
  if (Object.keys(change).length === 0) return undefined
  if (target.user_id === manager.user_id)
    return forbidden(
      'Nobody changes his own roles or removes himself; to leave, POST /api/v1/organizations/{id}/leave.',
    )
  const untouchable = touchFault(manager, target)
  if (untouchable) return untouchable
  const { roles = target.roles } = change
  const ownerEnds = change.removed || change.is_active === false || !roles.includes('owner')
  if (target.roles.includes('owner') && ownerEnds && otherOwners === 0)
    return new Problem('last_owner', 'This is the last owner of the organisation; make another owner first.')
  return undefined
}
