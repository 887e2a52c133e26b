import { and, eq, gt, isNull, sql } from 'drizzle-orm'
import { clientOf, type Db } from '../../../db/client.ts'
import { mintToken, type TokenPurpose } from '../../../db/mail-tokens.ts'
import type { MailTemplate } from '../../../db/outbox.ts'
import { purgeRows } from '../../../db/purge.ts'
import { mailOutbox, mailTokens, sessions } from '../../../db/tables/identity.ts'
import { invitations, organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import type { MailFacts } from './templates.ts'

/** A message whose lease this instance holds. `attempts` tells this lease from a later one. */
export type OutboxMail = {
  id: string
  template: MailTemplate
  recipient: string
  data: Record<string, unknown>
  attempts: number
  age_s: number
}

/** Longer than a delivery can take; after it a row whose instance died is another's. */
const leaseS = 60

const day = 86_400

/** How long each link lives. An invitation's ends with the invitation, if that is sooner. */
const lifetimes: Record<TokenPurpose, number> = {
  verify_email: day,
  reset_password: 3_600,
  change_email: 3_600,
  invitation: 7 * day,
}

/** Mails with one kind of link that a recipient gets in an hour; the rest is dropped. */
const linksPerHourMax = 5

/**
 * Takes up to `max` messages that are due, so that no other instance has them until the lease ends. What was written
 * just now may be due half a millisecond from now, as the column is rounded.
 */
export const claimMail = (db: Db, max: number): Promise<OutboxMail[]> =>
  clientOf(db)<OutboxMail[]>`
    update mail_outbox set attempts = attempts + 1, due_at = now() + ${leaseS} * interval '1 second'
    where id in (
      select id from mail_outbox where outcome is null and due_at <= now() + interval '1 millisecond'
      order by due_at limit ${max} for update skip locked)
    returning id, template, recipient, data, attempts, extract(epoch from now() - created_at)::float8 as age_s`

/** Ends a message, unless its lease went to another. The hash of a password does not outlive it, only that there was one. */
export async function settleMail(db: Db, { id, attempts }: OutboxMail, outcome: string, reason: string | null = null) {
  await clientOf(db)`
    update mail_outbox set outcome = ${outcome}, ended_at = now(), last_error = ${reason},
      data = case when data ? 'password_hash' then data - 'password_hash' || '{"contested": true}' else data end
    where id = ${id} and attempts = ${attempts} and outcome is null`
}

/** Has a message tried again later. */
export async function postponeMail(db: Db, { id, attempts }: OutboxMail, afterS: number, reason: string) {
  await clientOf(db)`
    update mail_outbox set due_at = now() + ${afterS} * interval '1 second', last_error = ${reason}
    where id = ${id} and attempts = ${attempts} and outcome is null`
}

/** Forgets what ended 30 days ago, and links that have expired. */
export async function purgeMail(db: Db): Promise<void> {
  await purgeRows(db, mailOutbox, sql`${mailOutbox.ended_at} < now() - interval '30 days'`)
  await purgeRows(db, mailTokens, sql`${mailTokens.expires_at} < now()`)
}

/**
 * What a message tells, its link made now. The user's row is locked first, as by whoever uses a link, so that of two
 * messages at once one is the newer.
 * @returns undefined when nobody is to get it
 */
export async function factsOf(db: Db, mail: OutboxMail): Promise<MailFacts | undefined> {
  const { template, recipient, data } = mail
  if (!Object.hasOwn(lifetimes, template)) return { template, recipient, data }
  return db.transaction(async (handle) => {
    const link = await linkOf(handle, mail)
    if (link === undefined || (await isSuperfluous(handle, mail))) return undefined
    const { told = data, ttl_s = lifetimes[link.purpose], ...token } = link
    const secret = await mintToken(handle, { email: recipient, ttl_s, ...token })
    return { template: link.purpose, recipient, data: told, link: { token: secret, ttl_s } }
  })
}

type Link = {
  purpose: TokenPurpose
  user_id?: string
  password_hash?: string
  org_id?: string
  invitation_id?: string
  ttl_s?: number
  told?: Record<string, unknown>
}

/** For whom and what a link would be; undefined where it is for nobody. */
function linkOf(db: Db, mail: OutboxMail): Promise<Link | undefined> {
  if (mail.template === 'invitation') return invitationLink(db, mail)
  if (mail.template === 'change_email') return changeLink(db, mail)
  return accountLink(db, mail)
}

async function accountLink(db: Db, { template, recipient, data }: OutboxMail): Promise<Link | undefined> {
  const [user] = await db
    .select({ id: users.id, verified: sql<boolean>`${users.email_verified_at} is not null` })
    .from(users)
    .where(and(eq(users.email, recipient), users.is_active))
    .for('update')
  if (user === undefined || (template === 'verify_email' && user.verified)) return undefined
  const user_id = user.id
  if (template === 'reset_password') return { purpose: 'reset_password', user_id }
  const { password_hash } = data
  if (typeof password_hash === 'string') return { purpose: 'verify_email', user_id, password_hash }
  // Several people may have registered this address, and nobody knows whose password stands: its reader sets one.
  return { purpose: (await isContested(db, recipient)) ? 'reset_password' : 'verify_email', user_id }
}

async function isContested(db: Db, recipient: string): Promise<boolean> {
  const [found] = await clientOf(db)`
    select 1 from mail_outbox
    where recipient = ${recipient} and template = 'verify_email' and data ?| array['password_hash', 'contested'] limit 1`
  return found !== undefined
}

/** Only while the session that asked for the change lives: whoever resets the password stops it, too. */
async function changeLink(db: Db, { recipient, data }: OutboxMail): Promise<Link | undefined> {
  const user_id = String(data.user_id)
  const [user] = await db
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.id, user_id), users.is_active))
    .for('update')
  const [asking] = await db
    .select({ id: sessions.id })
    .from(sessions)
    .where(
      and(
        eq(sessions.id, String(data.session_id)),
        eq(sessions.user_id, user_id),
        isNull(sessions.revoked_at),
        gt(sql`least(${sessions.expires_at}, ${sessions.ends_at})`, sql`now()`),
      ),
    )
  const [holder] = await db.select({ id: users.id }).from(users).where(eq(users.email, recipient))
  return user && asking && !holder ? { purpose: 'change_email', user_id } : undefined
}

