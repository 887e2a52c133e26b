import { DrizzleQueryError } from 'drizzle-orm'
import { type Config, loadConfig } from '../config.ts'
import { createPool, isUnavailable, type Pool } from '../db/client.ts'
import { migrationStates } from '../db/migrate.ts'
import { openDatabase } from '../db/open.ts'
import type { TenantScope } from '../db/scope.ts'
import { platformOrgId } from '../db/tables/audit.ts'

/** What a command does to accounts stands in the platform's trail. */
export const operator: Omit<TenantScope, 'db'> = {
  org_id: platformOrgId,
  actor: { user_id: null, principal: 'cli', request_id: 'cli', ip: '' },
}

/**
 * Runs on the database of the service, as its role; beside a running service, or alone, where it starts the embedded
 * Postgres and stops it again.
 * @throws Error whose message is a sentence, also where the database is away or not migrated
 */
export async function onServiceDatabase<T>(work: (pool: Pool, config: Config) => Promise<T>): Promise<T> {
  const config = loadConfig()
  const database = await openDatabase(config, (message) => console.error(message))
  const pool = commandPool(database.url)
  try {
    await pool.sql`select 1`
    if ((await migrationStates(database.url)).some(({ state }) => state !== 'applied'))
      throw new Error(
        'The database is not as this version needs it: start the service once, or run npm run db -- apply.',
      )
    return await work(pool, config)
  } catch (error) {
    throw inWords(error)
  } finally {
    await pool.close()
    await database.stop()
  }
}

export const commandPool = (url: string) =>
  createPool({
    url,
    name: 'tenon-cli',
    max: 1,
    acquireTimeoutMs: 10_000,
    statementTimeoutMs: 60_000,
    lockTimeoutMs: 10_000,
    maxLifetimeS: 3_600,
  })

/** What went wrong without the statement and its values, which Drizzle puts into its message. */
function inWords(error: unknown): Error {
  const cause = error instanceof DrizzleQueryError && error.cause ? error.cause : (error as Error)
  return isUnavailable(cause) ? new Error(`The database cannot be reached: ${reasonOf(cause)}.`, { cause }) : cause
}

/** The message of an error, or its code: several failed addresses are one error without a message. */
export const reasonOf = (error: unknown): string => {
  const { message, code } = error as NodeJS.ErrnoException
  return (message || code || String(error)).replace(/\.$/, '')
}
