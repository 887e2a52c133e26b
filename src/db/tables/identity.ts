import { boolean, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { bytea, changeTracking, instant, tenantKey } from './columns.ts'
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
    /** What the user agent says it is: `Firefox on Linux`. */
    device: text(),
    ip: text(),
    remember_me: boolean().notNull().default(false),
    /** Signed in with a second factor. */
    mfa: boolean().notNull().default(false),
    /** The superuser who acts as this user. */
    impersonator_id: uuid().references(() => users.id, { onDelete: 'cascade' }),
    created_at: instant().notNull().defaultNow(),
    last_seen_at: instant().notNull().defaultNow(),
    /** Moves with every refresh, never beyond `ends_at`. */
    expires_at: instant().notNull(),
    ends_at: instant().notNull(),
    stepped_up_at: instant(),
    revoked_at: instant(),
    revoked_reason: text(),
  },
  (table) => [index('sessions_user_id').on(table.user_id, table.created_at), index('sessions_ends').on(table.ends_at)],
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

/** What a mailed link proves: that its reader reads this address. Hashed, for one use and one purpose. */
export const mailTokens = pgTable(
  'mail_tokens',
  {
    token_hash: bytea().primaryKey(),
    /** verify_email, reset_password, change_email or invitation. */
    purpose: text().notNull(),
    email: text().notNull(),
    user_id: uuid().references(() => users.id, { onDelete: 'cascade' }),
    org_id: uuid().references(() => organizations.id, { onDelete: 'cascade' }),
    invitation_id: uuid(),
    /** The password of the registration that asked for the mail: only its own link makes it count. */
    password_hash: text(),
    created_at: instant().notNull().defaultNow(),
    expires_at: instant().notNull(),
    used_at: instant(),
  },
  (table) => [
    index('mail_tokens_user').on(table.user_id, table.purpose),
    index('mail_tokens_invitation').on(table.org_id, table.invitation_id),
    index('mail_tokens_expires').on(table.expires_at),
  ],
)

/** Mail to be sent, written in the transaction of what it tells; tokens are made when it is sent, so none lies here. */
export const mailOutbox = pgTable(
  'mail_outbox',
  {
    id: uuid().primaryKey(),
    template: text().notNull(),
    /** As typed by whoever asked for it; whether an account has it is found out when it is sent. */
    recipient: text().notNull(),
    data: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    created_at: instant().notNull().defaultNow(),
    due_at: instant().notNull().defaultNow(),
    attempts: integer().notNull().default(0),
    /** sent, dropped (nobody has the address, or too many), or failed. */
    outcome: text(),
    ended_at: instant(),
    last_error: text(),
  },
  (table) => [
    index('mail_outbox_due').on(table.outcome, table.due_at),
    index('mail_outbox_recipient').on(table.recipient, table.created_at),
  ],
)

/** Failed sign-ins, by what was tried: an account, known or not, or an account from one network; hashed. */
export const loginThrottles = pgTable(
  'login_throttles',
  {
    key: bytea().primaryKey(),
    failures: integer().notNull(),
    first_failed_at: instant().notNull().defaultNow(),
    locked_until: instant(),
  },
  (table) => [index('login_throttles_first').on(table.first_failed_at)],
)

/** Ways in for who lost the second factor: hashed, each for one use. */
export const recoveryCodes = pgTable(
  'recovery_codes',
  {
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    code_hash: bytea().notNull(),
    used_at: instant(),
  },
  (table) => [primaryKey({ columns: [table.user_id, table.code_hash] })],
)

/** A credential of a program: what its maker allowed it, as long as the maker himself may. */
export const apiKeys = pgTable(
  'api_keys',
  {
    ...tenantKey(),
    name: text().notNull(),
    /** The beginning of the key, by which people tell keys apart. */
    prefix: text().notNull(),
    key_hash: bytea().notNull(),
    permissions: text().array().notNull(),
    ip_allowlist: text().array().notNull(),
    /** Requests a minute; null for the service's own limit. */
    rate_limit: integer(),
    created_by: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    expires_at: instant(),
    last_used_at: instant(),
    revoked_at: instant(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('api_keys_hash').on(table.key_hash),
    index('api_keys_created').on(table.org_id, table.created_at, table.id),
  ],
)
