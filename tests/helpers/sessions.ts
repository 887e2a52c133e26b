import { randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { accessChannel } from '../../src/db/access.ts'
import { type Api, Client, type Person } from './api.ts'

type Sql = postgres.Sql
type Who = Pick<Person, 'id' | 'email'> & { orgId?: string | undefined }

/** Tells every instance that somebody's access was changed behind its back. */
export const changed = (sql: Sql, kind: 'user' | 'org' | 'key' | 'session', id: string) =>
  sql`select pg_notify(${accessChannel}, ${`${kind}:${id}`})`

/**
 * A new session, made in the database and just proved again: without a password, so that it costs little, and each call
 * may have one to end.
 * @param impersonatorId the superuser who acts as this user
 */
export async function sessionOf(
  { app }: Api,
  sql: Sql,
  { id, email, orgId }: Who,
  impersonatorId: string | null = null,
): Promise<Person> {
  const session = { id: uuidv7(), user_id: id, org_id: orgId ?? null }
  await sql`
    insert into sessions (id, user_id, org_id, impersonator_id, expires_at, ends_at, stepped_up_at)
    values (${session.id}, ${id}, ${session.org_id}, ${impersonatorId},
      now() + interval '1 hour', now() + interval '1 hour', now())`
  return Object.assign(new Client(app, app.signAccessToken(session)), {
    id,
    email,
    orgId: orgId as string,
    refreshToken: '',
  })
}

/** Has the sessions of a person count as just proved again. */
export async function stepUp(api: Api, person: Person): Promise<Person> {
  await api.app.pools.requests.sql`update sessions set stepped_up_at = now() where user_id = ${person.id}`
  api.app.access.forget(`user:${person.id}`)
  return person
}

/** Another user of the same password, rights and memberships, signed in: to do what a user does to himself. */
export async function twinOf(api: Api, sql: Sql, person: Who, impersonatorId: string | null = null): Promise<Person> {
  const twin = { id: uuidv7(), email: `twin-${randomBytes(6).toString('hex')}@example.com`, orgId: person.orgId }
  await sql`
    insert into users (id, email, password_hash, is_superuser, email_verified_at)
    select ${twin.id}, ${twin.email}, password_hash, is_superuser, now() from users where id = ${person.id}`
  await sql`
    insert into members (org_id, id, user_id, roles)
    select org_id, gen_random_uuid(), ${twin.id}, roles from members where user_id = ${person.id}`
  return sessionOf(api, sql, twin, impersonatorId)
}

/** A superuser, just proved again; he owns an organisation besides. */
export async function newSuperuser(api: Api, sql: Sql): Promise<Person> {
  const person = await api.newOwner()
  await sql`update users set is_superuser = true where id = ${person.id}`
  return sessionOf(api, sql, person)
}
