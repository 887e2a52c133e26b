import { and, eq, gt, inArray, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { insertAudited, recordEvent, updateAudited } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { acceptInvitation } from '../../../db/invitations.ts'
import { compare, listPage } from '../../../db/list.ts'
import { takeToken, tokenInvalid } from '../../../db/mail-tokens.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import { domainRefused } from '../../../db/policy.ts'
import { purgeRows } from '../../../db/purge.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { mailTokens } from '../../../db/tables/identity.ts'
import { invitations, members, organizations, type Policy } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { canonicalEmail, domainAllowed, requiredEmail } from '../../../lib/email.ts'
import { notFound, oneOr404, Problem } from '../../../lib/errors.ts'
import { memberAlready, requireGrant } from '../members/queries.ts'
import type { Manager } from '../members/rules.ts'
import type { Invitation, InvitationAccepted, InvitationBulk, InvitationCreate, InvitationQuery } from './schemas.ts'

const daysOpen = 7
/** How long past its expiry an invitation is shown. */
const daysKept = 90

const expiry = sql<string>`now() + ${sql.raw(String(daysOpen))} * interval '1 day'`

/** Pending past its time is expired. */
const status = sql<Invitation['status']>`
  case when ${invitations.status} = 'pending' and ${invitations.expires_at} <= now() then 'expired'
  else ${invitations.status} end`

const columns = {
  id: invitations.id,
  email: invitations.email,
  roles: invitations.roles,
  status,
  invited_by: invitations.invited_by,
  expires_at: invitations.expires_at,
  version: invitations.version,
  created_at: invitations.created_at,
  updated_at: invitations.updated_at,
}

const list = {
  name: 'invitations',
  table: invitations,
  columns,
  sorts: { created_at: invitations.created_at },
  filters: {
    status: (value: unknown) => sql`${status} = ${value}::text`,
    email: compare(invitations.email),
  },
}

export const listInvitations = (scope: TenantScope, { email, ...query }: InvitationQuery) =>
  listPage<typeof invitations, Invitation>(scope, list, {
    ...query,
    ...(email !== undefined && { email: canonicalEmail(email) ?? email }),
  })

export async function getInvitation(scope: TenantScope, id: string): Promise<Invitation> {
  const mine = and(owned(invitations, scope), eq(invitations.id, id))
  return oneOr404(await scope.db.select(columns).from(invitations).where(mine))
}

/** What invitations to some addresses are judged by. */
type Terms = {
  organization: { name: string; settings: Policy; expires_at: string }
  inviter: string | null
  members: Set<string>
  pending: Set<string>
}

/** Reads the terms, and holds the organisation, so that of two invitations at once the second sees the first. */
async function holdTerms({ db, org_id, actor }: TenantScope, emails: string[]): Promise<Terms> {
  const [organization] = await db
    .select({ name: organizations.name, settings: organizations.settings, expires_at: expiry })
    .from(organizations)
    .where(eq(organizations.id, org_id))
    .for('no key update')
  if (organization === undefined) throw notFound()
  const joined = await db
    .select({ email: users.email })
    .from(members)
    .innerJoin(users, eq(users.id, members.user_id))
    .where(and(eq(members.org_id, org_id), inArray(users.email, emails)))
  const open = and(
    eq(invitations.org_id, org_id),
    eq(invitations.status, 'pending'),
    gt(invitations.expires_at, sql`now()`),
    inArray(invitations.email, emails),
  )
  const pending = await db.select({ email: invitations.email }).from(invitations).where(open)
  const [inviter] =
    actor.user_id === null
      ? []
      : await db.select({ name: users.full_name, email: users.email }).from(users).where(eq(users.id, actor.user_id))
  return {
    organization,
    inviter: inviter ? (inviter.name ?? inviter.email) : null,
    members: new Set(joined.map(({ email }) => email)),
    pending: new Set(pending.map(({ email }) => email)),
  }
}

/**
 * Judges what may be refused, before anything is changed.
 * @returns the canonical address
 * @throws Problem when this manager cannot invite this address with these roles
 */
async function judge(scope: TenantScope, manager: Manager, terms: Terms, text: string, roles: string[]) {
  await requireGrant(scope, manager, roles)
  const email = requiredEmail(text)
  if (!domainAllowed(email, terms.organization.settings.allowed_email_domains)) throw domainRefused(email)
  if (terms.members.has(email)) throw memberAlready()
  if (terms.pending.has(email))
    throw new Problem('already_exists', 'This address has a pending invitation; resend or cancel that one.')
  return email
}

const mail = (scope: TenantScope, { organization, inviter }: Terms, invitation_id: string, recipient: string) =>
  enqueueMail(scope.db, {
    template: 'invitation',
    recipient,
    data: { org_id: scope.org_id, invitation_id, organization_name: organization.name, invited_by: inviter },
  })

/** @returns the invitation's id */
async function invite(scope: TenantScope, manager: Manager, terms: Terms, { email: text, roles }: InvitationCreate) {
  const email = await judge(scope, manager, terms, text, roles)
  const { expires_at } = terms.organization
  const values = { email, roles, expires_at, invited_by: manager.user_id }
  const { id } = await insertAudited(scope, 'invitation', invitations, values)
  await mail(scope, terms, id, email)
  terms.pending.add(email)
  return id
}

export const createInvitation = (scope: TenantScope, manager: Manager, body: InvitationCreate): Promise<Invitation> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const terms = await holdTerms(inside, [canonicalEmail(body.email) ?? body.email])
    return getInvitation(inside, await invite(inside, manager, terms, body))
  })

