import { and, eq, gt, isNull, sql } from 'drizzle-orm'
import { randomToken, sha256 } from '../lib/crypto.ts'
import { Problem } from '../lib/errors.ts'
import type { Db } from './client.ts'
import { mailTokens } from './tables/identity.ts'

export type TokenPurpose = 'verify_email' | 'reset_password' | 'change_email' | 'invitation'

export type MailToken = typeof mailTokens.$inferSelect

type NewToken = {
  purpose: TokenPurpose
  /** The address whose reader it proves. */
  email: string
  user_id?: string
  org_id?: string
  invitation_id?: string
  password_hash?: string
  ttl_s: number
}

/**
 * Makes the token of a mailed link; the older ones of the same purpose for the same user or invitation die.
 * @returns the token itself, which is stored nowhere
 */
export async function mintToken(db: Db, { ttl_s, ...token }: NewToken): Promise<string> {
  const secret = randomToken()
  const older =
    token.invitation_id === undefined
      ? eq(mailTokens.user_id, token.user_id as string)
      : and(eq(mailTokens.org_id, token.org_id as string), eq(mailTokens.invitation_id, token.invitation_id))
  await db.delete(mailTokens).where(and(eq(mailTokens.purpose, token.purpose), older))
  const expires_at = sql`now() + ${ttl_s} * interval '1 second'`
  await db.insert(mailTokens).values({ ...token, token_hash: sha256(secret), expires_at })
  return secret
}

/**
 * Uses a token up, in the transaction of what it allows: of two parallel uses one succeeds.
 * @throws Problem `mail_token_invalid` for one that is unknown, expired, used, superseded or for another purpose
 */
export async function takeToken(db: Db, purpose: TokenPurpose, token: string): Promise<MailToken> {
  const [taken] = await db
    .update(mailTokens)
    .set({ used_at: sql`now()` })
    .where(and(usable(purpose, token), isNull(mailTokens.used_at)))
    .returning()
  if (taken === undefined) throw tokenInvalid()
  return taken
}

/** Looks at a token without using it up. @throws as `takeToken` */
export async function peekToken(db: Db, purpose: TokenPurpose, token: string): Promise<MailToken> {
  const [found] = await db.select().from(mailTokens).where(usable(purpose, token))
  if (found === undefined) throw tokenInvalid()
  return found
}

const usable = (purpose: TokenPurpose, token: string) =>
  and(
    eq(mailTokens.token_hash, sha256(token)),
    eq(mailTokens.purpose, purpose),
    isNull(mailTokens.used_at),
    gt(mailTokens.expires_at, sql`now()`),
  )

export const tokenInvalid = () =>
  new Problem(
    'mail_token_invalid',
    'The link is unknown, expired, replaced by a newer one or was used; ask for a new one.',
  )

/** Ends every link a user was mailed, as when his address changes. */
export const dropTokens = (db: Db, userId: string) => db.delete(mailTokens).where(eq(mailTokens.user_id, userId))
