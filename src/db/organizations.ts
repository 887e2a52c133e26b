import { v7 as uuidv7 } from 'uuid'
import { slugOf } from '../lib/slug.ts'
import { recordEvent } from './audit.ts'
import { taken } from './errors.ts'
import type { TenantScope } from './scope.ts'
import { members, organizations } from './tables/organizations.ts'

/** Days during which an owner can bring a deleted organisation back. */
export const graceDays = 30

type NewOrganization = { name: string; code?: string | undefined; contact_email?: string | null | undefined }

/**
 * Makes an organisation and its owner, in the caller's transaction; without a code it gets one made of its name.
 * @throws Problem `already_exists` for a code that is taken
 */
export async function insertOrganization(
  scope: TenantScope,
  ownerId: string,
  { name, code, contact_email = null }: NewOrganization,
) {
  const { db } = scope
  const id = uuidv7()
  const insert = (free: string) =>
    db
      .insert(organizations)
      .values({ id, name, code: free, contact_email })
      .onConflictDoNothing({ target: organizations.code })
      .returning()
  const slug = slugOf(name)
  const [made] = await insert(code ?? slug)
  const [organization] = made || code !== undefined ? [made] : await insert(`${slug}-${uuidv7().slice(-8)}`)
  if (organization === undefined) throw codeTaken()
  await db.insert(members).values({ org_id: id, id: uuidv7(), user_id: ownerId, roles: ['owner'] })
  await recordEvent(
    { ...scope, org_id: id },
    {
      action: 'organization.created',
      subject_type: 'organization',
      subject_id: id,
      after: { name, code: organization.code },
    },
  )
  return organization
}

export const codeTaken = taken('/body/code', 'organisation has this code')
