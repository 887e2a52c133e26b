import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { createPool, type Pool, type TransactionSql } from './client.ts'
import { type MigrateOptions, migrate, migrationStates, readMigrations } from './migrate.ts'

/** A table of a backup; `sum` adds up the hashes of its rows, in whatever order they are. */
type Table = { name: string; columns: string[]; rows: number; sum: string }
type Manifest = { format: 1; taken_at: string; server: string; migrations: Migration[]; tables: Table[] }
type Migration = { tag: string; hash: string }

/** A table that was written or read, and how long that took. */
export type Done = { name: string; rows: number; ms: number }

/** A backup that cannot be made or used; the message says what to do. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}

const manifestName = 'manifest.json'
const quote = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
const list = (columns: readonly string[]) => columns.map(quote).join(', ')

/** One connection of the owner without any timeout: a table may take as long as it takes. */
export const openOwner = (url: string): Pool =>
  createPool({
    url,
    name: 'tenon-backup',
    max: 1,
    acquireTimeoutMs: 10_000,
    statementTimeoutMs: 0,
    maxLifetimeS: 86_400,
  })

/**
 * Writes every table as it is at one moment, while the service goes on: one gzipped COPY file each, and a manifest.
 * @param folder does not exist yet; only its owner can read it
 */
export async function backup(url: string, folder: string): Promise<Done[]> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new BackupError(`${folder} is there already: name a new directory.`) : error
  })
  const known = await readMigrations()
  const applied = (await migrationStates(url)).filter(({ state }) => state !== 'pending')
  const unsound = applied.find(({ state }) => state !== 'applied')
  if (applied.length === 0) throw new BackupError('There are no tables here yet: nothing to back up.')
  if (unsound !== undefined)
    throw new BackupError(`Migration ${unsound.tag} is ${unsound.state} here: see npm run db -- list.`)
  const pool = openOwner(url)
  try {
    return await pool.transaction(async (_db, sql) => {
      await sql`set transaction isolation level repeatable read, read only`
      const done: Done[] = []
      const tables: Table[] = []
      for (const { name, columns } of await tablesOf(sql)) {
        const start = performance.now()
        const rows = await sql.unsafe(`copy ${quote(name)} (${list(columns)}) to stdout`).readable()
        await pipeline(rows, createGzip(), createWriteStream(fileOf(folder, name), { mode: 0o600 }))
        const state = await stateOf(sql, name, columns)
        tables.push({ name, columns, ...state })
        done.push({ name, rows: state.rows, ms: performance.now() - start })
      }
      const [moment] = await sql`select now() as taken_at, current_setting('server_version') as server`
      const migrations = known
        .filter(({ tag }) => applied.some((one) => one.tag === tag))
        .map(({ tag, hash }) => ({ tag, hash }))
      const manifest: Manifest = { format: 1, ...(moment as Pick<Manifest, 'taken_at' | 'server'>), migrations, tables }
      // Last, so that a backup that was cut short has none.
      await writeFile(join(folder, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 })
      return done
    })
  } finally {
    await pool.close()
  }
}

/**
 * Makes the tables by the migrations of the backup, fills them in one transaction, compares them with what was written,
 * and applies the migrations that came later.
 * @throws BackupError where the database holds rows, the backup is incomplete or damaged, or is of a newer version
 */
export async function restore(url: string, folder: string, options: MigrateOptions = {}): Promise<Done[]> {
  const manifest = await readManifest(folder)
  const pool = openOwner(url)
  try {
    await assertEmpty(pool)
    await migrate(url, { ...options, upTo: manifest.migrations.at(-1)?.tag })
    const done = await pool.transaction((_db, sql) => fill(sql, folder, manifest.tables))
    await migrate(url, options)
    return done
  } finally {
    await pool.close()
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, manifestName), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? new BackupError(`${folder} holds no ${manifestName}: it is no whole backup.`)
      : error
  })
  const manifest = JSON.parse(text) as Manifest
  const known = await readMigrations()
  const foreign = manifest.migrations.find(
    ({ tag, hash }) => !known.some((one) => one.tag === tag && one.hash === hash),
  )
  if (manifest.format !== 1 || foreign !== undefined)
    throw new BackupError(
      `The backup is of another version (${foreign?.tag ?? manifest.format}): restore it with that one.`,
    )
  return manifest
}

async function assertEmpty({ sql }: Pool): Promise<void> {
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'tenon_migrations'`
  for (const { name } of tables) {
    const [row] = await sql.unsafe(`select from ${quote(name)} limit 1`)
    if (row !== undefined)
      throw new BackupError(
        `The database is not empty: ${name} has rows. Restore into a new one, before a service uses it.`,
      )
  }
}

/** Foreign keys are made anew at the end, so that the order of the tables does not matter. */
async function fill(sql: TransactionSql, folder: string, tables: Table[]): Promise<Done[]> {
  const keys = await sql<{ drop: string; add: string }[]>`
    select format('alter table %s drop constraint %I', conrelid::regclass, conname) as drop,
      format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as add
    from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`
  for (const { drop } of keys) await sql.unsafe(drop)
  const made = await tablesOf(sql)
  const done: Done[] = []
  for (const { name, columns, rows, sum } of tables) {
    if (!made.some((one) => one.name === name && list(one.columns) === list(columns)))
      throw new BackupError(`The table ${name} is not what it was at the backup: restore into an empty database.`)
    const start = performance.now()
    await sql.unsafe(`truncate ${quote(name)}`)
    const into = await sql.unsafe(`copy ${quote(name)} (${list(columns)}) from stdin`).writable()
    await pipeline(createReadStream(fileOf(folder, name)), createGunzip(), into)
    const found = await stateOf(sql, name, columns)
    if (found.rows !== rows || found.sum !== sum)
      throw new BackupError(`${name} was restored as ${found.rows} rows, and not as the ${rows} that were written.`)
    done.push({ name, rows, ms: performance.now() - start })
  }
  for (const { add } of keys) await sql.unsafe(add)
  return done
}

const fileOf = (folder: string, table: string) => join(folder, `${table}.copy.gz`)

/** Our tables and their columns; the history of migrations is made by migrating. */
const tablesOf = (sql: TransactionSql) => sql<{ name: string; columns: string[] }[]>`
  select c.relname as name, array_agg(a.attname::text order by a.attname) as columns
  from pg_class c join pg_attribute a on a.attrelid = c.oid
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> 'tenon_migrations'
    and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  group by c.relname order by c.relname`

async function stateOf(sql: TransactionSql, name: string, columns: string[]): Promise<Pick<Table, 'rows' | 'sum'>> {
  const [state] = await sql.unsafe<[Pick<Table, 'rows' | 'sum'>]>(`
    select count(*) as rows, coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text as sum
    from (select ${list(columns)} from ${quote(name)}) t`)
  return state
}
