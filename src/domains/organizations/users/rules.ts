import { Problem } from '../../../lib/errors.ts'
import { type Manager, touchFault } from '../members/rules.ts'
import { lacking } from '../roles/rules.ts'

/** What decides who may change an account: whose it is, and whether its holder has shown that he reads its address. */
export type Account = {
  user_id: string
  roles: readonly string[]
  managed: boolean
  /** Belongs to another organisation, too. */
  elsewhere: boolean
  is_superuser: boolean
  verified: boolean
}

/** Whether the account is this organisation's alone: then its administrators may change and delete it. */
export const isOwnAccount = ({ managed, elsewhere, is_superuser }: Account): boolean =>
  managed && !elsewhere && !is_superuser

const forbidden = (detail: string) => new Problem('forbidden', detail)

/**
 * Why this caller may not change the account itself; undefined where he may. Everybody changes his own profile.
 * @param permissions what the holder's roles give
 */
export function accountFault(
  manager: Manager,
  account: Account,
  setsPassword: boolean,
  permissions: ReadonlySet<string>,
): Problem | undefined {
  if (account.user_id === manager.user_id)
    return setsPassword ? forbidden('Change your own password at POST /api/v1/auth/change-password.') : undefined
  const untouchable = touchFault(manager, account)
  if (untouchable) return untouchable
  if (!isOwnAccount(account))
    return forbidden('This account is not managed by your organisation alone, so only its holder can change it.')
  if (!setsPassword) return undefined
  if (account.verified)
    return forbidden('The holder of this account reads its mail, and can set a password by POST /auth/forgot-password.')
  // Whoever sets a password can sign in with it, and must gain nothing by that.
  if (lacking(manager.permissions, permissions).length > 0)
    return forbidden('You cannot set the password of somebody who may do more than you.')
  return undefined
}
