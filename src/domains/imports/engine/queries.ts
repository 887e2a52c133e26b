import { finished } from 'node:stream/promises'
import { getTableConfig } from 'drizzle-orm/pg-core'
import type { TransactionSql } from '../../../db/client.ts'
import { databaseError } from '../../../db/errors.ts'
import type { Chunk } from './chunk.ts'
import type { Target } from './target.ts'

/** What became of a chunk; `duplicates` are the numbers of the rows whose key was there already. */
export type Loaded = { inserted: number; updated: number; duplicates: number[] }

/**
 * Begins to load a chunk, and resolves when the server has it: then the caller may be busy while the server works.
 * Before that he should not be, for each of the few round trips would wait for him.
 */
export type Store = (chunk: Chunk) => Promise<{ loaded: Promise<Loaded> }>

export type Destination = {
  mode: 'insert' | 'upsert'
  target: Target
  /** The columns a row fills, without its keys. */
  columns: readonly string[]
  /** Those of them that the file does not have. */
  derived: readonly string[]
}

const name = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
const names = (identifiers: readonly string[]) => identifiers.map(name).join(', ')

/** The columns in front of a row's own, in the order in which the row writer is given their values. */
const keyColumns = ({ parent }: Target) => ['org_id', parent.column, 'import_id', 'id']

/** After a chunk with duplicates, so many chunks at most take the careful way before COPY is tried again. */
const carefulMax = 64

/**
 * Loads chunks into the target's table, inside the transaction of `sql`, one at a time.
 *
 * Rows that are to be inserted are copied straight into the table, which costs what `\copy` costs; where the table
 * refuses one, the chunk is undone and merged from a staging table, which can refuse none. An upsert always merges.
 */
export function createStore(sql: TransactionSql, destination: Destination): Store {
  const { mode, target, columns } = destination
  const table = name(getTableConfig(target.table).name)
  const all = names([...keyColumns(target), ...columns])
  let staged = false
  let guarded = false
  let careful = 0
  let penalty = 1

  const copyInto = async (into: string, chunk: Chunk) => {
    const copy = await sql.unsafe(`copy ${into} (${all}) from stdin`).writable()
    const ended = finished(copy)
    for (const piece of chunk.pieces()) copy.write(piece)
    copy.end()
    return { ended }
  }

  const merge: Store = async (chunk) => {
    await sql.unsafe(
      staged
        ? 'truncate import_staging'
        : `create temp table import_staging on commit drop as select ${all} from ${table} limit 0`,
    )
    staged = true
    await (await copyInto('import_staging', chunk)).ended
    const statement = mode === 'upsert' ? upsert(table, all, destination) : insertNew(table, all, target)
    const loaded = sql.unsafe<[Loaded]>(statement, [], { prepare: true }).then(([counts]) => counts)
    return { loaded }
  }

  const copyOrMerge: Store = async (chunk) => {
    if (careful-- > 0) return merge(chunk)
    await sql.unsafe(guarded ? 'release savepoint chunk; savepoint chunk' : 'savepoint chunk')
    guarded = true
    const { ended } = await copyInto(table, chunk)
    const undo = async (error: unknown) => {
      if (databaseError(error)?.code !== '23505') throw error
      await sql.unsafe('rollback to savepoint chunk')
      careful = penalty
      penalty = Math.min(penalty * 2, carefulMax)
      return (await merge(chunk)).loaded
    }
    return { loaded: ended.then(() => ({ inserted: chunk.rows, updated: 0, duplicates: [] }), undo) }
  }

  return mode === 'insert' ? copyOrMerge : merge
}

const conflict = ({ parent, key }: Target) => `on conflict (${names(['org_id', parent.column, key])})`

/** The first row of a key stays; ids are in the order of the file. */
const insertNew = (table: string, all: string, target: Target) => `
  with fresh as (
    insert into ${table} (${all}) select ${all} from import_staging order by id ${conflict(target)} do nothing
    returning id),
  numbered as (select id, row_number() over (order by id) - 1 as number from import_staging)
  select (select count(*) from fresh) as inserted, 0 as updated,
    coalesce(array_agg(number order by number) filter (where fresh.id is null), '{}')::int[] as duplicates
  from numbered left join fresh using (id)`

/**
 * The last row of a key wins, and changes a row of the table only where something differs; what was derived never
 * replaces a value by nothing.
 */
function upsert(table: string, all: string, { target, columns, derived }: Destination): string {
  const key = name(target.key)
  const changing = columns.filter((column) => column !== target.key)
  const fresh = (column: string) =>
    derived.includes(column) ? `coalesce(excluded.${name(column)}, old.${name(column)})` : `excluded.${name(column)}`
  const set = changing.map((column) => `${name(column)} = ${fresh(column)}`)
  const old = changing.map((column) => `old.${name(column)}`)
  const differs = changing.length === 0 ? 'false' : `(${old}) is distinct from (${changing.map(fresh)})`
  return `
    with written as (
      insert into ${table} as old (${all}) select ${all} from import_staging
      where not exists (select from import_staging later where later.${key} = import_staging.${key} and later.id > import_staging.id)
      ${conflict(target)}
      do update set ${[...set, 'import_id = excluded.import_id', 'version = old.version + 1', 'updated_at = now()']}
      where ${differs}
      returning version)
    select count(*) filter (where version = 1) as inserted, count(*) filter (where version > 1) as updated,
      '{}'::int[] as duplicates
    from written`
}
