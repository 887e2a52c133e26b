import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'

/** `hash` is the SHA-256 of `up`, whatever the line endings of the checkout. */
export type Migration = { tag: string; hash: string; up: string; down: string | undefined }
/** Drifted: its file is not what was applied. Unknown: applied here, but this version has no such file. */
export type MigrationState = {
  tag: string
  state: 'applied' | 'pending' | 'drifted' | 'unknown'
  applied_at: string | null
}

export type MigrateOptions = {
  /** The role that the service connects as; given its rights when it is not the one that migrates. */
  serviceRole?: string
  log?: (message: string) => void
  /** How long to wait for another migrator, and for a lock on a table. */
  waitMs?: number
  folder?: string
  /** The tag of the last migration to apply; all of them without it. */
  upTo?: string | undefined
}

/** A database that cannot be migrated; the message says what to do. Connection errors are not of this class. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

export const migrationsFolder = join(import.meta.dirname, '..', '..', 'drizzle')
export const breakpoint = '--> statement-breakpoint'
/** The key of the advisory lock that a migrator holds. */
export const migrationLock = 7_364_172_001
const oldestServer = 15

/** The migrations in the order in which they apply. */
export async function readMigrations(folder = migrationsFolder): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const text = async (name: string) => (await readFile(join(folder, name), 'utf8')).replaceAll('\r\n', '\n')
  return Promise.all(
    names
      .filter((name) => !name.endsWith('.down.sql'))
      .map(async (name) => {
        const tag = name.slice(0, -'.sql'.length)
        const up = await text(name)
        const down = names.includes(`${tag}.down.sql`) ? await text(`${tag}.down.sql`) : undefined
        return { tag, hash: createHash('sha256').update(up).digest('hex'), up, down }
      }),
  )
}

/**
 * Applies what is pending, each migration in its own transaction, while other migrators wait. Pass a direct
 * connection's URL: a transaction pooler gives a session lock away.
 * @returns the tags it applied
 * @throws MigrationError when one fails, drifted or is unknown, when others hold a lock too long, or the server is too old
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<string[]> {
  const migrations = await readMigrations(options.folder)
  return exclusively(url, options, async (session) => {
    const states = await readStates(session.sql, migrations)
    refuseUnsound(states)
    const pending = migrations.filter(
      ({ tag }) =>
        (options.upTo === undefined || tag <= options.upTo) &&
        states.some((one) => one.tag === tag && one.state === 'pending'),
    )
    for (const { tag, hash, up } of pending) {
      await run(session, tag, up, (sql) => sql`insert into tenon_migrations (tag, hash) values (${tag}, ${hash})`)
      options.log?.(`Applied migration ${tag}.`)
    }
    if (options.serviceRole) await grantService(session, options.serviceRole, options.log)
    return pending.map(({ tag }) => tag)
  })
}

/**
 * Undoes the newest applied migration by its down file.
 * @returns its tag, or undefined when none is applied
 * @throws MigrationError as `migrate` does, and when there is no down file
 */
export async function rollback(url: string, options: MigrateOptions = {}): Promise<string | undefined> {
  const migrations = await readMigrations(options.folder)
  return exclusively(url, options, async (session) => {
    const states = await readStates(session.sql, migrations)
    refuseUnsound(states)
    const tag = newestApplied(states)
    const down = migrations.find((one) => one.tag === tag)?.down
    if (tag === undefined) return undefined
    if (down === undefined) throw new MigrationError(`Migration ${tag} cannot be undone: ${tag}.down.sql is missing.`)
    await run(session, tag, down, (sql) => sql`delete from tenon_migrations where tag = ${tag}`)
    options.log?.(`Rolled back migration ${tag}.`)
    return tag
  })
}

/** What is applied and what is not, oldest first. Reads only. */
export async function migrationStates(url: string, folder?: string): Promise<MigrationState[]> {
  const migrations = await readMigrations(folder)
  return connected(url, undefined, ({ sql }) => readStates(sql, migrations))
}

