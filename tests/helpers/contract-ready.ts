import type postgres from 'postgres'
import { mintToken, type TokenPurpose } from '../../src/db/mail-tokens.ts'
import type { Api, Person } from './api.ts'
import { join, memberValues } from './members.ts'

/** Values no example can give, by field or `operationId.field`: links that live, accounts that may be added. */
export function knownOn(api: Api, sql: postgres.Sql, { id, email }: Person) {
  const link = (purpose: TokenPurpose) => () =>
    mintToken(api.app.pools.requests.db, { purpose, email, user_id: id, ttl_s: 600 })
  return {
    username: () => email,
    'verifyEmail.token': link('verify_email'),
    'resetPassword.token': link('reset_password'),
    'confirmEmail.token': link('change_email'),
    ...memberValues(api, sql),
  }
}

/** Makes an operation possible on the resource of this id; what it returns are the body's values. */
export type Ready = (id: string) => Promise<Record<string, unknown> | undefined>

/** What must be so before an operation can succeed, where neither its path nor its body's examples say it; by operation id. */
export function readyOn(api: Api, sql: postgres.Sql): Record<string, Ready> {
  const joined = async (orgId: string, role: string) => {
    const { id } = await api.newOwner()
    await join(sql, orgId, id, role)
    return id
  }
  return {
    leaveOrganization: async (id) => void (await joined(id, 'owner')),
    transferOrganization: async (id) => ({ user_id: await joined(id, 'member') }),
    restoreOrganization: async (id) => void (await sql`update organizations set deleted_at = now() where id = ${id}`),
  }
}
