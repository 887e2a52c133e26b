import { and, eq } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../../../db/audit.ts'
import { withConstraints } from '../../../db/errors.ts'
import { containsText, listPage } from '../../../db/list.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { members } from '../../../db/tables/organizations.ts'
import { users } from '../../../db/tables/users.ts'
import { oneOr404, Problem } from '../../../lib/errors.ts'
import type { OrganizationUser, OrganizationUserQuery } from './schemas.ts'

const joins = eq(users.id, members.user_id)

/** A user as this organisation sees him: his roles here, and since when. */
const columns = {
  id: users.id,
  email: users.email,
  username: users.username,
  full_name: users.full_name,
  is_active: users.is_active,
  roles: members.roles,
  last_login_at: users.last_login_at,
  created_at: members.created_at,
}

const list = {
  name: 'users',
  table: members,
  sorts: { created_at: members.created_at },
  filters: { q: containsText(users.email, users.full_name) },
  joined: { table: users, on: joins, columns, id: members.user_id },
}

export const listUsers = (scope: TenantScope, query: OrganizationUserQuery) =>
  listPage<typeof members, OrganizationUser>(scope, list, query)

export async function getUser(scope: TenantScope, id: string): Promise<OrganizationUser> {
  const mine = and(owned(members, scope), eq(members.user_id, id))
  return oneOr404(await scope.db.select(columns).from(members).innerJoin(users, joins).where(mine))
}

type NewUser = { email: string; password_hash: string; full_name: string | null; role: string }

/** Makes the account and its membership in this organisation. @throws Problem `email_taken` */
export const createUser = (scope: TenantScope, user: NewUser): Promise<OrganizationUser> =>
  withConstraints({ users_email: emailTaken }, () =>
    scope.db.transaction(async (db) => {
      const { role, ...account } = user
      const id = uuidv7()
      await db.insert(users).values({ id, ...account })
      await db.insert(members).values({ org_id: scope.org_id, id: uuidv7(), user_id: id, roles: [role] })
      const after = { email: user.email, full_name: user.full_name, roles: [role] }
      await recordEvent({ ...scope, db }, { action: 'user.created', subject_type: 'user', subject_id: id, after })
      return getUser({ ...scope, db }, id)
    }),
  )

const emailTaken = () => new Problem('email_taken', 'Another account has this e-mail address.')