export const createInvitations = (
  scope: TenantScope,
  manager: Manager,
  { items, atomic = false }: InvitationBulk,
): Promise<BulkResult> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const emails = items.map(({ email }) => canonicalEmail(email) ?? email)
    const terms = await holdTerms(inside, emails)
    return runBulk(items, atomic, (item) => invite(inside, manager, terms, item))
  })

/** Mails a new link for seven more days; the older ones end now, not when the mail goes out. */
export const resendInvitation = (scope: TenantScope, manager: Manager, id: string): Promise<Invitation> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const { email, roles, status } = await getInvitation(inside, id)
    const terms = await holdTerms(inside, [email])
    if (status === 'pending') terms.pending.delete(email)
    await judge(inside, manager, terms, email, roles)
    // Before the invitation, as whoever accepts takes them in this order.
    await db.delete(mailTokens).where(and(eq(mailTokens.org_id, scope.org_id), eq(mailTokens.invitation_id, id)))
    await updateAudited(inside, 'invitation', invitations, await stillPending(inside, id), {
      expires_at: expiry as unknown as string,
    })
    await mail(inside, terms, id, email)
    return getInvitation(inside, id)
  })

/** Ends an invitation, and its link with it. */
export const cancelInvitation = (scope: TenantScope, id: string): Promise<Invitation> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    await updateAudited(inside, 'invitation', invitations, await stillPending(inside, id), { status: 'cancelled' })
    return getInvitation(inside, id)
  })

/** Holds an invitation that nobody has answered. @throws Problem `invalid_state` for an answered or cancelled one */
async function stillPending(scope: TenantScope, id: string): Promise<string> {
  const mine = and(owned(invitations, scope), eq(invitations.id, id))
  const found = await scope.db.select({ status: invitations.status }).from(invitations).where(mine).for('update')
  const { status } = oneOr404(found)
  if (status !== 'pending')
    throw new Problem('invalid_state', `This invitation was ${status} already; make a new one where it is needed.`)
  return id
}

/**
 * Makes the user a member; who reads the mail at an address has verified it.
 * @throws Problem `mail_token_invalid`, or `invitation_mismatch` for another address
 */
export const accept = (scope: TenantScope, userId: string, token: string): Promise<InvitationAccepted> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const [user] = await db.select({ id: users.id, email: users.email }).from(users).where(eq(users.id, userId))
    const { org_id, roles } = await acceptInvitation(inside, token, oneOr404(user ? [user] : []))
    await db
      .update(users)
      .set({ email_verified_at: sql`now()`, version: sql`${users.version} + 1`, updated_at: sql`now()` })
      .where(and(eq(users.id, userId), sql`${users.email_verified_at} is null`))
    await notifyAccess(db, `user:${userId}`)
    return { organization_id: org_id, roles }
  })

/**
 * Says no for whoever reads the mail.
 * @throws Problem `mail_token_invalid`
 */
export const decline = (scope: TenantScope, token: string): Promise<void> =>
  scope.db.transaction(async (db) => {
    const { org_id, invitation_id, email } = await takeToken(db, 'invitation', token)
    const inside = { ...scope, db, org_id: org_id as string }
    const declined = await db
      .update(invitations)
      .set({ status: 'declined', version: sql`${invitations.version} + 1`, updated_at: sql`now()` })
      .where(
        and(owned(invitations, inside), eq(invitations.id, invitation_id as string), eq(invitations.status, 'pending')),
      )
      .returning({ id: invitations.id })
    if (declined.length === 0) throw tokenInvalid()
    await recordEvent(inside, {
      action: 'invitation.declined',
      subject_type: 'invitation',
      subject_id: invitation_id,
      after: { email },
    })
  })

/** Forgets invitations long after they expired; what became of them is in the audit trail. @returns how many */
export const purgeInvitations = (db: Db): Promise<number> =>
  purgeRows(db, invitations, sql`${invitations.expires_at} < now() - ${sql.raw(String(daysKept))} * interval '1 day'`)
