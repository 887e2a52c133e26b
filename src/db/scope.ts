import { type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Db } from './client.ts'

/**
 * Who acts, as the audit records it. `principal` names the credential: `user:<id>`, `key:<id>` for an API key (its
 * `user_id` is the maker's), or `anonymous:<network>` without one.
 */
type Actor = {
  user_id: string | null
  principal: string
  request_id: string
  ip: string
  api_key_id?: string | null
  /** The superuser who acts as this user. */
  impersonator_id?: string | null
}

/** One use of an `Idempotency-Key`: whose it is, for which route, and what was asked. */
export type KeyUse = {
  org_id: string
  principal: string
  route: string
  key: string
  /** What was asked, hashed, after the id of the key it is hashed with and a dot. */
  request_hash: string
  /** The same, hashed with each key that may have hashed the first use. */
  hashes: readonly string[]
  /** Whether an insert has claimed it: there may be one. */
  spent?: boolean
}

/**
 * What every tenant query takes: a handle, the organisation that the credential speaks for, and who asks.
 * `once` is there for the one insert that claims the key of its request in its own statement.
 */
export type TenantScope = { db: Db; org_id: string; actor: Actor; once?: KeyUse }

/** The one way to say "this tenant's rows". */
export const owned = (table: { org_id: PgColumn }, scope: { org_id: string | Placeholder }): SQL =>
  sql`${table.org_id} = ${unseen(scope)}`

/**
 * This tenant's id, such that the planner does not see whose it is. Of a tenant that its statistics do not know yet it
 * would expect one row; then it takes any index that begins with `org_id` for as good as the key, and walks all of the
 * tenant's rows for each that is looked for by its id.
 */
export const unseen = ({ org_id }: { org_id: string | Placeholder }): SQL => sql`(select ${org_id}::uuid)`

/** Gives the transaction the time that a change of a million rows takes. */
export const unhurried = sql`set local statement_timeout = '5min'`
