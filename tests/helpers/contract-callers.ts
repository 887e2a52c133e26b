import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { type Api, Client, type Person } from './api.ts'
import type { Operation } from './contract.ts'
import { changed, newSuperuser, sessionOf, twinOf } from './sessions.ts'
import { test as base } from './sql.ts'

const reading = ['credit', 'projects', 'files', 'sync', 'analytics', 'members', 'jobs'].map((area) => `${area}:read`)
const working = ['projects:write', 'files:write', 'sync:write', 'sync:run', 'analytics:write', 'analytics:query']
const ruling = ['members', 'roles', 'organization', 'api_keys', 'jobs', 'webhooks'].map((area) => `${area}:manage`)
const everything = [...reading, ...working, ...ruling, 'credit:write', 'assistant:use', 'audit:read']

/** What keys, and who acts as another, never may. */
const withoutKeys = everything.filter((permission) => permission !== 'api_keys:manage')

/** What a superuser may in every organisation and in none. */
export const platform = 'platform:manage'

/** What each role may do: said here once more, so that a slip in the service's own table shows. */
const permissionsOf: Record<string, readonly string[]> = {
  owner: everything,
  admin: everything,
  portfolio_manager: [...reading, 'credit:write'],
  user: [...reading, ...working, 'assistant:use'],
  member: reading,
  guest: [],
}

const ofOwnRole = ['credit:read', 'credit:write', 'audit:read']

/** Somebody of whom we know what the service owes him. */
export type Caller = {
  name: string
  kind: 'stranger' | 'invalid' | 'session' | 'stale session' | 'impersonation' | 'key'
  client: Client
  /** Undefined where the credential is worth nothing. */
  permissions?: readonly string[]
  /** Of another organisation than the resources, or of none. */
  foreign?: boolean
  homeless?: boolean
  /** Who makes things in the caller's own organisation, where that is another one. */
  keeper?: Client
  /** Somebody just like him, for calls that change the caller himself. */
  twin?: () => Promise<Client>
}

export type Expectation = 'open' | 'unauthenticated' | 'homeless' | 'forbidden' | 'unproved' | 'elsewhere' | 'allowed'

/** What an operation owes a caller. @throws for an operation whose permission nobody has thought of */
export function expectationOf(operation: Operation, caller: Caller): Expectation {
  const { title, permission, path, method, apiKeys, stepUp, impersonated } = operation
  const { kind, permissions } = caller
  if (permission === 'public') return 'open'
  if (permission === undefined || !['signed_in', platform, ...everything].includes(permission))
    throw new Error(`${title} asks for ${permission}, and no role is expected to have it`)
  if (permissions === undefined) return 'unauthenticated'
  if (permission === 'signed_in') {
    if (kind === 'key' && !apiKeys) return 'forbidden'
    if (kind === 'impersonation' && method !== 'GET' && !impersonated) return 'forbidden'
  } else if (!permissions.includes(permission))
    return caller.homeless && permission !== platform ? 'homeless' : 'forbidden'
  if (stepUp && (kind === 'key' || kind === 'impersonation')) return 'forbidden'
  if (stepUp && kind === 'stale session') return 'unproved'
  return caller.foreign && permission !== platform && path.includes('{') ? 'elsewhere' : 'allowed'
}

/** Whether it is worth asking: a public route need not see everybody, and a proof matters only where one is asked for. */
export function concerns({ permission, stepUp }: Operation, caller: Caller, callers: readonly Caller[]): boolean {
  if (caller.kind === 'stale session') return stepUp
  return permission !== 'public' || callers.find(({ kind }) => kind === caller.kind) === caller
}

/**
 * A test whose file asks operations of every kind: `by` gives somebody new who may do all that one asks for, an owner or
 * a superuser, just proved again.
 */
export const test = base.extend<{ by: (operation: Operation) => Promise<Person> }>({
  by: async ({ api, sql }, use) =>
    use(async ({ permission }) =>
      permission === platform ? newSuperuser(api, sql) : sessionOf(api, sql, await api.newOwner()),
    ),
})

