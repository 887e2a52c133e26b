import { and, eq, inArray, isNull, or, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { notifyAccess } from '../../../db/access.ts'
import { recordEvent } from '../../../db/audit.ts'
import { withConstraints } from '../../../db/errors.ts'
import { containsText, listPage } from '../../../db/list.ts'
import { codeTaken, graceDays, insertOrganization } from '../../../db/organizations.ts'
import { enqueueMail } from '../../../db/outbox.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { sessions } from '../../../db/tables/identity.ts'
import { members, organizations } from '../../../db/tables/organizations.ts'
import { admission } from '../../../lib/address.ts'
import { withContact } from '../../../lib/email.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import { policyUnmet } from '../../../plugins/authorize.ts'
import { holdOwners } from '../members/queries.ts'
import { rolesHere } from '../roles/queries.ts'
import {
  assertActive,
  assertOwner,
  assertStaysIn,
  type Caller,
  canonicalPolicy,
  completePolicy,
  statusOf,
} from './rules.ts'
import type {
  Organization,
  OrganizationCreate,
  OrganizationQuery,
  OrganizationSummary,
  OrganizationUpdate,
} from './schemas.ts'

type Row = typeof organizations.$inferSelect

/** An organisation, and how the caller stands in it. */
export type Standing = { organization: Row; roles: string[]; permissions: ReadonlySet<string>; mfa: boolean }

const purge_due = sql`${organizations.deleted_at} + ${sql.raw(String(graceDays))} * interval '1 day'`

/** A membership counts while it is active; of a deleted organisation only its owners know, while they can restore it. */
const visible = and(
  members.is_active,
  or(isNull(organizations.deleted_at), and(sql`'owner' = any(${members.roles})`, sql`${purge_due} > now()`)),
)
const joins = and(eq(organizations.id, members.org_id), visible)

const { id, name, code, contact_email, is_active, deleted_at, version, created_at, updated_at } = organizations
const list = {
  name: 'organizations',
  table: members,
  owner: members.user_id,
  sorts: { created_at, name },
  filters: { q: containsText(name, code) },
  joined: {
    table: organizations,
    on: joins as NonNullable<typeof joins>,
    columns: {
      ...{ id, name, code, contact_email, is_active, deleted_at, version, created_at, updated_at },
      roles: members.roles,
    },
    id,
  },
}

type Listed = Omit<Row, 'settings'> & { roles: string[] }

/** The caller's own organisations. */
export async function listOrganizations(scope: TenantScope, caller: Caller, query: OrganizationQuery) {
  const page = await listPage<typeof members, Listed>({ ...scope, org_id: caller.user_id }, list, query)
  return { ...page, data: page.data.map(({ roles, ...organization }) => summaryOf(scope, organization, roles)) }
}

export function summaryOf(scope: TenantScope, row: Omit<Row, 'settings'>, roles: string[]): OrganizationSummary {
  const { is_active: _active, deleted_at: deleted, ...organization } = row
  const due = deleted === null ? null : new Date(Date.parse(deleted) + graceDays * 86_400_000).toISOString()
  const status = statusOf(row)
  return { ...organization, status, deletion_due_at: due, roles, is_current: row.id === scope.org_id }
}

/** An organisation as the caller may see it. */
export function present(scope: TenantScope, { organization, roles, permissions }: Standing): Organization {
  const { settings, ...row } = organization
  const manages = permissions.has('organization:manage')
  return { ...summaryOf(scope, row, roles), settings: manages ? completePolicy(settings) : null }
}

/**
 * The caller's membership in this organisation, whatever its policy says of him.
 * @param lock keeps the organisation as it is until the transaction ends
 * @throws Problem `not_found` where he is no member, `invalid_state` where his session is too old for the policy
 */
export async function findMembership({ db }: TenantScope, caller: Caller, orgId: string, lock?: 'lock') {
  const lifetime = sql`(${organizations.settings} ->> 'session_lifetime_s')::int * interval '1 second'`
  const query = db
    .select({
      organization: organizations,
      roles: members.roles,
      mfa: sessions.mfa,
      outlived: sql<boolean | null>`${sessions.created_at} + ${lifetime} <= now()`,
    })
    .from(members)
    .innerJoin(organizations, joins)
    .innerJoin(sessions, eq(sessions.id, caller.session_id))
    .where(and(eq(members.org_id, orgId), eq(members.user_id, caller.user_id)))
  const found = oneOr404(await (lock ? query.for('no key update', { of: organizations }) : query))
  if (found.outlived)
    throw new Problem('invalid_state', 'This organisation asks for a newer session than yours; sign in again.')
  return found
}

/**
 * How the caller stands in this organisation of his. Its policy holds here too, though another one may be active.
 * @throws Problem as `findMembership`, and `ip_not_allowed` or `mfa_required`
 */
export async function standingIn(scope: TenantScope, caller: Caller, orgId: string, lock?: 'lock'): Promise<Standing> {
  const found = await findMembership(scope, caller, orgId, lock)
  const { mfa_required, ip_allowlist } = found.organization.settings
  const admits = admission(ip_allowlist)
  const lacks_factor = mfa_required === true && !found.mfa && !caller.impersonated
  const unmet = policyUnmet({ lacks_factor, ...(admits && { admits }) }, caller.ip)
  if (unmet) throw unmet
  const { permissions } = await rolesHere({ ...scope, org_id: orgId }, found.roles)
  return { ...found, permissions }
}

export const createOrganization = (scope: TenantScope, caller: Caller, body: OrganizationCreate) =>
  scope.db.transaction(async (db) => {
    const made = await insertOrganization({ ...scope, db }, caller.user_id, withContact(body))
    return present(scope, await standingIn({ ...scope, db }, caller, made.id))
  })

export const getOrganization = async (scope: TenantScope, caller: Caller, orgId: string) =>
  present(scope, await standingIn(scope, caller, orgId))

/** @throws Problem `forbidden` without `organization:manage` there, and what is against the new policy */
export const updateOrganization = (
  scope: TenantScope,
  caller: Caller,
  orgId: string,
  { settings: change, ...fields }: OrganizationUpdate,
  seen?: number,
) =>
  withConstraints({ organizations_code: codeTaken }, () =>
    scope.db.transaction(async (db) => {
      const standing = await standingIn({ ...scope, db }, caller, orgId, 'lock')
      const { organization, permissions, mfa } = standing
      if (!permissions.has('organization:manage'))
        throw new Problem('forbidden', 'This needs the permission organization:manage in that organisation.')
      assertActive(organization)
      assertVersion(organization, seen)
      const policy = change && canonicalPolicy(change)
      if (policy) assertStaysIn(policy, { ip: caller.ip, mfa })
      const patch = {
        ...withContact(fields),
        ...(policy && { settings: { ...organization.settings, ...policy } }),
      }
      const changed = await store({ ...scope, db }, organization, patch, 'updated')
      return present(scope, { ...standing, organization: changed })
    }),
  )

function assertVersion({ version }: Row, seen = version): void {
  if (version !== seen)
    throw new Problem('version_mismatch', `The resource has version ${version} by now; read it again and repeat.`)
}

type Patch = PgUpdateSetSource<typeof organizations>

/** Changes the locked row, records what differs, and tells every instance. */
async function store({ db, actor }: TenantScope, before: Row, patch: Patch, verb: string): Promise<Row> {
  const names = Object.keys(patch) as (keyof Row)[]
  if (names.length === 0) return before
  const changed = await db
    .update(organizations)
    .set({ ...patch, version: sql`${version} + 1`, updated_at: sql`now()` })
    .where(eq(id, before.id))
    .returning()
  const after = oneOr404(changed)
  const differing = names.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
  const fieldsOf = (row: Row) => Object.fromEntries(differing.map((key) => [key, row[key]]))
  await recordEvent(
    { db, org_id: before.id, actor },
    {
      action: `organization.${verb}`,
      subject_type: 'organization',
      subject_id: before.id,
      before: fieldsOf(before),
      after: fieldsOf(after),
    },
  )
  await notifyAccess(db, `org:${before.id}`)
  return after
}

/**
 * Deletes an organisation, so that nobody reaches it: its sessions go on without it, its keys are refused. Its owners
 * are told, and can restore it in the days of grace.
 * @throws Problem `forbidden` for who does not own it
 */
export const deleteOrganization = (scope: TenantScope, caller: Caller, orgId: string, seen?: number) =>
  scope.db.transaction(async (db) => {
    const { organization, roles } = await standingIn({ ...scope, db }, caller, orgId, 'lock')
    assertOwner(roles)
    assertActive(organization)
    assertVersion(organization, seen)
    const deleted = await store({ ...scope, db }, organization, { deleted_at: sql`now()` }, 'deleted')
    const belonging = db.select({ id: members.user_id }).from(members).where(eq(members.org_id, orgId))
    await db
      .update(sessions)
      .set({ org_id: null })
      .where(and(eq(sessions.org_id, orgId), inArray(sessions.user_id, belonging)))
    const { deletion_due_at } = summaryOf(scope, deleted, roles)
    const data = { organization_id: orgId, organization_name: deleted.name, deletion_due_at }
    for (const { email } of await holdOwners({ ...scope, db, org_id: orgId }))
      await enqueueMail(db, { template: 'organization_deleted', recipient: email, data })
  })

/** Brings a deleted organisation back. @throws Problem `invalid_state` for one that is not deleted, or by the platform */
export const restoreOrganization = (scope: TenantScope, caller: Caller, orgId: string) =>
  scope.db.transaction(async (db) => {
    const standing = await standingIn({ ...scope, db }, caller, orgId, 'lock')
    assertOwner(standing.roles)
    if (standing.organization.deleted_at === null)
      throw new Problem('invalid_state', 'The organisation is not deleted; there is nothing to restore.')
    if (!standing.organization.is_active)
      throw new Problem('invalid_state', 'The platform closed the organisation, and alone can bring it back; ask it.')
    const organization = await store({ ...scope, db }, standing.organization, { deleted_at: null }, 'restored')
    return present(scope, { ...standing, organization })
  })
