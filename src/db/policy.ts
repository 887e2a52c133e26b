import { eq } from 'drizzle-orm'
import { domainAllowed, domainOf } from '../lib/email.ts'
import { Problem } from '../lib/errors.ts'
import type { Db } from './client.ts'
import { organizations } from './tables/organizations.ts'

/**
 * Refuses whom the organisation's policy does not let join: for whoever is added, invited or accepts.
 * @param email canonical; its domain must be one of the policy's, subdomains are others
 * @throws Problem `email_domain_not_allowed`
 */
export async function assertEmailAllowed(db: Db, orgId: string, email: string): Promise<void> {
  const [found] = await db
    .select({ settings: organizations.settings })
    .from(organizations)
    .where(eq(organizations.id, orgId))
  if (!domainAllowed(email, found?.settings.allowed_email_domains)) throw domainRefused(email)
}

export const domainRefused = (email: string) =>
  new Problem(
    'email_domain_not_allowed',
    `This organisation takes only addresses of the domains it allows; ${domainOf(email)} is none of them.`,
  )
