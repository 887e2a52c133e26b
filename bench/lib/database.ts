import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import type { Config } from '../../src/config.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openDatabase } from '../../src/db/open.ts'
import { tapeChunks, tapeColumns } from './loans.ts'
import { postmasterOf } from './processes.ts'

/** A migrated database of this run's own. */
export type Database = {
  /** As the service's role. */
  url: string
  /** As the owner. */
  ownerUrl: string
  sql: postgres.Sql
  version: string
  /** Process id of the postmaster, where it runs on this machine. */
  postmaster: number | undefined
  drop(): Promise<void>
}

const prefix = 'tenon_bench_'

/** Opens Postgres (the configured one, or an embedded one with its default settings) and makes a database in it. */
export async function createDatabase(config: Config): Promise<Database> {
  const server = await openDatabase(config, () => undefined)
  const admin = postgres(server.ownerUrl, { max: 1, onnotice: () => undefined })
  const closers = [server.stop, () => admin.end({ timeout: 5 })]
  const drop = async () => {
    for (const close of closers.reverse()) await close()
  }
  try {
    await dropLeftovers(admin)
    const made = await createIn(admin, server)
    closers.push(made.drop)
    return { ...made, drop }
  } catch (error) {
    await drop()
    throw error
  }
}

/** Another database of this run in the same Postgres; its owner drops it before the first. */
export const createBeside = ({ sql, url, ownerUrl }: Database): Promise<Database> => createIn(sql, { url, ownerUrl })

async function createIn(admin: postgres.Sql, server: { url: string; ownerUrl: string }): Promise<Database> {
  const name = `${prefix}${randomBytes(4).toString('hex')}`
  const at = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href
  const [url, ownerUrl] = [at(server.url), at(server.ownerUrl)]
  await admin`create database ${admin(name)}`
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => undefined })
  const drop = async () => {
    await sql.end({ timeout: 5 })
    await admin`drop database ${admin(name)} with (force)`
  }
  try {
    await migrate(ownerUrl, { serviceRole: decodeURIComponent(new URL(server.url).username) })
    const [row] = await sql`select pg_backend_pid() as pid, current_setting('server_version') as version`
    return { url, ownerUrl, sql, version: row?.version, postmaster: postmasterOf(row?.pid), drop }
  } catch (error) {
    await drop()
    throw error
  }
}

/** Databases of runs that were killed; one in use by another run stays. */
async function dropLeftovers(admin: postgres.Sql) {
  const left = await admin`select datname from pg_database where datname like ${`${prefix}%`}`
  for (const { datname } of left) await admin`drop database ${admin(datname)}`.catch(() => undefined)
}

/** Copies generated loans into portfolios in turn, the first the oldest. @returns their ids */
export async function seedLoans(
  { sql }: Database,
  count: number,
  where: { org_id: string; portfolios: string[] },
): Promise<string[]> {
  const start = Date.now() - count * 1_000
  const ids = Array.from({ length: count }, () => uuidv7())
  const keys = (index: number) =>
    [
      where.org_id,
      ids[index],
      where.portfolios[index % where.portfolios.length],
      new Date(start + index * 1_000).toISOString(),
    ].join(',')
  const names = ['org_id', 'id', 'portfolio_id', 'created_at', ...tapeColumns]
  const copy = await sql`copy loans (${sql(names)}) from stdin with (format csv)`.writable()
  await pipeline(Readable.from(tapeChunks(count, keys)), copy)
  await settle(sql)
  return ids
}

/** Leaves no work behind that would be done, and counted, later. */
async function settle(sql: postgres.Sql): Promise<void> {
  await sql`vacuum (analyze) loans`
  await sql`checkpoint`.catch(() => undefined) // not every owner may
}
