import { sql } from 'drizzle-orm'
import type { Db } from './client.ts'

/** The channel on which instances tell each other whose access changed. */
export const accessChannel = 'tenon_access'

/** Whose access changed: a session, an API key, all of a user, or all of an organisation. */
export type AccessChange = `session:${string}` | `key:${string}` | `user:${string}` | `org:${string}`

/** Tells every instance, when the transaction of the change commits. */
export const notifyAccess = (db: Db, change: AccessChange) =>
  db.execute(sql`select pg_notify(${accessChannel}, ${change})`)
