import { clientOf, type Db } from '../../../db/client.ts'
import type { TenantScope } from '../../../db/scope.ts'
import type { Keys } from '../../../lib/crypto.ts'
import { Problem } from '../../../lib/errors.ts'
import type { Account } from '../auth/queries.ts'
import { createSession, type NewSession, type Session } from '../sessions/queries.ts'
import { useCode } from '../totp/queries.ts'

/**
 * Opens the session of whoever gave the right password, and uses up the code of his second factor with it.
 * @param account as it was when its password was judged: who was quicker with another one, or with a suspension, makes
 * that proof worthless
 * @throws Problem `invalid_credentials`, `totp_required`, or `invalid_code`
 */
export const openSession = (
  scope: TenantScope,
  keys: Keys,
  account: Account,
  code: string | undefined,
  session: Omit<NewSession, 'user_id' | 'mfa'>,
): Promise<Session> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db, actor: { ...scope.actor, user_id: account.id } }
    const totp = await holdProven(db, account)
    if (totp) {
      if (code === undefined)
        throw new Problem('totp_required', 'This account has a second factor: send its code as totp_code, too.')
      await useCode(inside, keys, account.id, code)
    }
    return createSession(inside, { ...session, user_id: account.id, mfa: totp })
  })

export const wrongCredentials = () => new Problem('invalid_credentials', 'The username or the password is wrong.')

/** Keeps the account as it is until the session is there, so that what ends its sessions ends this one. */
async function holdProven(db: Db, { id, password_hash }: Account): Promise<boolean> {
  const [held] = await clientOf(db)<{ totp: boolean }[]>`
    select totp_confirmed_at is not null as totp from users
    where id = ${id} and password_hash = ${password_hash} and is_active for no key update`
  if (held === undefined) throw wrongCredentials()
  return held.totp
}
