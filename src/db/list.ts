import {
  and,
  asc,
  desc,
  getTableColumns,
  getTableName,
  type InferSelectModel,
  type Placeholder,
  type SQL,
  type SQLWrapper,
  Subquery,
  sql,
} from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import {
  cursorBinding,
  decodeCursor,
  encodeCursor,
  invalidCursor,
  type Page,
  type PageQuery,
  type Position,
} from '../lib/page.ts'
import type { Db } from './client.ts'
import { cellOf } from './copy-out.ts'
import { databaseError } from './errors.ts'
import { prepared, unprepared } from './prepared.ts'
import { owned, type TenantScope } from './scope.ts'

type ListedTable = PgTable & { id: PgColumn; org_id?: PgColumn }

/** A filter as SQL; its value comes through a placeholder, so that each set of filters is one prepared statement. */
export type Filter = (value: SQL) => SQL

export type ListSpec<T extends ListedTable> = {
  name: string
  table: T
  /** The columns a client may sort by, under their wire names. */
  sorts: Record<string, PgColumn>
  filters: Record<string, Filter>
  /** What a row shows, where that is not the columns of the table; what it sorts by and `id` must be among it. */
  columns?: Columns
  /** Where the rows come from, if not the table as it is: a select of its columns. */
  from?: SQL
  /** For a resource made of two tables: the second, how it joins, the columns of both, and the one that is the `id`. */
  joined?: { table: PgTable; on: SQL; columns: Columns; id: PgColumn }
  /**
   * The column that says whose the rows are, where that is no organisation: the scope's `org_id` is then its value. Null
   * where they are nobody's: all of them are listed, so the routes are the platform's.
   */
  owner?: PgColumn | null
  /** What holds for every row of the list. */
  where?: SQL
}

type Columns = Record<string, PgColumn | SQL>

/** `q`: the text somewhere in one of the columns, whatever its case; `%` and `_` mean themselves. */
export const containsText =
  (...columns: PgColumn[]): Filter =>
  (value) => {
    const pattern = sql`'%' || regexp_replace(${value}::text, '([\\\\%_])', '\\\\\\1', 'g') || '%'`
    return sql`(${sql.join(
      columns.map((column) => sql`${column} ilike ${pattern}`),
      sql` or `,
    )})`
  }

/** A comma-separated list of words. */
export const oneOf =
  (column: PgColumn): Filter =>
  (value) =>
    sql`${column} = any(string_to_array(${value}::text, ','))`

/** A comparison with a value of the column's own type. */
export const compare =
  (column: PgColumn, operator: '=' | '>=' | '<=' = '='): Filter =>
  (value) =>
    sql`${column} ${sql.raw(operator)} ${value}::${sql.raw(column.getSQLType())}`

/** SQLSTATE class of values that a type cannot hold: a cursor that was tampered with. */
const dataException = '22'

/**
 * One page of this tenant's rows: keyset paging, so the ten-thousandth page costs what the first does.
 * Ties are broken by id; nulls of a nullable sort column come last.
 * @throws Problem `invalid_cursor` for a cursor of another list, sort, filter or organisation
 */
export async function listPage<T extends ListedTable, Row = InferSelectModel<T>>(
  scope: TenantScope,
  spec: ListSpec<T>,
  query: PageQuery & Record<string, unknown>,
): Promise<Page<Row>> {
  const { limit = 50, cursor, sort = '', total, ...values } = query
  const filters = Object.keys(values).filter((name) => values[name] !== undefined)
  const binding = cursorBinding(scope.org_id, spec.name, sort, values)
  const position = cursor === undefined ? undefined : decodeCursor(binding, cursor)
  const sortName = sort.replace('-', '')
  const sortColumn = spec.sorts[sortName] as PgColumn
  const start = position === undefined ? 'first' : position.value === null ? 'nulls' : 'after'
  const shape = [sort, start, ...filters.sort()].join(' ')
  const build = (db: Db, name: string) => {
    const direction = sort.startsWith('-') ? desc : asc
    const id = spec.joined?.id ?? spec.table.id
    return rowsOf(db, spec)
      .where(
        and(
          ownRows(spec, sql.placeholder('org_id')),
          spec.where,
          ...filters.map((filter) => spec.filters[filter]!(sql`${sql.placeholder(filter)}`)),
          after(id, sortColumn, sort.startsWith('-'), start),
        ),
      )
      .orderBy(...(sortColumn.notNull ? [] : [sql`${sortColumn} is null`]), direction(sortColumn), direction(id))
      .limit(sql.placeholder('limit'))
      .prepare(name)
  }
  // A table expression may hold values, which the next list of its shape does not share.
  const statement =
    spec.from === undefined ? prepared(scope.db, `list_${spec.name}`, build, shape) : build(scope.db, unprepared)
  const rows = (await statement
    .execute({
      ...values,
      org_id: scope.org_id,
      limit: limit + 1,
      ...(position && { _value: position.value, _id: position.id }),
    })
    .catch((error: unknown) => {
      const unreadable = position !== undefined && databaseError(error)?.code.startsWith(dataException)
      throw unreadable ? invalidCursor(error) : error
    })) as Row[]
  const data = rows.slice(0, limit)
  const last = data.at(-1) as Record<string, unknown> | undefined
  const more = rows.length > limit && last !== undefined
  return {
    data,
    next_cursor: more
      ? encodeCursor(binding, { value: last[sortName] as Position['value'], id: last.id as string })
      : null,
    ...(total && { total: await countRows(scope, spec, values, total) }),
  }
}

