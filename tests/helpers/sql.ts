import postgres from 'postgres'
import { test as base } from './api.ts'

export type Event = {
  action: string
  actor_id: string | null
  org_id: string
  subject_id: string | null
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  request_id: string
  ip: string
}

/** A connection as the owner of the tables: it looks where the API does not, and changes what the API cannot. */
export const ownerSql = (ownerUrl: string, max = 2) => postgres(ownerUrl, { max, onnotice: () => undefined })

/** What the audit tells of one subject, oldest first. */
export const eventsOf = (sql: postgres.Sql, subjectId: string): Promise<Event[]> =>
  sql<Event[]>`select * from audit_events where subject_id = ${subjectId} order by created_at, id`

export const countEvents = async (sql: postgres.Sql): Promise<number> =>
  (await sql<{ count: number }[]>`select count(*)::int as count from audit_events`)[0]!.count

/** A test whose file also sees its service's database as the owner. */
export const test = base.extend<{ sql: postgres.Sql }>({
  sql: [
    async ({ api }, use) => {
      const sql = ownerSql(api.ownerUrl)
      await use(sql)
      await sql.end()
    },
    { scope: 'file' },
  ],
})
