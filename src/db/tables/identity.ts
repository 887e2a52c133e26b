import { boolean, index, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { bytea, instant } from './columns.ts'
import { organizations } from './organizations.ts'
import { users } from './users.ts'

/** A signed-in device. `org_id` is the active organisation, null for a superuser without one. */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid().primaryKey(),
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    org_id: uuid().references(() => organizations.id, { onDelete: 'set null' }),
    user_agent: text(),
    ip: text(),
    remember_me: boolean().notNull().default(false),
    created_at: instant().notNull().defaultNow(),
    last_seen_at: instant().notNull().defaultNow(),
    expires_at: instant().notNull(),
    revoked_at: instant(),
    revoked_reason: text(),
  },
  (table) => [index('sessions_user_id').on(table.user_id)],
)

/** Every refresh token a session ever had, hashed: a used one that comes back reveals a theft. */
export const refreshTokens = pgTable(
  'refresh_tokens',
  {
    token_hash: bytea().primaryKey(),
    session_id: uuid()
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    created_at: instant().notNull().defaultNow(),
    used_at: instant(),
  },
  (table) => [index('refresh_tokens_session_id').on(table.session_id)],
)
