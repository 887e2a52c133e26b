import { boolean, index, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { changeTracking, tenantKey } from './columns.ts'
import { users } from './users.ts'

export const organizations = pgTable(
  'organizations',
  {
    id: uuid().primaryKey(),
    name: text().notNull(),
    code: text().notNull(),
    contact_email: text(),
    is_active: boolean().notNull().default(true),
    settings: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    ...changeTracking(),
  },
  (table) => [uniqueIndex('organizations_code').on(table.code)],
)

/** Who belongs to an organisation, and as what; the permissions are the union of the roles'. */
export const members = pgTable(
  'members',
  {
    ...tenantKey(),
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    roles: text().array().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('members_user').on(table.org_id, table.user_id),
    index('members_user_id').on(table.user_id),
  ],
)
