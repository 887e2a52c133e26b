import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { transitionMatrix } from './queries.ts'
import { TransitionMatrix, TransitionPeriod, TransitionQuery, TransitionRow } from './schemas.ts'

export const transitions: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [TransitionRow, TransitionPeriod, TransitionMatrix]) app.addSchema(model)

  app.get(
    '/portfolios/:id/transition-matrix',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getTransitionMatrix',
        summary: 'How loans moved between ratings, statuses or stages',
        tags: ['credit'],
        params: IdParams,
        querystring: TransitionQuery,
        response: { 200: ref(TransitionMatrix) },
      },
    },
    async (request) => transitionMatrix(request.scope, request.params.id, request.query),
  )
}
