import { getTableColumns, getTableName, type SQL, sql } from 'drizzle-orm'
import { getTableConfig, PgDialect, type PgTable } from 'drizzle-orm/pg-core'
import type { TransactionSql } from '../../../../db/client.ts'
import { type History, historyOfTable } from '../../../../db/history.ts'
import type { Target } from '../target.ts'

/** Rows of one import on their way into one table. */
export type Flow = {
  table: PgTable
  /** Columns that tell a row from all others: those of a unique index. */
  identity: readonly string[]
  /** The rows that index is about, where those are not all. */
  where: SQL | undefined
  /** Columns that stay as they are once a row is there. */
  fixed: readonly string[]
  /** Columns that a change sets and that are no change by themselves. */
  stamps: readonly string[]
  /** The row's own columns. */
  fields: readonly string[]
  /** Those of them that replace a value only by a value. */
  derived: readonly string[]
  history: History | undefined
}

const dialect = new PgDialect()

/** A statement that is built and parsed once. @returns runs it, and gives its first row */
export function prepare<T>(sql: TransactionSql, statement: SQL): () => Promise<T> {
  const { sql: text, params } = dialect.sqlToQuery(statement)
  return async () => (await sql.unsafe<T[]>(text, params as never[], { prepare: true }))[0] as T
}

const staging = sql.identifier('import_staging')

const list = (parts: readonly SQL[], separator = sql`, `) => sql.join([...parts], separator)
const column = (name: string) => sql.identifier(name)
const columns = (names: readonly string[]) => list(names.map((name) => sql`${column(name)}`))
const of = (alias: string, names: readonly string[]) =>
  list(names.map((name) => sql`${sql.raw(alias)}.${column(name)}`))
/** As a row, also where it is of one column. */
const row = (parts: SQL) => sql`row(${parts})`
const all = ({ fixed, stamps, fields }: Flow) => columns([...fixed, ...stamps, ...fields])
const tableOf = (table: PgTable) => column(getTableName(table))

/** The name of the table that a target's rows go to. */
export const nameOf = ({ table }: Target): string => getTableName(table)

/** The unique index that holds these columns. */
function identityOf(table: PgTable, names: readonly string[]) {
  for (const { config } of getTableConfig(table).indexes) {
    const identity = config.columns.map((one) => ('name' in one ? String(one.name) : ''))
    if (config.unique && names.every((name) => identity.includes(name))) return { identity, where: config.where }
  }
  throw new Error(`No unique index of ${getTableName(table)} is about ${names.join(', ')}.`)
}

/** @param fields the columns a row fills, without its keys */
export function flowInto(
  target: Target,
  constants: readonly string[],
  fields: readonly string[],
  derived: readonly string[],
): Flow {
  const { table, parent, key, reference } = target
  const found = identityOf(
    table,
    key.map((name) => (name === reference?.field ? reference.column : name)),
  )
  const named = reference ? [reference.column, ...(reference.copies ?? [])] : []
  const own = fields.filter((name) => name in getTableColumns(table))
  const fixed = new Set(['org_id', parent.column, 'id', ...named, ...found.identity])
  return {
    table,
    ...found,
    fixed: [...fixed],
    stamps: ['import_id', ...constants].filter((name) => !fixed.has(name)),
    fields: own.filter((name) => !fixed.has(name)),
    derived,
    history: historyOfTable(table),
  }
}

/**
 * How the same rows go into the table of snapshots.
 * @param reported what of a row; without it a snapshot is the whole row as it is in its table
 */
export function flowIntoSnapshots(
  { table, parent, snapshots }: Target,
  reported?: Pick<Flow, 'fields' | 'derived'>,
): Flow {
  if (snapshots === undefined) throw new Error('the target has no snapshots')
  const found = identityOf(snapshots.table, [snapshots.column, 'as_of'])
  const fixed = [...new Set([...found.identity, 'org_id', parent.column, 'id', 'created_at'])]
  const shared = Object.keys(getTableColumns(table)).filter(
    (name) => name in getTableColumns(snapshots.table) && ![...fixed, 'version', 'import_id'].includes(name),
  )
  const { fields, derived } = reported ?? { fields: shared, derived: [] }
  const history = historyOfTable(snapshots.table)
  return { table: snapshots.table, ...found, fixed, stamps: ['import_id'], fields, derived, history }
}

