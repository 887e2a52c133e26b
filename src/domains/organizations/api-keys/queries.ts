import { and, eq, getTableColumns, sql } from 'drizzle-orm'
import { notifyAccess } from '../../../db/access.ts'
import { insertAudited, updateAudited } from '../../../db/audit.ts'
import type { Db } from '../../../db/client.ts'
import { compare, containsText, listPage } from '../../../db/list.ts'
import { purgeRows } from '../../../db/purge.ts'
import { owned, type TenantScope } from '../../../db/scope.ts'
import { apiKeys } from '../../../db/tables/identity.ts'
import { newApiKey } from '../../../lib/api-key.ts'
import { sha256 } from '../../../lib/crypto.ts'
import { invalidField, oneOr404, Problem } from '../../../lib/errors.ts'
import type { ApiKey, ApiKeyCreate, ApiKeyQuery, ApiKeyUpdate, NewApiKey } from './schemas.ts'

const { org_id: _, key_hash: __, ...stored } = getTableColumns(apiKeys)

const status = sql<ApiKey['status']>`case when ${apiKeys.revoked_at} is not null then 'revoked'
  when ${apiKeys.expires_at} <= now() then 'expired' else 'active' end`

const columns = { ...stored, status }

const list = {
  name: 'api_keys',
  table: apiKeys,
  columns,
  sorts: { created_at: apiKeys.created_at, name: apiKeys.name },
  filters: {
    status: (value: Parameters<ReturnType<typeof compare>>[0]) => sql`(${status}) = ${value}`,
    created_by: compare(apiKeys.created_by),
    q: containsText(apiKeys.name, apiKeys.prefix),
  },
}

export const listApiKeys = (scope: TenantScope, query: ApiKeyQuery) =>
  listPage<typeof apiKeys, ApiKey>(scope, list, query)

const mine = (scope: TenantScope, id: string) => and(owned(apiKeys, scope), eq(apiKeys.id, id))

export async function getApiKey(scope: TenantScope, id: string): Promise<ApiKey> {
  return oneOr404(await scope.db.select(columns).from(apiKeys).where(mine(scope, id)))
}

/** Makes a key in the caller's name. @throws Problem `validation_failed` for an end that is past by the database's clock */
export async function createApiKey(scope: TenantScope, body: ApiKeyCreate): Promise<NewApiKey> {
  await checkEnd(scope.db, body.expires_at)
  const { key, prefix } = newApiKey()
  const { id } = await insertAudited(scope, 'api_key', apiKeys, {
    ip_allowlist: [],
    ...body,
    prefix,
    key_hash: sha256(key),
    created_by: scope.actor.user_id as string,
  })
  return { ...(await getApiKey(scope, id)), key }
}

/** @throws Problem `invalid_state` for a revoked key */
export const updateApiKey = (scope: TenantScope, id: string, patch: ApiKeyUpdate, version?: number): Promise<ApiKey> =>
  changing(scope, id, async (inside) => {
    await checkEnd(inside.db, patch.expires_at)
    await updateAudited(inside, 'api_key', apiKeys, id, patch, version)
    return getApiKey(inside, id)
  })

/** Gives a key a new secret, known to the caller, whose key it is from then on; the old secret dies. */
export const rotateApiKey = (scope: TenantScope, id: string): Promise<NewApiKey> =>
  changing(scope, id, async (inside) => {
    const { key, prefix } = newApiKey()
    const secret = { prefix, key_hash: sha256(key), created_by: scope.actor.user_id as string }
    await updateAudited(inside, 'api_key', apiKeys, id, secret, undefined, 'rotated')
    return { ...(await getApiKey(inside, id)), key }
  })

/** Ends a key; its row stays for a while, so that the trail can be read. Once more does nothing. */
export const revokeApiKey = (scope: TenantScope, id: string, version?: number): Promise<void> =>
  locked(scope, id, async (inside, { revoked_at }) => {
    if (revoked_at !== null) return
    await updateAudited(inside, 'api_key', apiKeys, id, { revoked_at: sql`now()` as never }, version, 'revoked')
  })

/** Runs a change of a key that nobody else changes meanwhile, and tells every instance. */
const locked = <T>(scope: TenantScope, id: string, change: (inside: TenantScope, key: ApiKey) => Promise<T>) =>
  scope.db.transaction(async (db) => {
    const inside = { ...scope, db }
    const key = oneOr404(await db.select(columns).from(apiKeys).where(mine(inside, id)).for('update'))
    const result = await change(inside, key)
    await notifyAccess(db, `key:${id}`)
    return result
  })

const changing: typeof locked = (scope, id, change) =>
  locked(scope, id, async (inside, key) => {
    if (key.revoked_at !== null) throw new Problem('invalid_state', 'This key was revoked; make a new one.')
    return change(inside, key)
  })

async function checkEnd(db: Db, end: string | null | undefined) {
  if (end == null) return
  const [row] = await db.execute<{ ahead: boolean }>(sql`select ${end}::timestamptz > now() as ahead`)
  if (!row?.ahead) throw invalidField('/body/expires_at', 'future', 'must lie in the future')
}

/**
 * Notes that keys were just used: one statement for all of them, in the order of their ids, so that two instances
 * do not wait for each other in a circle.
 */
export const recordKeyUse = (db: Db, ids: readonly string[]) =>
  db.execute(sql`
    with used as (
      select org_id, id from ${apiKeys} where id = any(${sql.param([...ids])}::uuid[]) order by id for update)
    update ${apiKeys} set last_used_at = now() from used
    where ${apiKeys.org_id} = used.org_id and ${apiKeys.id} = used.id`)

/** Forgets keys 90 days after their end. */
export const purgeApiKeys = (db: Db) =>
  purgeRows(db, apiKeys, sql`least(${apiKeys.revoked_at}, ${apiKeys.expires_at}) < now() - interval '90 days'`)
