import { PgDialect } from 'drizzle-orm/pg-core'
import { drizzle, type PostgresJsDatabase, PostgresJsSession, PostgresJsTransaction } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'

/** Times are in the unit of their suffix; a statement, lock or idle timeout of 0 means none. */
export type PoolOptions = {
  url: string
  /** What `pg_stat_activity` shows as application_name. */
  name: string
  /** Connections at most; they are opened on demand. */
  max: number
  /** How long a query or a transaction waits for a connection before it is rejected. */
  acquireTimeoutMs: number
  statementTimeoutMs: number
  lockTimeoutMs?: number
  idleInTransactionTimeoutMs?: number
  maxLifetimeS: number
}

/** The raw client. Its rows have the wire form already; a JSON value that it sends is an object, an array or JSON text. */
type Sql = postgres.Sql
export type TransactionSql = postgres.TransactionSql
/** The Drizzle handle of a pool or of a transaction. */
export type Db = PostgresJsDatabase<Record<string, never>>

/** One pool of connections, seen through Drizzle and as a raw client. */
export type Pool = {
  sql: Sql
  db: Db
  /**
   * Runs `run` in one transaction, committed when it resolves and rolled back when it rejects. The handles serve this
   * transaction only: once it has ended, or its connection is lost, their statements reject. A lost connection rejects
   * the transaction at once, even while `run` waits for something else.
   */
  transaction<T>(run: (db: Db, sql: TransactionSql) => Promise<T>): Promise<T>
  /** Lets running statements end, for five seconds at most, and closes every connection. */
  close(): Promise<void>
}

/**
 * A pool that connects when it is first used.
 * @throws Error when the driver lacks the patch of `patches/`
 */
export function createPool(options: PoolOptions): Pool {
  const client = postgres(options.url, {
    max: options.max,
    max_lifetime: options.maxLifetimeS,
    // A connection that is behind takes two more queries, no more: a deep pipeline strands short reads behind a slow one.
    max_pipeline: 2,
    acquire_timeout: options.acquireTimeoutMs,
    connect_timeout: 5,
    backoff: (attempt) => Math.min(0.01 * 3 ** attempt, 1),
    fetch_types: false,
    onnotice: () => undefined,
    connection: sessionOf(options),
  })
  if (!('acquire_timeout' in client.options))
    throw new Error(
      'The postgres driver is unpatched: run `npx patch-package` (npm ci with --ignore-scripts skips it).',
    )
  const db: Db = drizzle(client)
  setTypes(client)
  const dialect = new PgDialect()
  return {
    sql: client,
    db,
    transaction: async <T>(run: (db: Db, sql: TransactionSql) => Promise<T>) => {
      const result = await client.begin((sql) => {
        const session: TransactionSession = new PostgresJsSession(sql as TransactionSql & Sql, dialect, undefined)
        return run(new PostgresJsTransaction(dialect, session, undefined), sql)
      })
      return result as T
    },
    close: () => client.end({ timeout: 5 }),
  }
}

type TransactionSession = ConstructorParameters<typeof PostgresJsTransaction<Empty, Empty>>[1]
type Empty = Record<string, never>

/** Driver and Node codes of a connection that cannot be had or was lost; ACQUIRE_TIMEOUT is the patch's. */
const connectionCodes = new Set([
  ...['ACQUIRE_TIMEOUT', 'CONNECT_TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_DESTROYED', 'CONNECTION_ENDED'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
])
/** SQLSTATE: connection exceptions, insufficient resources (53300 is too many connections) and shutdown. */
const unavailableState = /^(08...|53...|57P0[1235])$/

/**
 * Whether the database could not be reached, was lost or had no connection free, so that the request may be tried again
 * later. Looks through `cause`, in which Drizzle keeps the driver's error.
 */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return connectionCodes.has(code) || unavailableState.test(code) || isUnavailable(error.cause)
}

