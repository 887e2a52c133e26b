import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sha256 } from '../../../lib/crypto.ts'
import { ref } from '../../../lib/schema.ts'
import { Drawing } from './drawing.ts'
import { chartOf } from './queries.ts'
import { ChartParams, ChartQuery, ChartSpec } from './schemas.ts'

const tags = ['credit']
const unchanged = { 304: Type.Unsafe<undefined>({ description: 'As If-None-Match has it', type: 'null' }) }
/** The picture may load, run, frame and send nothing, where a browser opens it by itself. */
const contentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
const description =
  'Filters and as_of are those of the analysis behind the chart; a parameter of another chart is refused. The ETag follows from the figures.'

/** Pictures of a portfolio, and the specifications they are drawn from. */
export const charts: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(ChartSpec)
  const drawing = new Drawing()
  app.addHook('onClose', () => drawing.close())

  app.get(
    '/portfolios/:id/charts/:name.svg',
    {
      config: { permission: 'credit:read', problems: [422], contentSecurityPolicy },
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
      const spec = JSON.stringify(await chartOf(request.scope, id, name, request.query))
      const tag = tagOf(`${app.release} svg ${spec}`)
      if (isKnown(request, tag)) return tagged(reply, tag).code(304).send()
      const picture = await drawing.svgOf(spec)
      const disposition = `inline; filename="${name}.svg"`
      return tagged(reply, tag).type('image/svg+xml').header('content-disposition', disposition).send(picture)
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
      const tag = tagOf(JSON.stringify(spec))
      tagged(reply, tag)
      if (isKnown(request, tag)) return reply.code(304).send(undefined)
      return spec
    },
  )
}

/** Names a content by its hash, so that who has it already gets 304 before anything is drawn. */
const tagOf = (content: string) => `"${sha256(content).toString('base64url')}"`

/** Only an answer that is or stands for the content has its tag: a problem must not. */
const tagged = (reply: FastifyReply, tag: string) =>
  reply.header('etag', tag).header('cache-control', 'private, no-cache')

function isKnown({ headers }: FastifyRequest, tag: string): boolean {
  const known = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, ''))
  return known?.some((one) => one === tag || one === '*') ?? false
}
