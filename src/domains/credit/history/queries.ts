import { getTableColumns, type SQL, sql } from 'drizzle-orm'
import { integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { listPage, oneOf } from '../../../db/list.ts'
import { type TenantScope, unseen } from '../../../db/scope.ts'
import { instant, tenantKey } from '../../../db/tables/columns.ts'
import { loans } from '../../../db/tables/credit.ts'
import { portfolioOfLoan } from '../loans/queries.ts'
import { LoanFields } from '../loans/schemas.ts'
import type { HistoryQuery, LoanChange } from './schemas.ts'

/** What {@link changesOf} yields; no table of the database. */
const changes = pgTable('changes', {
  ...tenantKey(),
  field: text().notNull(),
  before: jsonb(),
  after: jsonb(),
  kind: text().notNull(),
  version: integer().notNull(),
  changed_at: instant().notNull(),
  changed_by: uuid(),
  import_id: uuid(),
})

/** The fields of a row of `loans` or of a version as JSON; decimals are text, as on the wire. */
const state = sql.raw(
  `jsonb_build_object(${Object.entries(getTableColumns(loans))
    .filter(([name]) => name in LoanFields.properties)
    .map(([name, column]) => `'${name}', "${name}"${column.getSQLType().startsWith('numeric') ? '::text' : ''}`)
    .join(', ')})`,
)

/**
 * Every change of a field of a loan: each state, a version or the row itself, against the one before it; the first
 * against nothing, and nothing against the last one of a loan that is deleted.
 */
const changesOf = ({ org_id }: TenantScope, loanId: string): SQL => sql`(
  with states as (
    select version, known_from, known_to, import_id, superseded_by_user, superseded_by_import, ${state} as state
    from loan_versions where org_id = ${unseen({ org_id })} and loan_id = ${loanId}::uuid and as_of is null
    union all
    select version, updated_at, null, import_id, null, null, ${state}
    from ${loans} where org_id = ${unseen({ org_id })} and id = ${loanId}::uuid
  ), steps as (
    select version, known_from as changed_at, lag(state) over past as old, state as new,
      lag(superseded_by_user) over past as changed_by,
      case when lag(state) over past is null then import_id else lag(superseded_by_import) over past end as import_id
    from states window past as (order by version, known_from)
    union all
    select * from (
      select version + 1, known_to, state, null::jsonb, superseded_by_user, superseded_by_import
      from states order by version desc, known_from desc limit 1) as last (version, known_to)
    where known_to is not null
  )
  select ${org_id}::uuid as org_id, md5(version || field)::uuid as id, field, before, after,
    case when old is null then 'created' when new is null then 'deleted' else 'updated' end as kind,
    version, changed_at, changed_by, import_id
  from steps, jsonb_object_keys(coalesce(new, old)) as field,
    lateral (select nullif(old -> field, 'null') as before, nullif(new -> field, 'null') as after) as both_sides
  where before is distinct from after)`

/** As the driver read them: Drizzle would take the text of a decimal for JSON once more. */
const columns = { ...getTableColumns(changes), before: sql`"before"`, after: sql`"after"` }

const list = { table: changes, columns, sorts: { version: changes.version }, filters: { field: oneOf(changes.field) } }

/** What happened to the fields of a loan, also of one that is deleted. @throws Problem `not_found` */
export async function listLoanChanges(scope: TenantScope, loanId: string, query: HistoryQuery) {
  await portfolioOfLoan(scope, loanId)
  const spec = { ...list, name: `loan_changes ${loanId}`, from: changesOf(scope, loanId) }
  return listPage<typeof changes, LoanChange>(scope, spec, query)
}
