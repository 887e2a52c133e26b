import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { claimKey, purgeKeys, storeAnswer } from '../db/idempotency.ts'
import type { KeyUse, TenantScope } from '../db/scope.ts'
import { deriveKeys, hmac, keyId, seal, unseal } from '../lib/crypto.ts'
import { Problem } from '../lib/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Runs the change of a POST. With an `Idempotency-Key` it runs in a transaction that also keeps its result, and a
     * repeat gets that result without running; the answer follows from the result, so it is the same.
     */
    once<T>(change: (scope: TenantScope) => Promise<T>): Promise<T>
    /**
     * The same for a change that is one `insertAudited` and nothing else: the insert's own statement claims the key and
     * keeps the row, which costs a third of the transaction.
     */
    makeOnce<T>(insert: (scope: TenantScope) => Promise<T>): Promise<T>
  }
}

const wellFormedKey = /^[\x21-\x7e]{1,255}$/
const purgeEveryMs = 3_600_000

export default fp(
  async (app: FastifyInstance) => {
    const { encryptionKeys } = app.config.auth
    const sealKeys = deriveKeys(encryptionKeys, 'idempotency answers')
    const hashKeys = deriveKeys(encryptionKeys, 'idempotency requests')
    const presentKey = keyId(encryptionKeys[0])

    function useOf({ scope, headers, method, routeOptions, params, query, body }: FastifyRequest): KeyUse | undefined {
      const key = headers['idempotency-key']
      if (key === undefined) return undefined
      if (typeof key !== 'string' || !wellFormedKey.test(key))
        throw new Problem('invalid_idempotency_key', 'Idempotency-Key must be 1 to 255 visible ASCII characters.')
      const asked = JSON.stringify([params, query, body])
      const hashes = hashKeys.map((one) => hmac(one, asked).toString('base64url'))
      return {
        org_id: scope.org_id,
        principal: scope.actor.principal,
        route: `${method} ${routeOptions.url}`,
        key,
        request_hash: `${presentKey}.${hashes[0]}`,
        hashes,
      }
    }

    app.decorateRequest('once', async function once<
      T,
    >(this: FastifyRequest, change: (scope: TenantScope) => Promise<T>): Promise<T> {
      const { scope } = this
      const use = useOf(this)
      if (use === undefined) return change(scope)
      return app.pools.requests.transaction(async (db) => {
        const answer = await claimKey(db, use)
        if (answer !== undefined) return JSON.parse(unseal(sealKeys, answer)) as T
        const result = await change({ ...scope, db })
        await storeAnswer(db, use, seal(sealKeys, JSON.stringify(result ?? null)))
        return result
      })
    })
    app.decorateRequest('makeOnce', async function makeOnce<
      T,
    >(this: FastifyRequest, insert: (scope: TenantScope) => Promise<T>): Promise<T> {
      const once = useOf(this)
      return insert(once === undefined ? this.scope : { ...this.scope, once })
    })

    app.every('purge idempotency keys', purgeEveryMs, () => purgeKeys(app.pools.requests.db))
  },
  { name: 'idempotency', dependencies: ['scope', 'background'] },
)
