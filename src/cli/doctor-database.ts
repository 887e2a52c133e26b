import type { Config } from '../config.ts'
import type { Pool } from '../db/client.ts'
import { findEmbedded } from '../db/embedded.ts'
import { assertSupported, migrationStates } from '../db/migrate.ts'
import { commandPool, reasonOf } from './database.ts'
import { type Finding, fail, ok, warn } from './doctor-findings.ts'
import { findAged } from './encryption.ts'

/** The database, and what can only be asked there. Starts no embedded Postgres. */
export async function checkDatabase(config: Config): Promise<Finding[]> {
  const { url: given, migrationUrl } = config.database
  const embedded = given === undefined ? await findEmbedded(config.dataDir) : undefined
  const url = given ?? embedded?.url
  if (url === undefined)
    return [
      warn('database', 'The embedded Postgres does not run: start the service and ask again, or set DATABASE_URL.'),
    ]
  const pool = commandPool(url)
  try {
    const server = await checkServer(pool, config)
    if (server.status === 'fail') return [server]
    return [
      server,
      await checkClock(pool),
      ...(await checkMigrations(url, migrationUrl)),
      ...(await checkTables(pool, migrationUrl !== undefined || embedded !== undefined, config)),
    ]
  } finally {
    await pool.close()
  }
}

async function checkServer({ sql }: Pool, { production, database }: Config): Promise<Finding> {
  let version = ''
  try {
    const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`
    version = row?.version ?? ''
    assertSupported(version)
  } catch (error) {
    if (version !== '') return fail('database', (error as Error).message)
    return fail('database', `It cannot be reached: ${reasonOf(error)}. Check DATABASE_URL, and that Postgres runs.`)
  }
  if (production && database.url === undefined)
    return warn('database', `The embedded Postgres ${version} serves, which nobody backs up: set DATABASE_URL.`)
  return ok('database', `Postgres ${version} answers.`)
}

/** Nothing that is stored depends on the application's clock, but access tokens are dated by it. */
async function checkClock({ sql }: Pool): Promise<Finding> {
  const before = Date.now()
  const [row] = await sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
  const after = Date.now()
  const apart = Math.abs((row?.ms ?? 0) - (before + after) / 2) - (after - before) / 2
  const seconds = (Math.max(0, apart) / 1_000).toFixed(1)
  if (apart <= 1_000) return ok('clock', 'The clocks of this machine and of the database agree within 1 s.')
  return (apart > 30_000 ? fail : warn)(
    'clock',
    `The clocks of this machine and of the database are ${seconds} s apart: have both follow NTP.`,
  )
}

async function checkMigrations(url: string, migrationUrl: string | undefined): Promise<Finding[]> {
  const owner: Finding[] = []
  if (migrationUrl !== undefined) {
    const pool = commandPool(migrationUrl)
    try {
      await pool.sql`select 1`
    } catch (error) {
      owner.push(
        fail(
          'migrations',
          `MIGRATION_DATABASE_URL cannot be reached: ${reasonOf(error)}. The next start would wait for it.`,
        ),
      )
    } finally {
      await pool.close()
    }
  }
  const states = await migrationStates(url)
  const tags = (state: string) => states.filter((one) => one.state === state).map(({ tag }) => tag)
  const [drifted, unknown, pending] = [tags('drifted'), tags('unknown'), tags('pending')]
  const findings = [
    ...(drifted.length > 0
      ? [fail('migrations', `Changed since they were applied: ${drifted.join(', ')}. Restore the files.`)]
      : []),
    ...(unknown.length > 0
      ? [
          fail(
            'migrations',
            `Applied by a newer version: ${unknown.join(', ')}. Run that version, or roll back with it.`,
          ),
        ]
      : []),
    ...(pending.length > 0
      ? [
          warn(
            'migrations',
            `Pending: ${pending.join(', ')}. The next start applies them; so does npm run db -- apply.`,
          ),
        ]
      : []),
  ]
  return [...owner, ...(findings.length > 0 ? findings : [ok('migrations', `All ${states.length} are applied.`)])]
}

/** What needs the tables: rights, backlog, and what is sealed. */
async function checkTables(pool: Pool, twoRoles: boolean, config: Config): Promise<Finding[]> {
  const [row] = await pool.sql`select to_regclass('public.audit_seals') is not null as there`
  if (!row?.there) return []
  return [await checkRights(pool, twoRoles), ...(await checkBacklog(pool)), await checkEncryption(pool, config)]
}

async function checkRights({ sql }: Pool, twoRoles: boolean): Promise<Finding> {
  const [rights] = await sql<{ role: string; lacking: string | null; excess: boolean }[]>`
    select current_user as role,
      has_table_privilege('audit_events', 'update, delete, truncate')
        or has_table_privilege('audit_seals', 'update, delete, truncate') as excess,
      (select string_agg(relname, ', ' order by relname) from pg_class
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
         and relowner = (select relowner from pg_class where oid = 'public.tenon_migrations'::regclass)
         and not (has_table_privilege(oid, 'select')
           and (relname = 'tenon_migrations' or has_table_privilege(oid, 'insert'))
           and (relname in ('tenon_migrations', 'audit_events', 'audit_seals')
             or (has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))))) as lacking`
  const { role, lacking, excess } = rights!
  if (lacking !== null)
    return fail(
      'rights',
      `The role ${role} lacks rights on ${lacking}: npm run db -- apply gives them, as does a start.`,
    )
  if (!excess) return ok('rights', `The role ${role} can add to the audit trail, and cannot change it.`)
  return twoRoles
    ? fail(
        'rights',
        `The role ${role} can change the audit trail: it must be no superuser and not the owner of the tables.`,
      )
    : warn(
        'rights',
        `The role ${role} can change the audit trail: give the service a role of its own, and the owner's as MIGRATION_DATABASE_URL.`,
      )
}

