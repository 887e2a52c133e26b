import { index, jsonb, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { bytea, instant } from './columns.ts'

/**
 * The first answer to a POST that carried an `Idempotency-Key`, committed together with its effect: the row it made,
 * or any other answer, sealed since it may hold tokens.
 */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    org_id: uuid().notNull(),
    principal: text().notNull(),
    route: text().notNull(),
    key: text().notNull(),
    request_hash: text().notNull(),
    answer: bytea(),
    made: jsonb(),
    created_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.principal, table.route, table.key] }),
    // Rows come in the order of their times, so that the smallest of indexes finds the old ones.
    index('idempotency_keys_created').using('brin', table.created_at),
  ],
)
