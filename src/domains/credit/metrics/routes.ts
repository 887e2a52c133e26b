import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { portfolioMetrics, segmentMetrics } from './queries.ts'
import { formulaTable } from './rules.ts'
import { Formulas, MetricsQuery, PortfolioMetrics, SegmentMetrics, SegmentsQuery } from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read', problems: [422] }

export const metrics: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [PortfolioMetrics, SegmentMetrics, Formulas]) app.addSchema(model)

  app.get(
    '/portfolios/:id/metrics',
    {
      config: read,
      schema: {
        operationId: 'getPortfolioMetrics',
        summary: 'Figures over the loans of a portfolio',
        description: 'Of the loans as they are, as reported for a date (as_of), and as known at a time (known_at).',
        tags,
        params: IdParams,
        querystring: MetricsQuery,
        response: { 200: ref(PortfolioMetrics) },
      },
    },
    async (request) => portfolioMetrics(request.scope, request.params.id, request.query),
  )

  app.get(
    '/portfolios/:id/metrics/segments',
    {
      config: read,
      schema: {
        operationId: 'getSegmentMetrics',
        summary: 'The same figures for each segment of a portfolio',
        tags,
        params: IdParams,
        querystring: SegmentsQuery,
        response: { 200: ref(SegmentMetrics) },
      },
    },
    async (request) => segmentMetrics(request.scope, request.params.id, request.query),
  )

  app.get(
    '/metrics/formulas',
    {
      config: { permission: 'credit:read' },
      schema: {
        operationId: 'getMetricFormulas',
        summary: 'How each figure is computed, and after which source',
        tags,
        response: { 200: ref(Formulas) },
      },
    },
    async () => formulaTable(),
  )
}
