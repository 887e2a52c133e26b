import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { portfolioMetrics } from './queries.ts'
import { PortfolioMetrics } from './schemas.ts'

export const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(PortfolioMetrics)

  app.get(
    '/portfolios/:id/metrics',
    {
      config: { permission: 'credit:read' },
      schema: {
        operationId: 'getPortfolioMetrics',
        summary: 'Figures over all loans of a portfolio',
        tags: ['credit'],
        params: IdParams,
        response: { 200: ref(PortfolioMetrics) },
      },
    },
    async (request) => portfolioMetrics(request.scope, request.params.id),
  )
}
