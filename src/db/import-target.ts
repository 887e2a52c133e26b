import type { TObject } from '@sinclair/typebox'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'

type TenantTable = PgTable & { org_id: PgColumn; id: PgColumn }

/**
 * What the import engine needs to know of a resource to load it from CSV: a schema and a table.
 * Domains hand theirs to the imports domain, so neither imports the other.
 */
export type ImportTarget = {
  /** The resource, plural: the last word of the path and the `target` of an import. */
  name: string
  /** Route of the import; `:id` is the parent. */
  path: string
  permission: string
  /** The wire model of one row without its parent: the same fields and rules as the resource's POST. */
  row: TObject
  /** The table; its columns bear the fields' names, and it has `import_id`, `version` and `updated_at`. */
  table: TenantTable
  /** Where the rows belong; `column` of `table` refers to it. */
  parent: { table: TenantTable; column: string }
  /** The field that is unique in its parent, on which an upsert matches. */
  key: string
  /** The fields that {@link derive} may fill. */
  derived: readonly string[]
  /** Fills what a row leaves out but implies, in place. */
  derive: (row: Record<string, unknown>) => void
}
