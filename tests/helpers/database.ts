import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { inject } from 'vitest'
import { withUrl } from './url.ts'

/** The URL of a role that may create databases. */
export const databaseUrl = (): string => inject('databaseUrl')

/** A migrated database of the caller's own: its URL for the service's role and for the owner, and how to be rid of it. */
export async function cloneDatabase(): Promise<{ url: string; ownerUrl: string; drop(): Promise<void> }> {
  const name = `tenon_test_${randomBytes(6).toString('hex')}`
  const admin = postgres(databaseUrl(), { max: 1, onnotice: () => undefined })
  // Copied file by file, which takes a third of what Postgres takes to log each page of a copy.
  // Two clones at once of one template may find it in use; the next try finds it free.
  for (let attempt = 1; ; attempt++) {
    try {
      await admin`create database ${admin(name)} template ${admin(inject('template'))} strategy file_copy`
      break
    } catch (error) {
      if ((error as postgres.PostgresError).code !== '55006' || attempt === 50) throw error
    }
  }
  return {
    url: withUrl(inject('serviceUrl'), { pathname: `/${name}` }),
    ownerUrl: withUrl(databaseUrl(), { pathname: `/${name}` }),
    drop: async () => {
      await admin`drop database ${admin(name)} with (force)`
      await admin.end()
    },
  }
}
