import { getTableColumns, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { keepVersions } from './book.ts'
import { loans, loanVersions } from './tables/credit.ts'

/** Who replaced a state: a user or an import. */
type ReplacedBy = { user_id: string | null; import_id?: string }

/** How a table keeps what its rows were. */
export type History = {
  /** Whether a row is what something was at a date. */
  dated: boolean
  /** The column that says since when a row is what it is. */
  since: string
  /**
   * The CTE that keeps rows as they were before a change.
   * @param from a table expression with whole rows and a `kept_id` for each version
   */
  keep: (from: SQL, by: ReplacedBy) => SQL
  /** What tells the rows that hold from those of the past, where both are in one table; an SQL condition. */
  holds: SQL
  /** The columns beside `id` that tell whose and of what a row is. */
  keys: readonly string[]
  /** The state of a row `o` that an import replaced, among `loan_versions`, which are called `image`. */
  imageOf: SQL
}

const snapshotColumns = Object.keys(getTableColumns(loanVersions)).filter(
  (name) => !['id', 'known_to', 'superseded_by_import', 'superseded_by_user'].includes(name),
)
const names = sql.raw(snapshotColumns.map((name) => `"${name}"`).join(', '))

/** A snapshot that holds stays the same row; what it was becomes another, known until now. */
const keepSnapshots = (from: SQL, by: ReplacedBy): SQL => sql`
  insert into loan_versions (id, ${names}, known_to, superseded_by_import, superseded_by_user)
  select kept_id, ${names}, greatest(now(), known_from), ${by.import_id ?? null}::uuid, ${by.user_id}::uuid from ${from}`

const histories = new Map<PgTable, History>([
  [
    loans,
    {
      dated: false,
      since: 'updated_at',
      keep: (from, by) => keepVersions(from, by, sql`kept_id`),
      holds: sql`true`,
      keys: ['org_id', 'portfolio_id'],
      imageOf: sql`image.loan_id = o.id and image.as_of is null`,
    },
  ],
  [
    loanVersions,
    {
      dated: true,
      since: 'known_from',
      keep: keepSnapshots,
      holds: sql`(as_of is not null and known_to is null)`,
      keys: ['org_id', 'portfolio_id', 'loan_id', 'as_of', 'created_at'],
      imageOf: sql`image.loan_id = o.loan_id and image.as_of = o.as_of and image.known_to is not null`,
    },
  ],
])

/** The history of a table; undefined for one whose rows have no past. */
export const historyOfTable = (table: PgTable): History | undefined => histories.get(table)
