import { finished } from 'node:stream/promises'
import type { TransactionSql } from '../../../db/client.ts'
import { databaseError } from '../../../db/errors.ts'
import { Problem } from '../../../lib/errors.ts'
import type { Chunk } from './chunk.ts'
import type { AsOf } from './job.ts'
import {
  createStaging,
  emptyStaging,
  flowInto,
  flowIntoSnapshots,
  insertMissing,
  insertNew,
  type Merged,
  nameOf,
  prepare,
  upsert,
  writeSnapshots,
} from './merge/queries.ts'
import type { Pace } from './pace.ts'
import type { Target } from './target.ts'

/** What became of a chunk: how many rows, and the numbers of those that were refused. */
export type Loaded = Omit<Merged, 'missed'> & { snapshots: number }

/**
 * Begins to load a chunk, and resolves when the server has it: then the caller may be busy while the server works.
 * Before that he should not be, for each of the few round trips would wait for him.
 */
export type Store = (chunk: Chunk) => Promise<{ loaded: Promise<Loaded> }>

export type Destination = {
  mode: 'insert' | 'upsert'
  target: Target
  importId: string
  /** Columns that are the same in every row, beside the keys. */
  constants: readonly string[]
  /** The columns a row fills, without its keys. */
  columns: readonly string[]
  /** Those of them that the file does not have. */
  derived: readonly string[]
  asOf: AsOf | undefined
  pace: Pace
}

/** The columns of a row in the order in which the row writer gives their values. */
const copied = ({ target, constants, columns }: Destination) => [
  'org_id',
  target.parent.column,
  'import_id',
  ...constants,
  'id',
  ...columns,
]

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/** After a chunk with duplicates, so many chunks at most take the careful way before COPY is tried again. */
const carefulMax = 64

const attemptsMax = 10

/**
 * Loads chunks into the target's table, inside the transaction of `sql`, one at a time.
 *
 * Rows that are to be inserted are copied straight into the table, which costs what `\copy` costs; where the table
 * refuses one, the chunk is undone and merged from a staging table, which can refuse none. What needs a look at other
 * rows (an upsert, a reference, snapshots) always merges.
 */
export function createStore(sql: TransactionSql, destination: Destination): Store {
  const { mode, target, asOf, pace } = destination
  const table = quoted(nameOf(target))
  const all = copied(destination).map(quoted).join(', ')
  const merging = mergeOf(sql, destination)
  let guarded = false
  let careful = 0
  let penalty = 1

  const copyInto = async (into: string, chunk: Chunk) => {
    const copy = await sql.unsafe(`copy ${into} (${all}) from stdin`).writable()
    const ended = finished(copy)
    // A refusal may come while pieces are written; it is met where the end is awaited.
    ended.catch(() => undefined)
    for (const piece of chunk.pieces()) {
      if (copy.destroyed) break
      copy.write(piece)
      await pace.giveWay()
    }
    copy.end()
    return { ended }
  }

  const merge: Store = async (chunk) => {
    await merging.empty()
    await (await copyInto('import_staging', chunk)).ended
    return { loaded: merging.load() }
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
    return { loaded: ended.then(() => ({ ...nothing, inserted: chunk.rows }), undo) }
  }

  return mode === 'insert' && asOf === undefined && target.reference === undefined ? copyOrMerge : merge
}

const nothing: Loaded = { inserted: 0, updated: 0, snapshots: 0, duplicates: [], unknown: [] }

/** The statements that bring a chunk from the staging table to where it belongs. */
function mergeOf(sql: TransactionSql, destination: Destination) {
  const { mode, target, importId, constants, columns, derived, asOf } = destination
  const flow = flowInto(target, constants, columns, derived)
  const create = prepare(sql, createStaging(target, copied(destination)))
  const empty = prepare(sql, emptyStaging)
  const backdated = asOf?.backdated === true
  const into =
    mode === 'insert'
      ? insertNew(target, flow)
      : backdated
        ? insertMissing(target, flow)
        : upsert(target, flow, importId)
  const rows = prepare<Merged>(sql, into)
  // An older tape says nothing of what is so now: its snapshots hold what its own columns say.
  const reported = backdated ? { fields: [...target.key, ...flow.fields], derived } : undefined
  const snapshots =
    asOf &&
    prepare<Merged>(
      sql,
      writeSnapshots(target, flowIntoSnapshots(target, reported), importId, asOf.date, {
        whole: !backdated,
        inserted: mode === 'insert',
      }),
    )
  let staged = false
  return {
    empty: async () => {
      await (staged ? empty() : create())
      staged = true
    },
    load: async (): Promise<Loaded> => {
      const { missed: _, ...loaded } = await untilAll(rows)
      const { inserted, updated } = snapshots ? await untilAll(snapshots) : flow.history?.dated ? loaded : nothing
      return { ...loaded, snapshots: inserted + updated }
    },
  }
}

/** Where other sessions wrote some of the rows at the same moment, what they wrote is seen at the next try. */
async function untilAll(run: () => Promise<Merged>): Promise<Merged> {
  const first = await run()
  for (let missed = first.missed, attempt = 1; missed > 0; attempt++) {
    if (attempt === attemptsMax)
      throw new Problem('unavailable', 'Other changes meet this import again and again; send it again.')
    const next = await run()
    first.inserted += next.inserted
    first.updated += next.updated
    missed = next.missed
  }
  return first
}
