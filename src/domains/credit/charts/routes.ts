import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sha256 } from '../../../lib/crypto.ts'
import { ref } from '../../../lib/schema.ts'
import { chartOf } from './queries.ts'
import { svgOf } from './render.ts'
import { ChartParams, ChartQuery, ChartSpec } from './schemas.ts'

const tags = ['credit']
const unchanged = { 304: Type.Unsafe<undefined>({ description: 'As If-None-Match has it', type: 'null' }) }
const description =
  'Filters and as_of are those of the analysis behind the chart; a parameter of another chart is refused. The ETag follows from the figures.'

/** Pictures of a portfolio, and the specifications they are drawn from. */
export const charts: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(ChartSpec)

  app.get(
    '/portfolios/:id/charts/:name.svg',
    {
      config: { permission: 'credit:read', problems: [422], contentSecurityPolicy: "default-src 'none'; sandbox" },
      schema: {
        operationId: 'getChart',
        summary: 'A chart as a picture',
        description,
        tags,
        params: ChartParams,
        querystring: ChartQuery,
        response: {
          200: { description: 'The picture', content: { 'image/svg+xml': { schema: { type: 'string' } } } },
          ...unchanged,
        },
      },
    },
    async (request, reply) => {
      const { id, name } = request.params
      const spec = await chartOf(request.scope, id, name, request.query)
      if (isKnown(request, reply, `${app.release} svg ${JSON.stringify(spec)}`)) return reply.code(304).send()
      reply.type('image/svg+xml').header('content-disposition', `inline; filename="${name}.svg"`)
      return reply.send(await svgOf(spec))
    },
  )

  app.get(
    '/portfolios/:id/charts/:name.json',
    {
      config: { permission: 'credit:read', problems: [422] },
      schema: {
        operationId: 'getChartSpec',
        summary: 'A chart as a Vega-Lite specification',
        description,
        tags,
        params: ChartParams,
        querystring: ChartQuery,
        response: { 200: ref(ChartSpec), ...unchanged },
      },
    },
    async (request, reply) => {
      const { id, name } = request.params
      const spec = await chartOf(request.scope, id, name, request.query)
      if (isKnown(request, reply, JSON.stringify(spec))) return reply.code(304).send(undefined)
      return spec
    },
  )
}

/** Whether the caller has this content already; names it by its hash for the next time, so nothing is drawn twice. */
function isKnown({ headers }: FastifyRequest, reply: FastifyReply, content: string): boolean {
  const tag = `"${sha256(content).toString('base64url')}"`
  reply.header('etag', tag).header('cache-control', 'private, no-cache')
  const known = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, ''))
  return known?.some((one) => one === tag || one === '*') ?? false
}
