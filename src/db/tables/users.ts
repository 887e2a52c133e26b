import { boolean, integer, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { bytea, changeTracking, instant } from './columns.ts'

/** A person. `email` is canonical (NFKC, lower case, IDN to ASCII), so one address is one account. */
export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey(),
    email: text().notNull(),
    username: text(),
    full_name: text(),
    password_hash: text().notNull(),
    is_active: boolean().notNull().default(true),
    is_superuser: boolean().notNull().default(false),
    email_verified_at: instant(),
    last_login_at: instant(),
    locale: text(),
    /** Sealed; a second factor only once it is confirmed. */
    totp_secret: bytea(),
    totp_confirmed_at: instant(),
    /** The time step of the newest code that was used, so that none works twice. */
    totp_last_step: integer(),
    ...changeTracking(),
  },
  (table) => [uniqueIndex('users_email').on(table.email), uniqueIndex('users_username').on(table.username)],
)
