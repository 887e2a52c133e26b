import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { vintages as vintagesOf } from './queries.ts'
import { VintageCohort, VintageQuery, Vintages } from './schemas.ts'

export const vintages: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [VintageCohort, Vintages]) app.addSchema(model)

  app.get(
    '/portfolios/:id/vintages',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getVintages',
        summary: 'Default, loss or prepayment curves by cohort and age',
        tags: ['credit'],
        params: IdParams,
        querystring: VintageQuery,
        response: { 200: ref(Vintages) },
      },
    },
    async (request) => vintagesOf(request.scope, request.params.id, request.query),
  )
}
