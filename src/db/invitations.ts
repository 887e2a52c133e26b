import { and, eq, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { Problem } from '../lib/errors.ts'
import { recordEvent } from './audit.ts'
import { takeToken } from './mail-tokens.ts'
import { owned, type TenantScope } from './scope.ts'
import { invitations, members } from './tables/organizations.ts'

/**
 * Makes a user a member by the link he was mailed, in the caller's transaction. Who is a member already gets the
 * invitation's roles besides his own.
 * @param user his canonical address must be the invited one: whoever read the mail there
 * @returns the organisation he joined
 * @throws Problem `mail_token_invalid`, or `invitation_mismatch` for another address
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
  const [invitation] = await db
    .update(invitations)
    .set({ status: 'accepted', version: sql`${invitations.version} + 1`, updated_at: sql`now()` })
    .where(
      and(owned(invitations, inside), eq(invitations.id, invitation_id as string), eq(invitations.status, 'pending')),
    )
    .returning({ roles: invitations.roles })
  if (invitation === undefined)
    throw new Problem('mail_token_invalid', 'This invitation was cancelled or answered; ask for a new one.')
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
