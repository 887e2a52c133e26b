import { sql } from 'drizzle-orm'
import { Problem } from '../lib/errors.ts'
import { clientOf, type Db } from './client.ts'
import { idempotencyKeys } from './tables/idempotency.ts'

/** One use of an `Idempotency-Key`: whose it is, for which route, and what was asked. */
export type KeyUse = { org_id: string; principal: string; route: string; key: string; request_hash: string }

/**
 * Claims the key inside the transaction of the change. A parallel request with the same key holds the lock, so
 * this one neither waits nor runs.
 * @returns undefined when the change is ours to make, else the sealed first answer
 * @throws Problem `idempotency_in_progress` or `idempotency_mismatch`
 */
export async function claimKey(db: Db, use: KeyUse): Promise<Buffer | undefined> {
  const { org_id, principal, route, key, request_hash } = use
  const sql = clientOf(db)
  const name = JSON.stringify([org_id, principal, route, key])
  const claimed = await sql`
    with lock as materialized (select pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) as free)
    insert into idempotency_keys (org_id, principal, route, key, request_hash)
    select ${org_id}::uuid, ${principal}::text, ${route}::text, ${key}::text, ${request_hash}::text from lock where free
    on conflict do nothing returning 1`
  if (claimed.length > 0) return undefined
  const [first] = await sql<{ request_hash: string; answer: Buffer | null }[]>`
    select request_hash, answer from idempotency_keys
    where org_id = ${org_id} and principal = ${principal} and route = ${route} and key = ${key}`
  if (first?.answer == null)
    throw new Problem(
      'idempotency_in_progress',
      'A request with this Idempotency-Key is still running; repeat it when it has ended.',
    )
  if (first.request_hash !== request_hash)
    throw new Problem('idempotency_mismatch', 'This Idempotency-Key was used for another request; make a new one.')
  return first.answer
}

/** Keeps the sealed answer with the claim. */
export async function storeAnswer(db: Db, { org_id, principal, route, key }: KeyUse, answer: Buffer): Promise<void> {
  await clientOf(db)`
    update idempotency_keys set answer = ${answer}
    where org_id = ${org_id} and principal = ${principal} and route = ${route} and key = ${key}`
}

/** Forgets keys a day after their use. @returns how many */
export async function purgeKeys(db: Db): Promise<number> {
  const gone = await db
    .delete(idempotencyKeys)
    .where(sql`${idempotencyKeys.created_at} < now() - interval '24 hours'`)
    .returning({ key: idempotencyKeys.key })
  return gone.length
}
