import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { computeDefaultRates, defaultRateFigures } from './computed/queries.ts'
import { createDefaultRate, deleteDefaultRate, getDefaultRate, listDefaultRates, updateDefaultRate } from './queries.ts'
import {
  DefaultRate,
  DefaultRateComputation,
  DefaultRateComputed,
  DefaultRateCreate,
  DefaultRateFigures,
  DefaultRateFiguresQuery,
  DefaultRatePage,
  DefaultRateQuery,
  DefaultRateUpdate,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

/** Series of default rates: those that were entered, imported or computed, and what the loans say now. */
export const defaultRates: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [DefaultRate, DefaultRatePage, DefaultRateCreate, DefaultRateUpdate]) app.addSchema(model)
  for (const model of [DefaultRateFigures, DefaultRateComputation, DefaultRateComputed]) app.addSchema(model)

  app.get(
    '/default-rates',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listDefaultRates',
        summary: 'List stored default rates, or export them all',
        tags,
        querystring: DefaultRateQuery,
        response: { 200: listAnswer(ref(DefaultRatePage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'default_rate', model: DefaultRate, query, read: listDefaultRates }),
  )

  app.post(
    '/default-rates',
    {
      config: write,
      schema: {
        operationId: 'createDefaultRate',
        summary: 'Enter the default rate of a period',
        tags,
        body: ref(DefaultRateCreate),
        response: { 201: ref(DefaultRate) },
      },
    },
    async (request, reply) => {
      const row = await request.makeOnce((scope) => createDefaultRate(scope, request.body))
      return created(reply, `/api/v1/default-rates/${row.id}`, row)
    },
  )

  app.get(
    '/default-rates/:id',
    {
      config: read,
      schema: {
        operationId: 'getDefaultRate',
        summary: 'Get a stored default rate',
        tags,
        params: IdParams,
        response: { 200: ref(DefaultRate) },
      },
    },
    async (request, reply) => send(reply, await getDefaultRate(request.scope, request.params.id)),
  )

  app.patch(
    '/default-rates/:id',
    {
      config: { ...write, problems: [422] },
      schema: {
        operationId: 'updateDefaultRate',
        summary: 'Change fields of a default rate that was entered or imported',
        tags,
        params: IdParams,
        body: ref(DefaultRateUpdate),
        response: { 200: ref(DefaultRate) },
      },
    },
    async (request, reply) =>
      send(reply, await updateDefaultRate(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/default-rates/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteDefaultRate',
        summary: 'Delete a stored default rate',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteDefaultRate(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/portfolios/:id/default-rates',
    {
      config: { ...read, problems: [422] },
      schema: {
        operationId: 'getPortfolioDefaultRates',
        summary: 'Default rates of the loans of a portfolio, period by period',
        tags,
        params: IdParams,
        querystring: DefaultRateFiguresQuery,
        response: { 200: ref(DefaultRateFigures) },
      },
    },
    async ({ scope, params, query }) => defaultRateFigures(scope, params.id, query),
  )

  app.post(
    '/portfolios/:id/default-rates/compute',
    {
      config: write,
      schema: {
        operationId: 'computeDefaultRates',
        summary: 'Compute the default rates of a portfolio and store them',
        tags,
        params: IdParams,
        body: ref(DefaultRateComputation),
        response: { 200: ref(DefaultRateComputed) },
      },
    },
    async (request) => request.once((scope) => computeDefaultRates(scope, request.params.id, request.body)),
  )
}