/** The server's version, such as `15.19`. */
export async function serverVersion(url: string): Promise<string> {
  return connected(url, undefined, ({ sql }) => versionOf(sql))
}

/** @throws MigrationError when the server's version is older than the oldest that serves */
export function assertSupported(version: string): void {
  if (Number.parseInt(version, 10) < oldestServer)
    throw new MigrationError(`This is Postgres ${version}; Tenon needs ${oldestServer} or newer.`)
}

/** The tag that was applied last. */
export function newestApplied(states: MigrationState[]): string | undefined {
  return states
    .filter((one) => one.applied_at !== null)
    .sort((a, b) => (a.applied_at as string).localeCompare(b.applied_at as string) || a.tag.localeCompare(b.tag))
    .at(-1)?.tag
}

/** One connection, and whether it is still the one that holds the lock and the transaction. */
type Session = { sql: postgres.Sql; assertAlive(): void }

async function connected<T>(
  url: string,
  log: MigrateOptions['log'],
  work: (session: Session) => Promise<T>,
): Promise<T> {
  let lost = false
  const sql = postgres(url, {
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    fetch_types: false,
    onnotice: (notice) => log?.(notice.message ?? ''),
    onclose: () => {
      lost = true
    },
  })
  // The driver reconnects in silence, and a new connection has neither the lock nor the transaction.
  const assertAlive = () => {
    if (lost) throw new MigrationError('The connection to the database was lost; what was not committed is undone.')
  }
  try {
    return await work({ sql, assertAlive })
  } finally {
    await sql.end({ timeout: 5 })
  }
}

async function exclusively<T>(url: string, options: MigrateOptions, work: (session: Session) => Promise<T>) {
  const waitMs = options.waitMs ?? 60_000
  return connected(url, options.log, async (session) => {
    const { sql } = session
    assertSupported(await versionOf(sql))
    await sql`
      select set_config('search_path', 'public', false), set_config('client_min_messages', 'warning', false),
        set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false),
        set_config('lock_timeout', ${`${waitMs}ms`}, false)`
    await sql`select pg_advisory_lock(${migrationLock}::bigint)`.catch((error) => {
      if (error.code !== '55P03') throw error
      throw new MigrationError(
        `Another process has been migrating this database for more than ${waitMs / 1000} s. Try again when it is done.`,
        { cause: error },
      )
    })
    if (!(await hasHistory(sql)))
      await sql`create table tenon_migrations
        (tag text primary key, hash text not null, applied_at timestamptz not null default now())`
    return work(session)
  })
}

async function versionOf(sql: postgres.Sql): Promise<string> {
  const [row] = await sql`select current_setting('server_version') as version`
  return String(row?.version)
}

async function hasHistory(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql`select to_regclass('public.tenon_migrations') is not null as found`
  return row?.found === true
}

async function readStates(sql: postgres.Sql, migrations: Migration[]): Promise<MigrationState[]> {
  const applied = (await hasHistory(sql))
    ? await sql<{ tag: string; hash: string; applied_at: Date }[]>`select * from public.tenon_migrations`
    : []
  const known = migrations.map(({ tag, hash }): MigrationState => {
    const row = applied.find((one) => one.tag === tag)
    if (!row) return { tag, state: 'pending', applied_at: null }
    return { tag, state: row.hash === hash ? 'applied' : 'drifted', applied_at: row.applied_at.toISOString() }
  })
  const unknown = applied
    .filter(({ tag }) => !migrations.some((one) => one.tag === tag))
    .map(({ tag, applied_at }): MigrationState => ({ tag, state: 'unknown', applied_at: applied_at.toISOString() }))
  return [...known, ...unknown].sort((a, b) => a.tag.localeCompare(b.tag))
}

