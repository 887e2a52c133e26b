import { and, asc, eq, getTableColumns, type InferSelectModel, sql } from 'drizzle-orm'
import { type AuditEvent, recordEvent } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import type { organizations } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { notFound, Problem } from '../../../lib/errors.ts'

type PlatformTable = typeof users | typeof organizations

/** The platform's own scope: its lists and its trail belong to no organisation. */
export const platformScope = (scope: TenantScope): TenantScope => ({ ...scope, org_id: platformOrgId })

/** Writes an event into the platform's trail, and into that of each organisation it concerns. */
export async function recordFor(scope: TenantScope, orgIds: readonly string[], event: AuditEvent): Promise<void> {
  for (const org_id of new Set([platformOrgId, ...orgIds])) await recordEvent({ ...scope, org_id }, event)
}

/**
 * Keeps the active superusers as they are until the transaction ends. Of two who take each other's rights at once, the
 * second finds out that he has none any more; and as nobody takes his own, one always remains.
 * @throws Problem `forbidden` when the caller is none any more
 */
export async function lockSuperusers({ db, actor }: TenantScope): Promise<void> {
  const all = await db
    .select({ id: users.id })
    .from(users)
    .where(and(users.is_superuser, users.is_active))
    .orderBy(asc(users.id))
    .for('update')
  if (!all.some(({ id }) => id === actor.user_id)) throw new Problem('forbidden', 'You are not a superuser any more.')
}

/** One row, which nobody else changes until the transaction ends. @throws Problem `not_found` */
export async function lockRow<T extends PlatformTable>(db: Db, of: T, id: string): Promise<InferSelectModel<T>> {
  const table: PlatformTable = of
  const [row] = await db.select(getTableColumns(table)).from(table).where(eq(table.id, id)).for('update')
  if (row === undefined) throw notFound()
  return row as InferSelectModel<T>
}

type Change = { action: string; subject_type: string; orgIds: readonly string[] }

/** Changes a locked row and records what differs; what is so already changes nothing. @returns whether it changed */
export async function changeRow<T extends PlatformTable>(
  scope: TenantScope,
  of: T,
  row: InferSelectModel<T>,
  patch: Partial<InferSelectModel<T>>,
  { action, subject_type, orgIds }: Change,
): Promise<boolean> {
  const table: PlatformTable = of
  const old = row as Record<string, unknown>
  const fields = Object.keys(patch).filter((name) => old[name] !== (patch as typeof old)[name])
  if (fields.length === 0) return false
  const values = { ...patch, version: sql`${table.version} + 1`, updated_at: sql`now()` }
  const [changed] = await scope.db
    .update(table)
    .set(values as never)
    .where(eq(table.id, row.id as string))
    .returning()
  const only = (from: object) => Object.fromEntries(fields.map((name) => [name, (from as typeof old)[name]]))
  const event = {
    action,
    subject_type,
    subject_id: row.id as string,
    before: only(row),
    after: only(changed as object),
  }
  await recordFor(scope, orgIds, event)
  return true
}
