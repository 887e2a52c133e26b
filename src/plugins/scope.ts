import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { TenantScope } from '../db/scope.ts'
import { platformOrgId } from '../db/tables/audit.ts'
import { networkOf } from '../lib/address.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The organisation of the credential, never of the request; the platform's own where there is none. An open route
     * has nobody's: what a sign-in or a link shows must not get into the trail of whoever else is signed in there.
     */
    readonly scope: TenantScope
  }
}

/** Gives each request the scope its queries take. */
export default fp(
  async (app: FastifyInstance) => {
    const { db } = app.pools.requests
    app.decorateRequest('scope', {
      getter(this: FastifyRequest): TenantScope {
        const auth = this.routeOptions.config.public ? null : this.auth
        return {
          db,
          org_id: auth?.org_id ?? platformOrgId,
          actor: {
            user_id: auth?.user_id ?? null,
            principal: auth?.principal ?? `anonymous:${networkOf(this.ip)}`,
            request_id: this.id,
            ip: this.ip,
            api_key_id: auth?.api_key_id ?? null,
            impersonator_id: auth?.impersonator_id ?? null,
          },
        }
      },
    })
  },
  { name: 'scope', dependencies: ['auth', 'database'] },
)
