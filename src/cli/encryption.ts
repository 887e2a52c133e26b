import type { Db } from '../db/client.ts'
import { usesBefore } from '../db/idempotency.ts'
import { agedFactors } from '../domains/identity/totp/queries.ts'
import { factorKeys } from '../domains/identity/totp/rules.ts'
import { keyId, type Secrets } from '../lib/crypto.ts'

/** What still depends on the encryption key before the present one. */
export type Aged = {
  /** Second factors that only the key before opens, and those that neither does. */
  factors: number
  lost: number
  /** Idempotent answers of the last day. */
  answers: number
}

export async function findAged(db: Db, encryptionKeys: Secrets): Promise<Aged> {
  const aged = { factors: 0, lost: 0, answers: await usesBefore(db, keyId(encryptionKeys[0])) }
  for await (const { secret } of agedFactors(db, factorKeys(encryptionKeys)))
    aged[secret === undefined ? 'lost' : 'factors']++
  return aged
}
