import { bigint, index, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { bytea, instant, tenantKey } from './columns.ts'

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
    /** The superuser who acted as `actor_id`. */
    impersonator_id: uuid(),
    /** The API key by which `actor_id`, its maker, acted. */
    api_key_id: uuid(),
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

/** Events that committed and are not in the chain yet. An event enters with its row and leaves with its seal. */
export const auditQueue = pgTable('audit_queue', { ...tenantKey() }, (table) => [
  primaryKey({ columns: [table.org_id, table.id] }),
])

/** The hash chain of each organisation, append-only too: each hash covers its event and the hash before. */
export const auditSeals = pgTable(
  'audit_seals',
  {
    org_id: uuid().notNull(),
    /** 1, 2, 3 … without a gap. */
    seq: bigint({ mode: 'number' }).notNull(),
    event_id: uuid().notNull(),
    hash: bytea().notNull(),
    sealed_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.seq] }),
    uniqueIndex('audit_seals_event').on(table.org_id, table.event_id),
  ],
)
