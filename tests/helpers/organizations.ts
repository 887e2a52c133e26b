import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { newApiKey } from '../../src/lib/api-key.ts'
import { sha256 } from '../../src/lib/crypto.ts'
import { type Api, Client, type Person } from './api.ts'
import { join } from './members.ts'
import { stepUp } from './sessions.ts'
import { test as base } from './sql.ts'

type Fixtures = {
  /** Makes this user's sessions count as just proved again. */
  prove: (person: Person) => Promise<void>
  /** Makes this user's sessions count as opened with a second factor. */
  withFactor: (person: Person) => Promise<void>
  /** Makes an existing user a member of that owner's organisation. */
  join: (person: Person, owner: Person, role?: string) => Promise<void>
  /** A client with a key that this user made in his organisation. */
  newKey: (person: Person, permissions?: string[]) => Promise<Client>
}

/** A test that may bring users and keys into a state which others of the service's operations bring about. */
export const test = base.extend<Fixtures>({
  prove: async ({ api }, use) =>
    use(async (person) => {
      await stepUp(api, person)
    }),
  withFactor: async ({ api, sql }, use) =>
    use(async ({ id }) => {
      await sql`update sessions set mfa = true where user_id = ${id}`
      api.app.access.forget(`user:${id}`)
    }),
  join: async ({ sql }, use) =>
    use(async ({ id }, { orgId }, role = 'member') => {
      await join(sql, orgId, id, role)
    }),
  newKey: async ({ api, sql }, use) => use((person, permissions) => insertKey(api, sql, person, permissions)),
})

async function insertKey(api: Api, sql: postgres.Sql, { id, orgId }: Person, permissions = ['credit:read']) {
  const { key, prefix } = newApiKey()
  await sql`insert into api_keys (org_id, id, name, prefix, key_hash, permissions, ip_allowlist, created_by)
    values (${orgId}, ${randomUUID()}, 'Robot', ${prefix}, ${sha256(key)}, ${permissions}, '{}', ${id})`
  return new Client(api.app, key)
}
