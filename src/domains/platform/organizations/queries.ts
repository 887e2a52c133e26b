import { and, eq, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import { missingReference, withConstraints } from '../../../db/errors.ts'
import { containsText, listPage } from '../../../db/list.ts'
import { codeTaken, insertOrganization } from '../../../db/organizations.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { type BulkResult, runBulk } from '../../../lib/bulk.ts'
import { assertVersion, oneOr404, Problem } from '../../../lib/errors.ts'
import { changeRow, lockRow, platformScope } from '../shared/queries.ts'
import type {
  PlatformOrganization,
  PlatformOrganizationBulk,
  PlatformOrganizationCreate,
  PlatformOrganizationQuery,
  PlatformOrganizationSummary,
  PlatformOrganizationUpdate,
} from './schemas.ts'

const status = sql<PlatformOrganizationSummary['status']>`case
  when ${organizations.deleted_at} is not null then 'deleted'
  when not ${organizations.is_active} then 'suspended' else 'active' end`

const columns = {
  id: organizations.id,
  name: organizations.name,
  code: organizations.code,
  contact_email: organizations.contact_email,
  status,
  deleted_at: organizations.deleted_at,
  version: organizations.version,
  created_at: organizations.created_at,
  updated_at: organizations.updated_at,
}

const list = {
  name: 'platform_organizations',
  table: organizations,
  owner: null,
  columns,
  sorts: { created_at: organizations.created_at, name: organizations.name, code: organizations.code },
  filters: {
    q: containsText(organizations.name, organizations.code),
    status: (value: ReturnType<typeof sql>) => sql`(${status}) = ${value}`,
  },
}

export const listOrganizations = (scope: TenantScope, query: PlatformOrganizationQuery) =>
  listPage<typeof organizations, PlatformOrganizationSummary>(platformScope(scope), list, query)

/** Drizzle leaves the table's name away in what a select of one table shows, so it is written out here. */
const counts = {
  members: sql<number>`(select count(*) from members where org_id = organizations.id)`,
  owners: sql<number>`(select count(*) from members where org_id = organizations.id and 'owner' = any(roles))`,
  sessions: sql<number>`(select count(*) from sessions
    where org_id = organizations.id and revoked_at is null and least(expires_at, ends_at) > now())`,
  api_keys: sql<number>`(select count(*) from api_keys
    where org_id = organizations.id and revoked_at is null and coalesce(expires_at > now(), true))`,
  last_event_at: sql<string | null>`(select max(created_at) from audit_events where org_id = organizations.id)`,
}

export async function getOrganization({ db }: TenantScope, id: string): Promise<PlatformOrganization> {
  const found = db
    .select({ ...columns, ...counts })
    .from(organizations)
    .where(eq(organizations.id, id))
  return oneOr404(await found)
}

/** Makes an organisation; its owner is a user there is, or the caller. @param ownerEmail canonical */
export const createOrganization = (
  scope: TenantScope,
  { owner_id, owner_email: _, ...fields }: PlatformOrganizationCreate,
  ownerEmail: string | undefined,
): Promise<PlatformOrganization> =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const named =
      ownerEmail === undefined ? eq(users.id, owner_id ?? (scope.actor.user_id as string)) : eq(users.email, ownerEmail)
    const [owner] = await db.select({ id: users.id }).from(users).where(and(named, users.is_active)).for('share')
    if (owner === undefined) throw missingReference(ownerEmail === undefined ? '/body/owner_id' : '/body/owner_email')()
    const { id, name, code } = await insertOrganization(inside, owner.id, fields)
    const event = { action: 'organization.created', subject_type: 'organization', subject_id: id }
    await recordEvent(platformScope(inside), { ...event, after: { name, code, owner_id: owner.id } })
    await notifyAccess(db, `user:${owner.id}`)
    return getOrganization(inside, id)
  })

type Row = typeof organizations.$inferSelect

/** Changes an organisation and tells every instance; its own trail shows it, as the platform's does. */
const change = (
  scope: TenantScope,
  id: string,
  verb: string,
  patchOf: (row: Row) => Partial<Row>,
  version?: number,
): Promise<PlatformOrganization> =>
  withConstraints({ organizations_code: codeTaken }, () =>
    scope.db.transaction(async (db) => {
      const inside = { ...scope, db }
      const row = await lockRow(db, organizations, id)
      assertVersion(row, version)
      const event = { action: `organization.${verb}`, subject_type: 'organization', orgIds: [id] }
      await changeRow(inside, organizations, row, patchOf(row), event)
      await notifyAccess(db, `org:${id}`)
      return getOrganization(inside, id)
    }),
  )

export const updateOrganization = (
  scope: TenantScope,
  id: string,
  patch: PlatformOrganizationUpdate,
  version?: number,
) => change(scope, id, 'updated', () => patch as Partial<Row>, version)

/** Ends what its sessions and keys may do, at once and until it is restored. @throws Problem `invalid_state` for a deleted one */
export const suspendOrganization = (scope: TenantScope, id: string) =>
  change(scope, id, 'suspended', ({ deleted_at }) => {
    if (deleted_at !== null) throw new Problem('invalid_state', 'This organisation was deleted; restore it first.')
    return { is_active: false }
  })

/** Brings back what was suspended, or deleted less than 30 days ago. */
export const restoreOrganization = (scope: TenantScope, id: string) =>
  change(scope, id, 'restored', () => ({ is_active: true, deleted_at: null }))

/** Closes an organisation, which is gone 30 days later unless the platform restores it: its owners cannot. */
export const deleteOrganization = (scope: TenantScope, id: string, version?: number) =>
  change(
    scope,
    id,
    'deleted',
    ({ deleted_at }) => ({ is_active: false, ...(deleted_at === null && { deleted_at: sql`now()` as never }) }),
    version,
  )

/** Does the same to many organisations. */
export const bulkOrganizations = (
  scope: TenantScope,
  { action, ids, atomic = false }: PlatformOrganizationBulk,
): Promise<BulkResult> =>
  scope.db.transaction((db) => {
    const one = { suspend: suspendOrganization, restore: restoreOrganization, delete: deleteOrganization }[action]
    return runBulk(ids, atomic, async (id) => one({ ...scope, db }, id).then(() => id), 'ids')
  })
