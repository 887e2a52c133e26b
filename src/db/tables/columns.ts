import { customType, integer, numeric, timestamp, uuid } from 'drizzle-orm/pg-core'

/** A point in time as the wire carries it, an ISO 8601 UTC string; whole milliseconds, so that a cursor loses nothing. */
export const instant = () => timestamp({ withTimezone: true, mode: 'string', precision: 3 })

/** Money: 20 digits, 4 of them after the point. */
export const money = () => numeric({ precision: 20, scale: 4 })

/** A share of one (rate, probability, severity) with 8 places. */
export const rate = () => numeric({ precision: 12, scale: 8 })

/** The two columns that every tenant table starts with; its primary key is `(org_id, id)`. */
export const tenantKey = () => ({ org_id: uuid().notNull(), id: uuid().notNull() })

/** What every mutable resource carries; `version` is its ETag. */
export const changeTracking = () => ({
  version: integer().notNull().default(1),
  created_at: instant().notNull().defaultNow(),
  updated_at: instant().notNull().defaultNow(),
})

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
