import { boolean, index, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { changeTracking, instant, tenantKey } from './columns.ts'
import { users } from './users.ts'

/** What an organisation asks of its members; what is left out asks nothing. */
export type Policy = {
  /** A session ends so long after its sign-in, however often it is refreshed. */
  session_lifetime_s?: number | null
  mfa_required?: boolean
  /** Addresses and networks (CIDR); an empty list lets everybody in. */
  ip_allowlist?: string[]
  /** Domains that members' addresses may have; an empty list allows all. */
  allowed_email_domains?: string[]
}

/** Suspended by the platform where it is not active; deleted by its owner where `deleted_at` is set, and gone 30 days later. */
export const organizations = pgTable(
  'organizations',
  {
    id: uuid().primaryKey(),
    name: text().notNull(),
    code: text().notNull(),
    contact_email: text(),
    is_active: boolean().notNull().default(true),
    deleted_at: instant(),
    settings: jsonb().$type<Policy>().notNull().default({}),
    ...changeTracking(),
  },
  (table) => [uniqueIndex('organizations_code').on(table.code)],
)

/** Who belongs to an organisation, and as what: names of built-in or of its own roles; permissions are their union. */
export const members = pgTable(
  'members',
  {
    ...tenantKey(),
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    roles: text().array().notNull(),
    is_active: boolean().notNull().default(true),
    /** The organisation made this account: its administrators may change the profile and delete it. */
    managed: boolean().notNull().default(false),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('members_user').on(table.org_id, table.user_id),
    index('members_user_id').on(table.user_id),
    index('members_created').on(table.org_id, table.created_at, table.user_id),
  ],
)

/** The roles an organisation made for itself. Members hold a role by its name, so a name never changes. */
export const roles = pgTable(
  'roles',
  {
    ...tenantKey(),
    name: text().notNull(),
    description: text(),
    permissions: text().array().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('roles_name').on(table.org_id, table.name),
  ],
)

/** Who was asked to join. The secret half is in `mail_tokens`; the newest one counts. */
export const invitations = pgTable(
  'invitations',
  {
    ...tenantKey(),
    email: text().notNull(),
    roles: text().array().notNull(),
    /** pending, accepted, declined or cancelled; pending past `expires_at` is expired. */
    status: text().notNull().default('pending'),
    invited_by: uuid(),
    expires_at: instant().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    index('invitations_created').on(table.org_id, table.created_at, table.id),
    index('invitations_email').on(table.org_id, table.email),
  ],
)
