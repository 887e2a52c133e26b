import { inject } from 'vitest'

declare module 'vitest' {
  export interface ProvidedContext {
    databaseUrl: string
  }
}

/** The database of this test worker. */
export function databaseUrl(): string {
  const url = inject('databaseUrl') ?? process.env.TEST_DATABASE_URL
  if (!url) throw new Error('Set TEST_DATABASE_URL to a Postgres database that the tests may write to.')
  return url
}
