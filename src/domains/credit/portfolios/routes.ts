import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send, sendPage } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { createPortfolio, deletePortfolio, getPortfolio, listPortfolios, updatePortfolio } from './queries.ts'
import {
  DefaultDefinition,
  Portfolio,
  PortfolioCreate,
  PortfolioDeletion,
  PortfolioPage,
  PortfolioQuery,
  PortfolioUpdate,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

export const portfolios: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [DefaultDefinition, Portfolio, PortfolioPage, PortfolioCreate, PortfolioUpdate])
    app.addSchema(model)

  app.get(
    '/portfolios',
    {
      config: read,
      schema: {
        operationId: 'listPortfolios',
        summary: 'List portfolios',
        tags,
        querystring: PortfolioQuery,
        response: { 200: ref(PortfolioPage) },
      },
    },
    async (request, reply) => sendPage(request, reply, await listPortfolios(request.scope, request.query)),
  )

  app.post(
    '/portfolios',
    {
      config: write,
      schema: {
        operationId: 'createPortfolio',
        summary: 'Create a portfolio',
        tags,
        body: ref(PortfolioCreate),
        response: { 201: ref(Portfolio) },
      },
    },
    async (request, reply) => {
      const portfolio = await request.makeOnce((scope) => createPortfolio(scope, request.body))
      return created(reply, `/api/v1/portfolios/${portfolio.id}`, portfolio)
    },
  )

  app.get(
    '/portfolios/:id',
    {
      config: read,
      schema: {
        operationId: 'getPortfolio',
        summary: 'Get a portfolio',
        tags,
        params: IdParams,
        response: { 200: ref(Portfolio) },
      },
    },
    async (request, reply) => send(reply, await getPortfolio(request.scope, request.params.id)),
  )

  app.patch(
    '/portfolios/:id',
    {
      config: write,
      schema: {
        operationId: 'updatePortfolio',
        summary: 'Change fields of a portfolio',
        tags,
        params: IdParams,
        body: ref(PortfolioUpdate),
        response: { 200: ref(Portfolio) },
      },
    },
    async (request, reply) =>
      send(reply, await updatePortfolio(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/portfolios/:id',
    {
      config: write,
      schema: {
        operationId: 'deletePortfolio',
        summary: 'Delete a portfolio',
        tags,
        params: IdParams,
        querystring: PortfolioDeletion,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deletePortfolio(request.scope, request.params.id, request.query.cascade === true, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
