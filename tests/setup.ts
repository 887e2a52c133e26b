import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../src/db/embedded.ts'
import { migrate } from '../src/db/migrate.ts'
import { withUrl } from './helpers/url.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A role that may create databases. */
    databaseUrl: string
    /** The role the service runs as; its database is replaced by a clone of the template. */
    serviceUrl: string
    template: string
  }
}

/** Nothing in a test database outlives the run, so nothing waits for the disk. */
const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' }

/** One Postgres for the run, and one migrated template that each test file clones. */
export default async function setup(project: TestProject) {
  const given = process.env.DATABASE_URL
  const server =
    given === undefined
      ? await startEmbedded({ dataDir: join(import.meta.dirname, '../.data/test'), settings, log: () => undefined })
      : { url: given, ownerUrl: given, stop: async () => undefined }
  const template = `tenon_template_${randomBytes(4).toString('hex')}`
  const admin = postgres(server.ownerUrl, { max: 1, onnotice: () => undefined })
  await admin`create database ${admin(template)}`
  await migrate(withUrl(server.ownerUrl, { pathname: `/${template}` }), {
    serviceRole: decodeURIComponent(new URL(server.url).username),
  })
  project.provide('databaseUrl', server.ownerUrl)
  project.provide('serviceUrl', server.url)
  project.provide('template', template)
  return async () => {
    await admin`drop database ${admin(template)} with (force)`
    await admin.end()
    await server.stop()
  }
}
