import type { Db } from './db/client.ts'
import { findKeyAccess, findSessionAccess } from './domains/identity/access/queries.ts'
import { keyPermissions, permissionsOf } from './domains/organizations/roles/rules.ts'
import { admission } from './lib/address.ts'
import { keyHashOf } from './lib/api-key.ts'
import type { Access } from './plugins/access-cache.ts'
import { platformPermission } from './plugins/authorize.ts'

/**
 * What a credential may do: identity knows the credential and who has it, organizations what his roles give.
 * @param credential a session's id, or `key:<hash>`
 * @param verifiedOnly users without a verified address are let in no further than /auth
 */
export async function findAccess(db: Db, credential: string, verifiedOnly: boolean): Promise<Access | undefined> {
  const keyHash = keyHashOf(credential)
  return keyHash === undefined ? sessionAccess(db, credential, verifiedOnly) : keyAccess(db, keyHash, verifiedOnly)
}

async function sessionAccess(db: Db, id: string, verifiedOnly: boolean): Promise<Access | undefined> {
  const found = await findSessionAccess(db, id)
  if (found === undefined) return undefined
  const { roles, custom_permissions, email_verified_at, policy, mfa, ...access } = found
  const is_superuser = access.is_superuser && access.impersonator_id === null
  const admits = admission(policy?.ip_allowlist)
  return {
    ...access,
    api_key_id: null,
    is_superuser,
    roles: roles ?? [],
    permissions: sessionPermissions(
      roles ?? [],
      custom_permissions ?? [],
      is_superuser,
      access.impersonator_id !== null,
    ),
    verified: !verifiedOnly || email_verified_at !== null,
    lacks_factor: policy?.mfa_required === true && !mfa && access.impersonator_id === null,
    ...(admits && { admits }),
    rate_limit: null,
  }
}

/** What the roles give, the platform to a superuser, and no API keys to who acts as another: they would outlive it. */
function sessionPermissions(roles: string[], custom: string[], is_superuser: boolean, impersonated: boolean) {
  const granted = permissionsOf(roles, [...custom, ...(is_superuser ? [platformPermission] : [])])
  return impersonated ? new Set([...granted].filter((permission) => permission !== 'api_keys:manage')) : granted
}

/** Never more than the key was given, and never more than its maker may now. */
async function keyAccess(db: Db, hash: Buffer, verifiedOnly: boolean): Promise<Access | undefined> {
  const found = await findKeyAccess(db, hash)
  if (found === undefined) return undefined
  const { roles, custom_permissions, email_verified_at, policy, key_permissions, key_networks, ...access } = found
  const makers = permissionsOf(roles, custom_permissions ?? [])
  const admits = [admission(policy.ip_allowlist), admission(key_networks)].filter((one) => one !== undefined)
  return {
    ...access,
    session_id: null,
    is_superuser: false,
    impersonator_id: null,
    roles: [],
    permissions: new Set(keyPermissions.filter((one) => key_permissions.includes(one) && makers.has(one))),
    verified: !verifiedOnly || email_verified_at !== null,
    lacks_factor: false,
    ...(admits.length > 0 && { admits: (ip: string) => admits.every((admit) => admit(ip)) }),
    stepped_up_s: 0,
  }
}
