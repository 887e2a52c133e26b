import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { delinquencyOf } from './queries.ts'
import { Delinquency, DelinquencyQuery } from './schemas.ts'

export const delinquency: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(Delinquency)

  app.get(
    '/portfolios/:id/delinquency',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getDelinquency',
        summary: 'Delinquency buckets and portfolio at risk, of one date or of all that were reported',
        tags: ['credit'],
        params: IdParams,
        querystring: DelinquencyQuery,
        response: { 200: ref(Delinquency) },
      },
    },
    async (request) => delinquencyOf(request.scope, request.params.id, request.query),
  )
}