/** A table that can refuse no row, for those that COPY brings: `names`, and the name by which a row refers to another. */
export function createStaging({ table, reference }: Target, names: readonly string[]): SQL {
  const from = reference && sql`, ${tableOf(reference.table)} named`
  const types = names.map((name) =>
    name in getTableColumns(table) ? sql`t.${column(name)}` : sql`named.${column(name)}`,
  )
  return sql`create temp table ${staging} on commit drop as select ${list(types)} from ${tableOf(table)} t ${from ?? sql``} limit 0`
}

export const emptyStaging = sql`truncate ${staging}`

/**
 * The row of a table that has the identity of the staged row `s`, called `o`; as a lateral join.
 *
 * As the first that is not before it: an index in just this order is the only way to that, while for an equality the
 * planner takes any index that begins alike where it knows no better, and walks a whole portfolio for each row.
 */
const sameRow = (table: PgTable, identity: readonly string[], where?: SQL): SQL => sql`lateral (
  select * from (
    select * from ${tableOf(table)} t where ${row(of('t', identity))} >= ${row(of('s', identity))} ${where ? sql`and ${where}` : sql``}
    order by ${of('t', identity)} limit 1) o
  where ${row(of('o', identity))} = ${row(of('s', identity))}) o`

const later = (key: readonly string[]) => sql`
  not exists (select from ${staging} later where (${of('later', key)}) = (${of('s', key)}) and later.id > s.id)`

/** What was staged, of several rows with one key the last one; each has its number in the chunk where one may be refused. */
function stagedRows({ parent, key, reference }: Target): SQL {
  if (reference === undefined) return sql`select s.* from ${staging} s where ${later(key)}`
  const { table, field, column: id, copies = [] } = reference
  const copied = copies.map((name) => sql`, o.${column(name)}`)
  return sql`
    select s.*, o.id as ${column(id)} ${list(copied, sql``)},
      row_number() over (order by s.id) - 1 as _number,
      lead(s.id) over (partition by ${of('s', key)} order by s.id) is null and o.id is not null as _counts
    from ${staging} s left join ${sameRow(table, ['org_id', parent.column, field])} on true`
}

const numbers = (which: SQL) => sql`coalesce(array_agg(_number order by _number) filter (where ${which}), '{}')::int[]`

/** The numbers of the rows that name what is not there. */
const unknownOf = ({ reference }: Target) =>
  reference ? sql`(select ${numbers(sql`${column(reference.column)} is null`)} from staged)` : sql`'{}'::int[]`

/** What a statement of this module tells; `missed` rows met another change at the same moment, and are to be tried again. */
export type Merged = { inserted: number; updated: number; missed: number; duplicates: number[]; unknown: number[] }

/** Inserts what is new; the first row of a key stays. Ids are in the order of the file. */
export function insertNew(target: Target, flow: Flow): SQL {
  const known = target.reference ? sql`${column(target.reference.column)} is not null` : sql`true`
  const rows = target.reference
    ? stagedRows(target)
    : sql`select s.*, row_number() over (order by s.id) - 1 as _number from ${staging} s`
  return sql`
    with staged as materialized (${rows}),
    fresh as (
      insert into ${tableOf(flow.table)} (${all(flow)}) select ${all(flow)} from staged where ${known} order by id
      on conflict do nothing returning id)
    select (select count(*) from fresh)::int as inserted, 0 as updated, 0 as missed,
      ${numbers(sql`fresh.id is null and ${known}`)} as duplicates, ${unknownOf(target)} as unknown
    from staged left join fresh using (id)`
}

/** Inserts those rows that are new, whatever becomes of the others. */
export const insertMissing = (target: Target, flow: Flow): SQL => sql`
  with fresh as (
    insert into ${tableOf(flow.table)} (${all(flow)}) select ${all(flow)} from (${stagedRows(target)}) s order by id
    on conflict do nothing returning 1)
  select count(*)::int as inserted, 0 as updated, 0 as missed, '{}'::int[] as duplicates, '{}'::int[] as unknown from fresh`

