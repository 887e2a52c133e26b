import type { TObject } from '@sinclair/typebox'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { TenantScope } from './scope.ts'

type TenantTable = PgTable & { org_id: PgColumn; id: PgColumn }

/** What is wrong with a row beyond its schema; `field` is null where the whole row is meant. */
export type RowFault = { field: string | null; code: string; message: string }

/** What one import knows of its parent before the first row. */
export type OpenTarget = {
  /** Further columns that are the same in every row; where two rows differ in one of them only, they are the same. */
  constants?: Record<string, string>
  /** Judges a row that the schema accepts. */
  judge?: (row: Record<string, unknown>) => RowFault | undefined
}

/** By what tapes know a field, so that a mapping of one can be proposed. */
export type FieldHint = {
  /** What its column is called besides the field's own name, in words of lower case, the likeliest first. */
  names?: readonly string[]
  /** For a coded field: value → the words by which tapes say it. */
  words?: Readonly<Record<string, readonly string[]>>
  /** Values that are unlikely in any other column, by which it is recognised whatever it is called. */
  typical?: readonly string[]
  /** What columns are called that can stand in where its own is empty. */
  fallbacks?: readonly string[]
  /** The column of the parent's table that holds its value for every row. */
  parent?: string
  /** It is a share of one, so numbers above one are percents. */
  isShare?: true
  /**
   * What an empty cell says: `value`, unless a row says one of `unlessSaid` here, or an empty one has another of the
   * fields of `unlessFilled`.
   */
  empty?: { value: string; unlessSaid: readonly string[]; unlessFilled: readonly string[] }
}

/**
 * What the import engine needs to know of a resource to load it from CSV: a schema and a table.
 * Domains hand theirs to the imports domain, so neither imports the other.
 */
export type ImportTarget = {
  /** The resource, plural: the `target` of an import. */
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
  /**
   * The fields that are unique in their parent together, on which an upsert matches; the first one names the row. A unique
   * index of the table names them, with the parent, the constants and the reference's column at most.
   */
  key: readonly string[]
  /**
   * A field of the row that names a row of another table of the same parent by that table's column of the same name:
   * the id of what it names goes into `column`, and the field itself is stored only where the table has a column of its
   * name. A name that is not there is rejected with `code`. `copies` are columns taken over from the named row.
   */
  reference?: { field: string; table: TenantTable; column: string; code: string; copies?: readonly string[] }
  /**
   * Where an import with `as_of` writes the rows as they were reported for that date, and the column there that refers to
   * the row. Both tables have the same columns; without it the form takes no `as_of`.
   */
  snapshots?: { table: TenantTable; column: string }
  /** The fields that {@link derive} may fill. */
  derived: readonly string[]
  /** Fills what a row leaves out but implies, in place. */
  derive: (row: Record<string, unknown>) => void
  /** The columns that only an export has: a file that has them all is one, and they say nothing of its rows. */
  exported?: readonly string[]
  hints?: Readonly<Record<string, FieldHint>>
  /** Reads what rows are judged by. @throws Problem where the parent cannot take such rows at all */
  open?: (scope: TenantScope, parentId: string, asked: { as_of?: string }) => Promise<OpenTarget>
  /**
   * Completes and judges the rows together, in the transaction that loaded them; it leaves their `version` as it is.
   * @throws Problem that fails the import
   */
  settle?: (scope: TenantScope, parentId: string, importId: string) => Promise<void>
  /** Takes back what {@link settle} did to other rows, before the rows of an import that is rolled back are deleted. */
  unsettle?: (scope: TenantScope, parentId: string, importId: string) => Promise<void>
}