function refuseUnsound(states: MigrationState[]) {
  const drifted = states.filter(({ state }) => state === 'drifted').map(({ tag }) => tag)
  const unknown = states.filter(({ state }) => state === 'unknown').map(({ tag }) => tag)
  if (drifted.length > 0)
    throw new MigrationError(
      `Applied here and changed since: ${drifted.join(', ')}. Restore the files as they were applied, and put the change into a new migration.`,
    )
  if (unknown.length > 0)
    throw new MigrationError(
      `Applied here and unknown to this version: ${unknown.join(', ')}. A newer version has migrated this database: run that one, or roll back with it first.`,
    )
}

/** Its statements and the change of its row, all or nothing. */
async function run(
  { sql, assertAlive }: Session,
  tag: string,
  script: string,
  record: (sql: postgres.Sql) => PromiseLike<unknown>,
) {
  const statements = script
    .split(breakpoint)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replace(/--.*$/gm, '').trim() !== '')
  if (statements.length === 0) throw new MigrationError(`Migration ${tag} has no statement yet: write it first.`)
  let step = 'its begin'
  try {
    await sql`begin`
    for (const [index, statement] of statements.entries()) {
      assertAlive()
      step = `statement ${index + 1} of ${statements.length} (${statement.replace(/\s+/g, ' ').slice(0, 120)})`
      await sql.unsafe(statement)
    }
    assertAlive()
    step = 'its commit'
    await record(sql)
    await sql`commit`
    assertAlive()
  } catch (cause) {
    await sql`rollback`.catch(() => undefined)
    const reason = (cause as Error).message
    throw new MigrationError(`Migration ${tag} failed at ${step}: ${reason}`, { cause })
  }
}

const appendOnly = new Set(['audit_events', 'audit_seals'])

/**
 * The rights of the service's role on a table: the audit is append-only, the history is the migrator's. Where Postgres
 * has the right to maintain a table (17), the service may look at it again after it has loaded much into it.
 */
function rightsOn(table: string, maintain: boolean): string {
  if (appendOnly.has(table)) return 'INSERT, SELECT'
  if (table === 'tenon_migrations') return 'SELECT'
  return `DELETE, INSERT, ${maintain ? 'MAINTAIN, ' : ''}SELECT, UPDATE`
}

/** Gives the service's role what it needs on our tables and takes the rest; writes nothing where all is well. */
async function grantService({ sql }: Session, role: string, log: MigrateOptions['log']) {
  const [who] = await sql`
    select current_user = ${role} as same, r.oid is not null as found,
      has_schema_privilege(r.oid, 'public', 'usage') as usage,
      current_setting('server_version_num')::int >= 170000 as maintain
    from (values (1)) one left join pg_roles r on r.rolname = ${role}`
  if (who?.same) return
  if (!who?.found) throw new MigrationError(`The role "${role}" of DATABASE_URL does not exist: create it first.`)
  const tables = await sql<{ name: string; rights: string | null }[]>`
    select c.relname as name, (
      select string_agg(acl.privilege_type, ', ' order by acl.privilege_type)
      from aclexplode(c.relacl) acl join pg_roles r on r.oid = acl.grantee where r.rolname = ${role}) as rights
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and pg_has_role(c.relowner, 'usage') and pg_get_userbyid(c.relowner) <> ${role}`
  const wrong = tables.filter(({ name, rights }) => rights !== rightsOn(name, who.maintain)).map(({ name }) => name)
  if (!who.usage || wrong.length > 0) {
    await sql.unsafe(
      [
        `grant usage on schema public to ${quote(role)}`,
        ...wrong.flatMap((name) => [
          `revoke all on ${quote(name)} from ${quote(role)}`,
          `grant ${rightsOn(name, who.maintain)} on ${quote(name)} to ${quote(role)}`,
        ]),
      ].join(';'),
    )
    log?.(`Set the rights of the role "${role}".`)
  }
  const [left] = await sql`
    select has_table_privilege(${role}, 'audit_events', 'update, delete, truncate') as excess
    where to_regclass('audit_events') is not null`
  if (left?.excess)
    log?.(`The role "${role}" can still change audit_events: it is a superuser or has the owner's rights.`)
}

const quote = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
