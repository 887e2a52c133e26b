import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { TransitionPeriod, TransitionRow } from '../transitions/schemas.ts'
import { rollRates as rollRatesOf } from './queries.ts'
import { RollRateQuery, RollRates } from './schemas.ts'

export const rollRates: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [TransitionRow, TransitionPeriod, RollRates]) app.addSchema(model)

  app.get(
    '/portfolios/:id/roll-rates',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getRollRates',
        summary: 'How loans rolled from one delinquency bucket to another',
        tags: ['credit'],
        params: IdParams,
        querystring: RollRateQuery,
        response: { 200: ref(RollRates) },
      },
    },
    async (request) => rollRatesOf(request.scope, request.params.id, request.query),
  )
}