function sessionOf(options: PoolOptions): Record<string, string> {
  // As text, for the driver leaves a number 0 out and the role's own default would hold.
  return {
    application_name: options.name,
    TimeZone: 'UTC',
    DateStyle: 'ISO, YMD',
    // Compiling a statement of many sums takes 300 ms, more than the rows of most books, and gains nothing over a million.
    jit: 'off',
    statement_timeout: String(options.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs ?? 0),
    idle_in_transaction_session_timeout: String(options.idleInTransactionTimeoutMs ?? 0),
  }
}

type Parse = (text: string) => unknown
type Serialize = (value: unknown) => unknown

const oid = {
  bool: 16,
  int2: 21,
  int4: 23,
  int8: 20,
  float8: 701,
  numeric: 1700,
  text: 25,
  varchar: 1043,
  uuid: 2950,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  json: 114,
  jsonb: 3802,
}
/** Element type → array type. */
const arrays: [number, number][] = [
  [oid.bool, 1000],
  [oid.int2, 1005],
  [oid.int4, 1007],
  [oid.int8, 1016],
  [oid.float8, 1022],
  [oid.numeric, 1231],
  [oid.text, 1009],
  [oid.varchar, 1015],
  [oid.uuid, 2951],
  [oid.date, 1182],
  [oid.timestamp, 1115],
  [oid.timestamptz, 1185],
  [oid.jsonb, 3807],
]

/** Replaces what `drizzle()` did to the client's types: a row is the same from either handle, and ready for the wire. */
function setTypes({ options: { parsers, serializers, shared } }: Sql) {
  parsers[oid.timestamptz] = instant
  parsers[oid.int8] = integer
  for (const type of [oid.date, oid.timestamp, oid.timestamptz]) serializers[type] = time
  for (const type of [oid.json, oid.jsonb]) serializers[type] = json
  for (const [element, array] of arrays) {
    const parse: Parse = parsers[element] ?? String
    const serialize: Serialize = serializers[element] ?? String
    parsers[array] = (text) => parseArray(text, parse)
    serializers[array] = (value) => serializeArray(value, serialize)
    shared.typeArrayMap[element] = array
  }
}

/** `2026-11-21 02:58:30.123456+00` → `2026-11-21T02:58:30.123Z`; `infinity` and years before Christ stay as they are. */
const instant: Parse = (text) => {
  if (!text.endsWith('+00')) return text
  const space = text.indexOf(' ')
  const fraction = text
    .slice(space + 10, -3)
    .slice(0, 3)
    .padEnd(3, '0')
  return `${text.slice(0, space)}T${text.slice(space + 1, space + 9)}.${fraction}Z`
}

/** A count is a number; beyond 2⁵³ the digits stay text, so that none is lost. */
const integer: Parse = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text)

const time: Serialize = (value) => (value instanceof Date ? value.toISOString() : String(value))

const json: Serialize = (value) => (typeof value === 'string' ? value : JSON.stringify(value))

/** One dimension, as all our columns have. */
function parseArray(text: string, parse: Parse): unknown[] {
  return Array.from(text.matchAll(/[{,](?:"((?:[^"\\]|\\.)*)"|([^",{}]+))/gs), ([, quoted, plain = '']) =>
    plain === 'NULL' ? null : parse(quoted?.replace(/\\(.)/gs, '$1') ?? plain),
  )
}

function serializeArray(value: unknown, serialize: Serialize): unknown {
  if (!Array.isArray(value)) return value // Drizzle has written it already
  const items = value.map((item) => (item == null ? 'NULL' : `"${String(serialize(item)).replace(/["\\]/g, '\\$&')}"`))
  return `{${items.join(',')}}`
}

/**
 * The raw client under a Drizzle handle, of a pool or of a transaction. What runs through it is prepared, and its rows
 * have the wire form without being mapped.
 */
export const clientOf = (db: Db): Sql | TransactionSql =>
  (db._ as unknown as { session: { client: Sql | TransactionSql } }).session.client
