import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../lib/errors.ts'

/** Closes a scope of routes to credentials without an organisation. */
export default fp(
  async (app: FastifyInstance) => {
    app.addHook('preValidation', ({ auth }, _reply, done) => done(auth?.org_id === null ? homeless() : undefined))
  },
  { name: 'tenant', dependencies: ['auth'] },
)

const homeless = () =>
  new Problem('no_active_organization', 'No organisation is active in this session; switch to one first.')