/**
 * The whole of a list in its order, as a query for `copyOut`: every value in it is cast.
 * @param spec a list of the rows of one table as they are, with nothing computed or joined
 * @param names of the columns to show, as cells of CSV
 */
export function wholeList<T extends ListedTable>(
  scope: TenantScope,
  spec: ListSpec<T>,
  { sort = '', ...query }: PageQuery & Record<string, unknown>,
  names: readonly string[],
): SQL {
  const { limit: _limit, cursor: _cursor, total: _total, ...values } = query
  const { table, from, sorts, filters } = spec
  if (spec.columns ?? spec.joined ?? spec.owner) throw new Error(`The list ${spec.name} is no copy of a table's rows.`)
  const columns: Record<string, PgColumn> = getTableColumns(table)
  const cell = (name: string) => {
    if (columns[name] === undefined) throw new Error(`The list ${spec.name} has no column ${name} to copy.`)
    return cellOf(columns[name])
  }
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  const sortColumn = sorts[sort.replace('-', '')] as PgColumn
  const direction = sort.startsWith('-') ? desc : asc
  return sql`select ${sql.join(names.map(cell), sql`, `)} from ${from === undefined ? table : inPlaceOf(table, from)}
  where ${and(
    sql`${table.org_id} = ${scope.org_id}::uuid`,
    spec.where,
    ...given.map(([name, value]) => filters[name]!(sql`${value}`)),
  )}
  order by ${sortColumn.notNull ? sql`` : sql`${sortColumn} is null, `}${direction(sortColumn)}, ${direction(table.id)}`
}

/** The rows of whom the scope names, unless they are nobody's. */
const ownRows = <T extends ListedTable>({ table, owner }: ListSpec<T>, org_id: Placeholder) =>
  owner === null ? undefined : owned({ org_id: (owner ?? table.org_id) as PgColumn }, { org_id })

/** A select of the columns of a table, under the name of that table. */
export const inPlaceOf = (table: PgTable, select: SQL) =>
  new Subquery(select, getTableColumns(table), getTableName(table))

function rowsOf<T extends ListedTable>(db: Db, { table, from: source, columns, joined }: ListSpec<T>) {
  const from: PgTable = table
  if (source !== undefined)
    return db
      .select(columns ?? getTableColumns(from))
      .from(inPlaceOf(from, source))
      .$dynamic()
  if (joined !== undefined) return db.select(joined.columns).from(from).innerJoin(joined.table, joined.on).$dynamic()
  return (columns === undefined ? db.select() : db.select(columns)).from(from).$dynamic()
}

/** What lies after the cursor's row, as a row comparison that an index on (sort, id) can answer. */
function after(idColumn: PgColumn, column: PgColumn, downwards: boolean, start: 'first' | 'nulls' | 'after') {
  if (start === 'first') return undefined
  const beyond = sql.raw(downwards ? '<' : '>')
  const id = sql`${sql.placeholder('_id')}::uuid`
  if (start === 'nulls') return sql`${column} is null and ${idColumn} ${beyond} ${id}`
  const value = sql`${sql.placeholder('_value')}::${sql.raw(column.getSQLType())}`
  const further = sql`(${column}, ${idColumn}) ${beyond} (${value}, ${id})`
  return column.notNull ? further : sql`(${further} or ${column} is null)`
}

async function countRows<T extends ListedTable>(
  { db, org_id }: TenantScope,
  spec: ListSpec<T>,
  values: Record<string, unknown>,
  how: 'exact' | 'estimated',
): Promise<number> {
  const { table, from, filters, joined, owner } = spec
  const source: SQLWrapper =
    joined === undefined ? (from ? inPlaceOf(table, from) : table) : sql`${table} join ${joined.table} on ${joined.on}`
  const conditions = Object.entries(values).filter(([, value]) => value !== undefined)
  // The planner is told whose the rows are, so that it estimates those of this tenant.
  const mine = and(owner === null ? undefined : sql`${owner ?? table.org_id} = ${org_id}::uuid`, spec.where)
  const where = and(mine, ...conditions.map(([name, value]) => filters[name]!(sql`${value}`)))
  if (how === 'exact') {
    const [row] = await db.execute<{ count: number }>(sql`select count(*) as count from ${source} where ${where}`)
    return row?.count ?? 0
  }
  const [plan] = await db.execute<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    sql`explain (format json) select 1 from ${source} where ${where}`,
  )
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}