async function invitationLink(db: Db, { recipient, data }: OutboxMail): Promise<Link | undefined> {
  const [found] = await db
    .select({
      org_id: invitations.org_id,
      invitation_id: invitations.id,
      organization_name: organizations.name,
      inviter: users.full_name,
      inviter_email: users.email,
      left_s: sql<number>`floor(extract(epoch from ${invitations.expires_at} - now()))::int`,
    })
    .from(invitations)
    .innerJoin(organizations, and(eq(organizations.id, invitations.org_id), organizations.is_active))
    .leftJoin(users, eq(users.id, invitations.invited_by))
    .where(
      and(
        eq(invitations.org_id, String(data.org_id)),
        eq(invitations.id, String(data.invitation_id)),
        eq(invitations.email, recipient),
        eq(invitations.status, 'pending'),
        isNull(organizations.deleted_at),
        gt(invitations.expires_at, sql`now()`),
      ),
    )
  if (found === undefined) return undefined
  const { org_id, invitation_id, organization_name, inviter, inviter_email, left_s } = found
  const ttl_s = Math.min(lifetimes.invitation, Math.max(left_s, 1))
  return {
    purpose: 'invitation',
    org_id,
    invitation_id,
    ttl_s,
    told: { organization_name, inviter: inviter ?? inviter_email },
  }
}

/**
 * Whether its recipient has had enough links of this kind, or a newer one is sent or under way. By kind, so that nobody's
 * invitations keep the link from him that sets a new password.
 */
async function isSuperfluous(db: Db, { id }: OutboxMail): Promise<boolean> {
  const [answer] = await clientOf(db)<{ superfluous: boolean }[]>`
    select count(*) filter (where (other.created_at, other.id) < (mine.created_at, mine.id)) >= ${linksPerHourMax}
      or coalesce(bool_or((other.created_at, other.id) > (mine.created_at, mine.id)
        and other.data -> 'user_id' is not distinct from mine.data -> 'user_id'
        and other.data -> 'invitation_id' is not distinct from mine.data -> 'invitation_id'), false) as superfluous
    from mail_outbox mine join mail_outbox other on other.recipient = mine.recipient and other.id <> mine.id
      and other.created_at > mine.created_at - interval '1 hour'
      and other.template = mine.template and (other.outcome is null or other.outcome = 'sent')
    where mine.id = ${id}`
  return answer?.superfluous === true
}
