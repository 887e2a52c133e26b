import { index, jsonb, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { instant, tenantKey } from './columns.ts'

/** The `org_id` of events that belong to no organisation: the platform's own. */
export const platformOrgId = '00000000-0000-0000-0000-000000000000'

/**
 * Append-only: the service's role has no UPDATE or DELETE here. No foreign keys, because the record
 * outlives what it tells of.
 */
export const auditEvents = pgTable(
  'audit_events',
  {
    ...tenantKey(),
    actor_id: uuid(),
    action: text().notNull(),
    subject_type: text().notNull(),
    subject_id: uuid(),
    before: jsonb().$type<Record<string, unknown>>(),
    after: jsonb().$type<Record<string, unknown>>(),
    request_id: text(),
    ip: text(),
    created_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    index('audit_events_created').on(table.org_id, table.created_at, table.id),
    index('audit_events_subject').on(table.org_id, table.subject_type, table.subject_id),
  ],
)