const mailLateMin = 10
const sealLateS = 10

async function checkBacklog({ sql }: Pool): Promise<Finding[]> {
  const [late] = await sql<{ mail: number; events: number }[]>`
    select
      (select count(*)::int from mail_outbox
       where outcome is null and due_at < now() - ${mailLateMin} * interval '1 minute') as mail,
      (select count(*)::int from audit_queue join audit_events using (org_id, id)
       where created_at < now() - ${sealLateS} * interval '1 second') as events`
  const { mail, events } = late!
  return [
    mail === 0
      ? ok('outbox', `No mail is more than ${mailLateMin} minutes late.`)
      : warn(
          'outbox',
          `${mail} mails are more than ${mailLateMin} minutes late: an instance must run with BACKGROUND_TASKS=on and SMTP_URL.`,
        ),
    events === 0
      ? ok('audit_chain', `No event waits for its seal longer than ${sealLateS} s.`)
      : warn(
          'audit_chain',
          `${events} events wait for their seal longer than ${sealLateS} s: an instance must run with BACKGROUND_TASKS=on.`,
        ),
  ]
}

/** Whether the keys open what is sealed, and whether the previous one is still needed for it. */
async function checkEncryption({ db }: Pool, { auth }: Config): Promise<Finding> {
  const { encryptionKeys, encryptionKeyFile } = auth
  const { factors, lost, answers } = await findAged(db, encryptionKeys)
  if (lost > 0)
    return fail(
      'encryption',
      `${lost} second factors were sealed with another key, and nobody signs in with them: set ENCRYPTION_KEY_PREVIOUS to it, or reset them.`,
    )
  if (encryptionKeys.length === 1) return ok('encryption', 'ENCRYPTION_KEY opens every second factor.')
  if (factors + answers > 0)
    return ok(
      'encryption',
      `ENCRYPTION_KEY_PREVIOUS still opens ${factors} second factors and ${answers} idempotent answers: leave it for now, a day at most.`,
    )
  const unneeded = 'Nothing needs ENCRYPTION_KEY_PREVIOUS any more'
  return encryptionKeyFile === undefined
    ? warn('encryption', `${unneeded}: take it away.`)
    : ok('encryption', `${unneeded}; ${encryptionKeyFile} may keep it until the next rotation.`)
}
