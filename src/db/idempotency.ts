import { sql } from 'drizzle-orm'
import { Problem } from '../lib/errors.ts'
import { clientOf, type Db } from './client.ts'
import { purgeRows } from './purge.ts'
import type { KeyUse } from './scope.ts'
import { idempotencyKeys } from './tables/idempotency.ts'

/**
 * Claims the key inside the transaction of the change. A parallel request with the same key holds the lock, so
 * this one neither waits nor runs.
 * @returns undefined when the change is ours to make, else the sealed first answer
 * @throws Problem `idempotency_in_progress` or `idempotency_mismatch`
 */
export async function claimKey(db: Db, use: KeyUse): Promise<Buffer | undefined> {
  const { org_id, principal, route, key, request_hash } = use
  const sql = clientOf(db)
  const name = lockName(use)
  const claimed = await sql`
    with lock as materialized (select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as free)
    insert into idempotency_keys (org_id, principal, route, key, request_hash)
    select ${org_id}::uuid, ${principal}::text, ${route}::text, ${key}::text, ${request_hash}::text from lock where free
    on conflict do nothing returning 1`
  if (claimed.length > 0) return undefined
  const [first] = await sql<{ request_hash: string; answer: Buffer | null }[]>`
    select request_hash, answer from idempotency_keys
    where org_id = ${org_id} and principal = ${principal} and route = ${route} and key = ${key}`
  if (first?.answer == null) throw inProgress()
  assertSame(first.request_hash, use)
  return first.answer
}

/** Under what the holder of a key is locked while its change runs. */
export const lockName = ({ org_id, principal, route, key }: KeyUse) => JSON.stringify([org_id, principal, route, key])

/**
 * The row that the first use of a key made, as it was then.
 * @param table the row's table
 * @throws Problem `idempotency_in_progress` or `idempotency_mismatch`
 */
export async function rowMadeBefore(db: Db, table: string, use: KeyUse): Promise<Record<string, unknown>> {
  const { org_id, principal, route, key } = use
  const sql = clientOf(db)
  const [first] = await sql<{ _hash: string }[]>`
    select k.request_hash as _hash, made.* from idempotency_keys k, jsonb_populate_record(null::${sql(table)}, k.made) made
    where k.org_id = ${org_id} and k.principal = ${principal} and k.route = ${route} and k.key = ${key}`
  if (first === undefined) throw inProgress()
  const { _hash, ...row } = first
  assertSame(_hash, use)
  return row
}

function assertSame(stored: string, { hashes }: KeyUse) {
  if (!hashes.includes(stored.slice(stored.indexOf('.') + 1)))
    throw new Problem('idempotency_mismatch', 'This Idempotency-Key was used for another request; make a new one.')
}

const inProgress = () =>
  new Problem(
    'idempotency_in_progress',
    'A request with this Idempotency-Key is still running; repeat it when it has ended.',
  )

/** Keeps the sealed answer with the claim. */
export async function storeAnswer(db: Db, { org_id, principal, route, key }: KeyUse, answer: Buffer): Promise<void> {
  await clientOf(db)`
    update idempotency_keys set answer = ${answer}
    where org_id = ${org_id} and principal = ${principal} and route = ${route} and key = ${key}`
}

/** Forgets keys a day after their use. @returns how many */
export const purgeKeys = (db: Db): Promise<number> =>
  purgeRows(db, idempotencyKeys, sql`${idempotencyKeys.created_at} < now() - interval '24 hours'`)

/** How many uses were hashed, and their answers sealed, with another key than the one of this id. */
export async function usesBefore(db: Db, keyId: string): Promise<number> {
  const [found] = await clientOf(db)<{ count: number }[]>`
    select count(*)::int as count from idempotency_keys where not starts_with(request_hash, ${`${keyId}.`})`
  return found?.count ?? 0
}
