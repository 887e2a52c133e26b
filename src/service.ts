import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import type { Config } from './config.ts'
import { migrate } from './db/migrate.ts'
import { type Databases, openDatabase } from './db/open.ts'
import { untilReachable } from './db/waiting.ts'
import { ensureSuperuser, hasSuperuser } from './domains/identity/auth/queries.ts'
import { randomPassword } from './lib/crypto.ts'
import { canonicalEmail } from './lib/email.ts'
import { hashPassword } from './lib/password.ts'

export type Service = {
  app: FastifyInstance
  address: string
  /** E-mail and password of the first superuser, at the one start that made one with a random password. */
  superuser: { email: string; password: string } | undefined
  close(): Promise<void>
}

/**
 * Starts everything: database, listener, migrations, first superuser. It listens before the database is there, answers
 * 503 until it is migrated, and then becomes ready.
 */
export async function startService(config: Config, log: (message: string) => void = () => undefined): Promise<Service> {
  const database = await openDatabase(config, log)
  const stopping = new AbortController()
  let app: FastifyInstance | undefined
  const close = async () => {
    stopping.abort()
    await app?.close()
    await database.stop()
  }
  try {
    app = await buildApp(config, database.url)
    const { lifecycle, log: logger } = app
    const address = await app.listen({ host: config.host, port: config.port })
    const prepare = () => prepareDatabase(app as FastifyInstance, database)
    const superuser = await untilReachable(
      prepare,
      (error, waitMs) => logger.warn({ err: error }, `the database is away; next try in ${waitMs} ms`),
      stopping.signal,
    )
    lifecycle.state = 'ready'
    return { app, address, superuser, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function prepareDatabase(app: FastifyInstance, { url, ownerUrl }: Databases) {
  const serviceRole = decodeURIComponent(new URL(url).username)
  await migrate(ownerUrl, { serviceRole, log: (message) => app.log.info(message) })
  return firstSuperuser(app)
}

/** The configured superuser where he is missing; without one, in development, an account with a random password. */
async function firstSuperuser({ config, pools }: FastifyInstance): Promise<Service['superuser']> {
  const { firstSuperuserEmail, firstSuperuserPassword, defaultOrganization } = config.auth
  const { db } = pools.requests
  const configured = firstSuperuserEmail !== undefined && firstSuperuserPassword !== undefined
  if (!configured && (config.environment !== 'development' || (await hasSuperuser(db)))) return undefined
  const email = canonicalEmail(firstSuperuserEmail ?? 'admin@example.com') as string
  const password = firstSuperuserPassword ?? randomPassword()
  const account = { email, username: null, full_name: 'First superuser', password_hash: await hashPassword(password) }
  const made = await ensureSuperuser(db, account, defaultOrganization)
  return made && !configured ? { email, password } : undefined
}
