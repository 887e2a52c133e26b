import { and, eq, gt, inArray, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { Problem } from '../lib/errors.ts'
import { recordEvent } from './audit.ts'
import { takeToken } from './mail-tokens.ts'
import { assertEmailAllowed } from './policy.ts'
import { owned, type TenantScope } from './scope.ts'
import { invitations, members, organizations } from './tables/organizations.ts'

/**
 * Makes a user a member by the link he was mailed, in the caller's transaction. Who is a member already gets the
 * invitation's roles besides his own.
 * @param user his canonical address must be the invited one: whoever read the mail there
 * @returns the organisation he joined
 * @throws Problem `mail_token_invalid`, `invitation_mismatch` for another address, or `email_domain_not_allowed`
 */
export async function acceptInvitation(
  scope: TenantScope,
  token: string,
  user: { id: string; email: string },
): Promise<{ org_id: string; roles: string[] }> {
  const { db } = scope
  const { org_id, invitation_id, email } = await takeToken(db, 'invitation', token)
  if (email !== user.email)
    throw new Problem('invitation_mismatch', 'This invitation is for another e-mail address; sign in with that one.')
  const inside = { ...scope, org_id: org_id as string, actor: { ...scope.actor, user_id: user.id } }
  await assertEmailAllowed(db, inside.org_id, email)
  const [invitation] = await db
    .update(invitations)
    .set({ status: 'accepted', version: sql`${invitations.version} + 1`, updated_at: sql`now()` })
    .where(
      and(
        owned(invitations, inside),
        eq(invitations.id, invitation_id as string),
        eq(invitations.status, 'pending'),
        gt(invitations.expires_at, sql`now()`),
        sql`exists (select from ${organizations} where ${organizations.id} = ${inside.org_id}
          and ${organizations.is_active} and ${organizations.deleted_at} is null)`,
      ),
    )
    .returning({ roles: invitations.roles })
  if (invitation === undefined)
    throw new Problem(
      'mail_token_invalid',
      'This invitation has expired, was cancelled or was answered; ask for a new one.',
    )
  const { roles } = invitation
  await db
    .insert(members)
    .values({ org_id: inside.org_id, id: uuidv7(), user_id: user.id, roles })
    .onConflictDoUpdate({
      target: [members.org_id, members.user_id],
      set: {
        roles: sql`(select array_agg(distinct role) from unnest(${members.roles} || excluded.roles) role)`,
        version: sql`${members.version} + 1`,
        updated_at: sql`now()`,
      },
    })
  await recordEvent(inside, {
    action: 'invitation.accepted',
    subject_type: 'invitation',
    subject_id: invitation_id,
    after: { email, roles },
  })
  return { org_id: inside.org_id, roles }
}

/**
 * Cancels the pending invitations of an address that became a member by other means, or those that somebody made who
 * may not make them any more, in the caller's transaction.
 */
export async function cancelInvitations(
  scope: TenantScope,
  of: { email: string } | { invited_by: string[] },
): Promise<void> {
  const whose = 'email' in of ? eq(invitations.email, of.email) : inArray(invitations.invited_by, of.invited_by)
  const cancelled = await scope.db
    .update(invitations)
    .set({ status: 'cancelled', version: sql`${invitations.version} + 1`, updated_at: sql`now()` })
    .where(and(owned(invitations, scope), eq(invitations.status, 'pending'), whose))
    .returning({ id: invitations.id, email: invitations.email })
  for (const { id, email } of cancelled)
    await recordEvent(scope, {
      action: 'invitation.cancelled',
      subject_type: 'invitation',
      subject_id: id,
      after: { email },
    })
}