/** Everybody there is, seen from the organisation of `owner`; `sql` is the database's owner. */
export async function callersOf(api: Api, sql: postgres.Sql, owner: Person): Promise<Caller[]> {
  /** A caller by a session that was just proved again, in the role the person has by now. */
  const signedIn = async (
    name: string,
    person: Person,
    permissions: readonly string[],
    more: Partial<Caller> = {},
  ) => ({
    name,
    kind: 'session' as const,
    client: await sessionOf(api, sql, person),
    permissions,
    twin: () => twinOf(api, sql, person),
    ...more,
  })
  const insider = async (role: string) =>
    signedIn(role, role === 'owner' ? owner : await api.newUser(owner, role), permissionsOf[role] as string[])
  const expelled = async (name: string, change: Change): Promise<Caller> => {
    const person = await api.newUser(owner, 'admin')
    await change(person)
    await changed(sql, 'user', person.id)
    return { name, kind: 'invalid', client: person }
  }
  const key = async (name: string, maker: Person, permissions: readonly string[], change?: KeyChange) => {
    const { body } = await maker.post('/api-keys', { name, permissions })
    await change?.(body.id)
    return { name, kind: 'key' as const, client: new Client(api.app, body.key), permissions }
  }
  const makeSuperuser: Change = ({ id }) => sql`update users set is_superuser = true where id = ${id}`
  const leaveOrganization: Change = ({ id }) => sql`delete from members where user_id = ${id}`

  const callers: Caller[] = [
    { name: 'anonymous', kind: 'stranger', client: new Client(api.app) },
    { name: 'garbage token', kind: 'invalid', client: new Client(api.app, 'garbage') },
    { name: 'forged token', kind: 'invalid', client: new Client(api.app, forged(owner.token as string)) },
    { name: 'garbage key', kind: 'invalid', client: new Client(api.app, `tn_${'x'.repeat(43)}`) },
  ]
  for (const role of Object.keys(permissionsOf)) callers.push(await insider(role))

  const auditor = await api.newUser(owner, 'guest')
  await sql`
    insert into roles (org_id, id, name, permissions) values (${owner.orgId}, ${randomUUID()}, 'auditor', ${ofOwnRole})`
  await sql`update members set roles = '{auditor}' where user_id = ${auditor.id}`
  const [guest, abroad, ruler, nomad, closed, root] = [
    await api.newUser(owner, 'guest'),
    ...(await Promise.all(Array.from({ length: 4 }, () => api.newOwner()))),
    await newSuperuser(api, sql),
  ] as [Person, Person, Person, Person, Person, Person]
  for (const person of [guest, ruler, nomad]) await makeSuperuser(person)
  await leaveOrganization(nomad)
  await sql`update organizations set is_active = false where id = ${closed.orgId}`
  await changed(sql, 'org', closed.orgId)
  const demoted = await api.newUser(owner, 'admin')
  const all = [...everything, platform]

  callers.push(
    await signedIn('member with a role of the organisation', auditor, ofOwnRole),
    await signedIn('superuser who is a guest', guest, [platform]),
    await signedIn('owner elsewhere', abroad, everything, { foreign: true, keeper: abroad }),
    await signedIn('superuser elsewhere', ruler, all, { foreign: true, keeper: ruler }),
    await signedIn('superuser of no organisation', { ...nomad, orgId: undefined } as never, [platform], {
      foreign: true,
      homeless: true,
    }),
    {
      name: 'superuser who proved nothing',
      kind: 'stale session',
      client: await api.signIn(root.email),
      permissions: all,
      foreign: true,
    },
    {
      name: 'owner who proved nothing',
      kind: 'stale session',
      client: await api.signIn(owner.email),
      permissions: everything,
    },
    {
      ...(await signedIn('superuser who acts as the owner', owner, withoutKeys)),
      kind: 'impersonation',
      keeper: owner,
      client: await sessionOf(api, sql, owner, root.id),
      twin: () => twinOf(api, sql, owner, root.id),
    },
    await key('key with every permission', owner, withoutKeys),
    await key('key that only reads', owner, reading),
    { ...(await key('key of another organisation', abroad, withoutKeys)), foreign: true, keeper: abroad },
    {
      ...(await key('key of a demoted maker', demoted, withoutKeys, async () => {
        await sql`update members set roles = '{member}' where user_id = ${demoted.id}`
        await changed(sql, 'user', demoted.id)
      })),
      permissions: reading,
    },
    worthless(await key('revoked key', owner, withoutKeys, (id) => owner.delete(`/api-keys/${id}`))),
    worthless(
      await key(
        'expired key',
        owner,
        withoutKeys,
        (id) => sql`update api_keys set expires_at = now() - interval '1 second' where id = ${id}`,
      ),
    ),
    { name: 'owner of a suspended organisation', kind: 'invalid', client: closed },
    await expelled('suspended user', ({ id }) => sql`update users set is_active = false where id = ${id}`),
    await expelled('deactivated member', ({ id }) => sql`update members set is_active = false where user_id = ${id}`),
    await expelled('removed member', leaveOrganization),
    await expelled(
      'token of another organisation',
      ({ id }) => sql`update sessions set org_id = null where user_id = ${id}`,
    ),
    await expelled('revoked session', (person) => person.post('/auth/logout')),
  )
  return callers
}

type Change = (person: Person) => PromiseLike<unknown>
type KeyChange = (id: string) => PromiseLike<unknown>

/** The same credential, of which nothing is left. */
const worthless = ({ name, client }: Caller): Caller => ({ name, kind: 'invalid', client })

/** The same claims under another signature. */
function forged(token: string): string {
  const [header, claims, signature = ''] = token.split('.')
  return [header, claims, [...signature].reverse().join('')].join('.')
}
