import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { mintToken } from '../../src/db/mail-tokens.ts'
import { type Api, newEmail, type Person } from './api.ts'

/** The token of the link that an invitation's mail carries; the older ones end. */
export async function mintInvitation(api: Api, sql: postgres.Sql, id: string, ttl_s = 604_800): Promise<string> {
  const [invitation] = await sql`select org_id, email from invitations where id = ${id}`
  const { org_id, email } = invitation as { org_id: string; email: string }
  return mintToken(api.app.pools.requests.db, { purpose: 'invitation', email, org_id, invitation_id: id, ttl_s })
}

/** The link by which an address may join a new organisation. */
export async function invitationTo(api: Api, sql: postgres.Sql, email: string): Promise<string> {
  const id = randomUUID()
  const orgId = await newOrganization(sql)
  await sql`
    insert into invitations (org_id, id, email, roles, expires_at)
    values (${orgId}, ${id}, ${email}, '{member}', now() + interval '7 days')`
  return mintInvitation(api, sql, id)
}

async function newOrganization(sql: postgres.Sql): Promise<string> {
  const id = randomUUID()
  await sql`insert into organizations (id, name, code) values (${id}, 'Another', ${id})`
  return id
}

/** Makes the user a member of an organisation. */
export const join = (sql: postgres.Sql, orgId: string, userId: string, role: string) => sql`
  insert into members (org_id, id, user_id, roles) values (${orgId}, gen_random_uuid(), ${userId}, ${[role]})`

/** A second organisation of the same people, and the address of a user who belongs to that one only. */
export async function sisterUser(sql: postgres.Sql, { orgId }: Person): Promise<{ id: string; email: string }> {
  const [sister, id, email] = [await newOrganization(sql), randomUUID(), newEmail()]
  await sql`
    insert into members (org_id, id, user_id, roles)
    select ${sister}, gen_random_uuid(), user_id, roles from members where org_id = ${orgId}`
  await sql`insert into users (id, email, password_hash) values (${id}, ${email}, '')`
  await join(sql, sister, id, 'member')
  return { id, email }
}

/** Values no example can give: links that live, and accounts that may be added. */
export const memberValues = (api: Api, sql: postgres.Sql) => ({
  'addMember.email': async (client: object) => (await sisterUser(sql, client as Person)).email,
  'acceptInvitation.token': (client: object) => invitationTo(api, sql, (client as Person).email),
  'declineInvitation.token': () => invitationTo(api, sql, newEmail()),
})
