import type postgres from 'postgres'
import { accessChannel } from '../../src/db/access.ts'
import { type Api, Client, type Person } from './api.ts'
import type { Operation } from './contract.ts'

const reading = ['credit', 'projects', 'files', 'sync', 'analytics', 'members', 'jobs'].map((area) => `${area}:read`)
const working = ['projects:write', 'files:write', 'sync:write', 'sync:run', 'analytics:write', 'analytics:query']
const ruling = ['members', 'roles', 'organization', 'api_keys', 'jobs', 'webhooks'].map((area) => `${area}:manage`)
const everything = [...reading, ...working, ...ruling, 'credit:write', 'assistant:use', 'audit:read']

/** What each role may do: said here once more, so that a slip in the service's own table shows. */
const permissionsOf: Record<string, readonly string[]> = {
  owner: everything,
  admin: everything,
  portfolio_manager: [...reading, 'credit:write'],
  user: [...reading, ...working, 'assistant:use'],
  member: reading,
  guest: [],
}

/** Somebody of whom we know what the service owes him. */
export type Caller = {
  name: string
  client: Client
  /** Undefined where the credential is worth nothing. */
  permissions?: readonly string[]
  /** Of another organisation than the resources, or of none. */
  foreign?: boolean
  homeless?: boolean
  /** A new session, for calls that may end it. */
  again?: () => Promise<Client>
}

export type Expectation = 'open' | 'unauthenticated' | 'homeless' | 'forbidden' | 'elsewhere' | 'allowed'

/** What an operation owes a caller. @throws for an operation whose permission nobody has thought of */
export function expectationOf({ title, permission, path }: Operation, caller: Caller): Expectation {
  if (permission === 'public') return 'open'
  if (permission === undefined || !['signed_in', ...everything].includes(permission))
    throw new Error(`${title} asks for ${permission}, and no role is expected to have it`)
  if (caller.permissions === undefined) return 'unauthenticated'
  if (permission !== 'signed_in') {
    if (caller.homeless) return 'homeless'
    if (!caller.permissions.includes(permission)) return 'forbidden'
  }
  return caller.foreign && path.includes('{') ? 'elsewhere' : 'allowed'
}

/** Everybody there is, seen from the organisation of `owner`; `sql` is the database's owner. */
export async function callersOf(api: Api, sql: postgres.Sql, owner: Person): Promise<Caller[]> {
  const insider = async (role: string, change?: Change): Promise<Caller> => {
    const person = role === 'owner' ? owner : await api.newUser(owner, role)
    await change?.(person)
    return {
      name: role,
      client: change ? await api.signIn(person.email) : person,
      permissions: permissionsOf[role] as string[],
      again: () => api.signIn(person.email),
    }
  }
  const outsider = async (
    name: string,
    permissions: readonly string[] | undefined,
    change: Change,
  ): Promise<Caller> => {
    const person = await api.newOwner()
    await change(person)
    const again = () => api.signIn(person.email)
    const client = permissions === everything ? await again() : person
    return { name, client, foreign: true, again, ...(permissions && { permissions }) }
  }
  const expelled = async (name: string, change: Change): Promise<Caller> => {
    const person = await api.newUser(owner, 'admin')
    await change(person)
    return { name, client: person }
  }
  const changed = (kind: string, id: string) => sql`select pg_notify(${accessChannel}, ${`${kind}:${id}`})`
  const makeSuperuser: Change = ({ id }) => sql`update users set is_superuser = true where id = ${id}`
  const leaveOrganization: Change = ({ id }) => sql`delete from members where user_id = ${id}`

  const callers: Caller[] = [
    { name: 'anonymous', client: new Client(api.app) },
    { name: 'garbage token', client: new Client(api.app, 'garbage') },
    { name: 'forged token', client: new Client(api.app, forged(owner.token as string)) },
  ]
  for (const role of Object.keys(permissionsOf)) callers.push(await insider(role))
  callers.push(
    { ...(await insider('guest', makeSuperuser)), name: 'superuser who is a guest' },
    await outsider('owner elsewhere', everything, async () => undefined),
    await outsider('superuser elsewhere', everything, makeSuperuser),
    {
      ...(await outsider('superuser of no organisation', everything, async (person) => {
        await makeSuperuser(person)
        await leaveOrganization(person)
      })),
      homeless: true,
    },
    await outsider('owner of a suspended organisation', undefined, async ({ orgId }) => {
      await sql`update organizations set is_active = false where id = ${orgId}`
      await changed('org', orgId)
    }),
    await expelled('suspended user', async ({ id }) => {
      await sql`update users set is_active = false where id = ${id}`
      await changed('user', id)
    }),
    await expelled('removed member', async (person) => {
      await leaveOrganization(person)
      await changed('user', person.id)
    }),
    await expelled('token of another organisation', async ({ id }) => {
      await sql`update sessions set org_id = null where user_id = ${id}`
      await changed('user', id)
    }),
    await expelled('revoked session', (person) => person.post('/auth/logout')),
  )
  return callers
}

type Change = (person: Person) => PromiseLike<unknown>

/** The same claims under another signature. */
function forged(token: string): string {
  const [header, claims, signature = ''] = token.split('.')
  return [header, claims, [...signature].reverse().join('')].join('.')
}
