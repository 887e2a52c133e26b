import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { longWork } from '../../../plugins/long-work.ts'
import {
  archivePortfolio,
  createPortfolio,
  deletePortfolio,
  duplicatePortfolio,
  getPortfolio,
  listPortfolios,
  updatePortfolio,
} from './queries.ts'
import {
  DefaultDefinition,
  Portfolio,
  PortfolioCreate,
  PortfolioDeletion,
  PortfolioDuplicate,
  PortfolioPage,
  PortfolioQuery,
  PortfolioStatistics,
  PortfolioUpdate,
} from './schemas.ts'

const models = [
  DefaultDefinition,
  PortfolioStatistics,
  Portfolio,
  PortfolioPage,
  PortfolioCreate,
  PortfolioUpdate,
  PortfolioDuplicate,
]
const tags = ['credit']
/** A copy of a million loans takes longer than other requests may. */
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

export const portfolios: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of models) app.addSchema(model)
  const copies = longWork('Portfolios are being duplicated')
  const deletions = longWork('Portfolios are being deleted with their loans')

  app.get(
    '/portfolios',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listPortfolios',
        summary: 'List portfolios, or export them all',
        tags,
        querystring: PortfolioQuery,
        response: { 200: listAnswer(ref(PortfolioPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'portfolio', model: Portfolio, query, read: listPortfolios }),
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
      config: { ...write, problems: [422] },
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

  for (const [action, archive, summary] of [
    ['archive', true, 'Archive a portfolio: it leaves the list, and takes no changes of what it holds'],
    ['unarchive', false, 'Take a portfolio back into use'],
  ] as const)
    app.post(
      `/portfolios/:id/${action}`,
      {
        config: { ...write, conditional: true },
        schema: {
          operationId: `${action}Portfolio`,
          summary,
          tags,
          params: IdParams,
          response: { 200: ref(Portfolio) },
        },
      },
      async (request, reply) =>
        send(
          reply,
          await request.once((scope) => archivePortfolio(scope, request.params.id, archive, ifMatch(request))),
        ),
    )

  app.post(
    '/portfolios/:id/duplicate',
    {
      handlerTimeout: copies.handlerTimeout,
      config: write,
      schema: {
        operationId: 'duplicatePortfolio',
        summary: 'Make a portfolio with the settings of another, and its loans',
        tags,
        params: IdParams,
        body: ref(PortfolioDuplicate),
        response: { 201: ref(Portfolio) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const portfolio = await copies.once(request, (scope) => duplicatePortfolio(scope, id, request.body))
      return created(reply, `/api/v1/portfolios/${portfolio.id}`, portfolio)
    },
  )

  app.delete(
    '/portfolios/:id',
    {
      handlerTimeout: deletions.handlerTimeout,
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
      const { scope, params, query } = request
      const remove = () => deletePortfolio(scope, params.id, query.cascade === true, ifMatch(request))
      await (query.cascade ? deletions.run(remove) : remove())
      return reply.code(204).send(null)
    },
  )
}
