import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import {
  compareRuns,
  createRun,
  createScenario,
  deleteRun,
  deleteScenario,
  getRun,
  getScenario,
  listRuns,
  listScenarios,
  updateScenario,
} from './queries.ts'
import {
  Shocks,
  ShocksInput,
  StressComparison,
  StressComparisonQuery,
  StressCreate,
  StressFigures,
  StressResult,
  StressRun,
  StressRunPage,
  StressRunQuery,
  StressScenario,
  StressScenarioCreate,
  StressScenarioPage,
  StressScenarioQuery,
  StressScenarioUpdate,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const list = { ...read, problems: [406] }
const write = { permission: 'credit:write' }

/** Scenarios, and what they did to portfolios. */
export const stress: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Shocks, ShocksInput, StressFigures, StressResult]) app.addSchema(model)
  await app.register(scenarios)
  await app.register(runs)
}

const scenarios: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [StressScenario, StressScenarioPage, StressScenarioCreate, StressScenarioUpdate])
    app.addSchema(model)

  app.get(
    '/stress-scenarios',
    {
      config: list,
      schema: {
        operationId: 'listStressScenarios',
        summary: 'List stress scenarios',
        tags,
        querystring: StressScenarioQuery,
        response: { 200: listAnswer(ref(StressScenarioPage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'stress_scenario', model: StressScenario, query, read: listScenarios }),
  )

  app.post(
    '/stress-scenarios',
    {
      config: write,
      schema: {
        operationId: 'createStressScenario',
        summary: 'Create a stress scenario',
        tags,
        body: ref(StressScenarioCreate),
        response: { 201: ref(StressScenario) },
      },
    },
    async (request, reply) => {
      const scenario = await request.makeOnce((scope) => createScenario(scope, request.body))
      return created(reply, `/api/v1/stress-scenarios/${scenario.id}`, scenario)
    },
  )

  app.get(
    '/stress-scenarios/:id',
    {
      config: read,
      schema: {
        operationId: 'getStressScenario',
        summary: 'Get a stress scenario',
        tags,
        params: IdParams,
        response: { 200: ref(StressScenario) },
      },
    },
    async (request, reply) => send(reply, await getScenario(request.scope, request.params.id)),
  )

  app.patch(
    '/stress-scenarios/:id',
    {
      config: write,
      schema: {
        operationId: 'updateStressScenario',
        summary: 'Change fields of a stress scenario, and of its shocks those that are named',
        tags,
        params: IdParams,
        body: ref(StressScenarioUpdate),
        response: { 200: ref(StressScenario) },
      },
    },
    async (request, reply) =>
      send(reply, await updateScenario(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/stress-scenarios/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteStressScenario',
        summary: 'Delete a stress scenario; its runs stay',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteScenario(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}

const runs: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [StressCreate, StressRun, StressRunPage, StressComparison]) app.addSchema(model)

  app.post(
    '/portfolios/:id/stress',
    {
      config: write,
      schema: {
        operationId: 'createStressRun',
        summary: 'Run a stress test on a portfolio and keep its result',
        tags,
        params: IdParams,
        body: ref(StressCreate),
        response: { 201: ref(StressRun) },
      },
    },
    async (request, reply) => {
      const run = await request.once((scope) => createRun(scope, request.params.id, request.body))
      return created(reply, `/api/v1/stress-runs/${run.id}`, run)
    },
  )

  app.get(
    '/stress-runs',
    {
      config: list,
      schema: {
        operationId: 'listStressRuns',
        summary: 'List stress tests that were run',
        tags,
        querystring: StressRunQuery,
        response: { 200: listAnswer(ref(StressRunPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'stress_run', model: StressRun, query, read: listRuns }),
  )

  app.get(
    '/stress-runs/compare',
    {
      config: read,
      schema: {
        operationId: 'compareStressRuns',
        summary: 'Compare stress tests with their baselines and with the first',
        tags,
        querystring: StressComparisonQuery,
        response: { 200: ref(StressComparison) },
      },
    },
    async (request) => compareRuns(request.scope, request.query),
  )

  app.get(
    '/stress-runs/:id',
    {
      config: read,
      schema: {
        operationId: 'getStressRun',
        summary: 'Get a stress test that was run',
        tags,
        params: IdParams,
        response: { 200: ref(StressRun) },
      },
    },
    async (request, reply) => send(reply, await getRun(request.scope, request.params.id)),
  )

  app.delete(
    '/stress-runs/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteStressRun',
        summary: 'Delete a stress test that was run',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteRun(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