/**
 * The last row of a key wins. It changes a row of the table only where something differs, and what was is kept where the
 * table has a history; what this import itself wrote before is replaced and leaves no trace.
 */
export const upsert = (target: Target, flow: Flow, importId: string): SQL =>
  write(flow, importId, stagedRows(target), {
    only: target.reference ? sql`_counts` : sql`true`,
    unknown: unknownOf(target),
    // A version 8 of the staged row's id, which no other row has: so ids of what is kept ascend, too.
    keptId: sql`overlay(s.id::text placing '8' from 15)::uuid`,
  })

/**
 * Writes the rows as they were reported for a date, after they went into their table.
 * @param inserted only those that this import inserted
 */
export function writeSnapshots(
  target: Target,
  flow: Flow,
  importId: string,
  asOf: string,
  { whole = false, inserted = false },
): SQL {
  const { table, snapshots, parent, key } = target
  const { identity } = identityOf(table, key)
  const reported = sql`
    select s.id, s.import_id, o.org_id, o.${column(parent.column)}, o.id as ${column(snapshots?.column ?? '')}, o.created_at,
      ${asOf}::date as as_of, ${of(whole ? 'o' : 's', flow.fields)}
    from (${stagedRows(target)}) s cross join ${sameRow(table, identity)}
    ${inserted ? sql`where o.id = s.id` : sql``}`
  return write(flow, importId, reported, {
    only: sql`true`,
    unknown: sql`'{}'::int[]`,
    keptId: sql`gen_random_uuid()`,
  })
}

function write(
  flow: Flow,
  importId: string,
  rows: SQL,
  { only, unknown, keptId }: { only: SQL; unknown: SQL; keptId: SQL },
): SQL {
  const { table, identity, where, stamps, fields, derived, history } = flow
  const into = tableOf(table)
  const fresh = (alias: string) => (name: string) =>
    derived.includes(name)
      ? sql`coalesce(${sql.raw(alias)}.${column(name)}, o.${column(name)})`
      : sql`${sql.raw(alias)}.${column(name)}`
  const differs =
    fields.length === 0
      ? sql`false`
      : sql`${row(of('o', fields))} is distinct from ${row(list(fields.map(fresh('s'))))}`
  const set = [
    ...fields.map((name) => sql`${column(name)} = ${fresh('excluded')(name)}`),
    ...stamps.map((name) => sql`${column(name)} = excluded.${column(name)}`),
    sql`version = o.version + (o.import_id is distinct from excluded.import_id)::int`,
    sql`${column(history?.since ?? 'updated_at')} = greatest(now(), o.${column(history?.since ?? 'updated_at')})`,
  ]
  const replaced = sql`(
    select o.*, ${keptId} as kept_id from staged s cross join lateral (
      select * from ${into} o where o.org_id = s.org_id and o.id = s._old limit 1 for update) o
    where s._differs and not s._own and ${only}) replaced`
  const kept = history && sql`kept as (${history.keep(replaced, { user_id: null, import_id: importId })} returning 1),`
  return sql`
    with staged as materialized (
      select s.*, o.id as _old, o.id is not null and ${differs} as _differs,
        o.id is not null and o.import_id is not distinct from s.import_id as _own
      from (${rows}) s left join ${sameRow(table, identity, where)} on true),
    ${kept ?? sql``}
    inserted as (
      insert into ${into} (${all(flow)}) select ${all(flow)} from staged where _old is null and ${only} order by id
      on conflict do nothing returning 1),
    updated as (
      insert into ${into} as o (${all(flow)}) select ${all(flow)} from staged
      where _differs and ${only} ${kept ? sql`and (select count(*) from kept) >= 0` : sql``}
      on conflict (${columns(identity)}) ${where ? sql`where ${where}` : sql``} do update set ${list(set)} returning 1)
    select (select count(*) from inserted)::int as inserted,
      (select count(*) from staged where _differs and not _own and ${only})::int as updated,
      ((select count(*) from staged where _old is null and ${only}) - (select count(*) from inserted))::int as missed,
      '{}'::int[] as duplicates, ${unknown} as unknown`
}
