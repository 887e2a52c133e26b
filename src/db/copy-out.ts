import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type SQL, sql } from 'drizzle-orm'
import { type PgColumn, PgDialect } from 'drizzle-orm/pg-core'
import { formulaCell } from '../lib/csv.ts'
import type { Pool } from './client.ts'

/**
 * COPY takes no parameters, so its values are settings of its transaction: none becomes part of the statement's text.
 * A setting is text, and must be cast where it is compared.
 */
class CopyDialect extends PgDialect {
  override escapeParam(index: number): string {
    return `current_setting('${settingOf(index)}')`
  }
}

const settingOf = (index: number) => `tenon.v${index}`

const dialect = new CopyDialect()

/** A column as the text of a cell: what a spreadsheet would run gets an apostrophe, as `csvRecord` gives it. */
export function cellOf(column: PgColumn): SQL {
  const type = column.getSQLType()
  if (type.startsWith('timestamp')) return sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
  if (type === 'boolean') return sql`${column}::text`
  if (type !== 'text' || column.enumValues !== undefined) return sql`${column}`
  // What begins with a digit or a letter is nearly all, and needs no closer look; a negative number stays one.
  return sql`case when ascii(${column}) not between 48 and 57 and ascii(${column}) not between 65 and 127
    and ${column} ~ '${sql.raw(formulaCell)}' and ${column} !~ '^-[0-9]+(\\.[0-9]+)?$'
    then '''' || ${column} else ${column} end`
}

/**
 * Runs a query and gives its rows as CSV records that Postgres has formatted, as fast as they are taken: while nobody
 * takes any, the query waits. It sees one state of the database from first to last.
 *
 * It holds a connection until its last row is taken or the stream is destroyed, so the pool is one that requests do without.
 * @param header the names of the columns
 * @throws whatever ends the query before its first row, a full pool included
 */
export function copyOut(pool: Pool, header: readonly string[], query: SQL): Promise<Readable> {
  const { sql: text, params } = dialect.sqlToQuery(query)
  return new Promise((started, failed) => {
    const records = new Records(`${header.join(',')}\r\n`, () => started(records))
    records.on('error', failed) // once it has started, whoever reads it sees the error, too
    const run = pool.transaction(async (_db, client) => {
      for (const [index, value] of params.entries())
        await client`select set_config(${settingOf(index)}, ${String(value)}, true)`
      const copy = client.unsafe(`copy (${text}) to stdout (format csv)`)
      const rows = await copy.readable()
      // Nobody reads the rest for a reader who has left.
      records.once('close', () => records.writableFinished || copy.cancel())
      await pipeline(rows, records)
    })
    run.catch((error: Error) => records.destroy(error))
  })
}

const [quote, lineFeed] = [34, 10]
const blockBytes = 65_536

/** Gathers rows of COPY into blocks and ends each as RFC 4180 has it, with CR and LF. */
class Records extends Transform {
  #block = Buffer.allocUnsafe(blockBytes)
  #used = 0
  #begin: (() => void) | undefined

  /** @param begin is called when there is a row, or none to come */
  constructor(header: string, begin: () => void) {
    super({ readableHighWaterMark: 4 * blockBytes })
    this.#begin = begin
    this.#add(Buffer.from(header))
  }

  /** A chunk is whole rows, nearly always one. */
  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#started()
    if (chunk.indexOf(lineFeed) === chunk.length - 1) this.#end(chunk)
    else for (const row of rowsOf(chunk)) this.#end(row)
    done()
  }

  override _flush(done: TransformCallback): void {
    this.#started()
    this.#send()
    done()
  }

  #started() {
    this.#begin?.()
    this.#begin = undefined
  }

  #end(row: Buffer) {
    this.#add(row.subarray(0, -1))
    this.#add(lineEnd)
  }

  #add(bytes: Buffer) {
    if (this.#used + bytes.length > this.#block.length) this.#send()
    if (bytes.length > this.#block.length) return void this.push(Buffer.from(bytes))
    this.#used += bytes.copy(this.#block, this.#used)
  }

  #send() {
    if (this.#used === 0) return
    this.push(this.#block.subarray(0, this.#used))
    this.#block = Buffer.allocUnsafe(blockBytes)
    this.#used = 0
  }
}

const lineEnd = Buffer.from('\r\n')

/** The rows of a chunk, each with its line feed; one within quotes ends none. */
function* rowsOf(chunk: Buffer): Generator<Buffer> {
  let quoted = false
  let start = 0
  for (let at = 0; at < chunk.length; at++) {
    if (chunk[at] === quote) quoted = !quoted
    if (chunk[at] !== lineFeed || quoted) continue
    yield chunk.subarray(start, at + 1)
    start = at + 1
  }
}
