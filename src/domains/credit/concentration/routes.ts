import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { concentrationOf } from './queries.ts'
import { Concentration, ConcentrationQuery } from './schemas.ts'

export const concentration: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(Concentration)

  app.get(
    '/portfolios/:id/concentration',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getConcentration',
        summary: 'How much of a portfolio stands with few borrowers or segments',
        tags: ['credit'],
        params: IdParams,
        querystring: ConcentrationQuery,
        response: { 200: ref(Concentration) },
      },
    },
    async (request) => concentrationOf(request.scope, request.params.id, request.query),
  )
}
