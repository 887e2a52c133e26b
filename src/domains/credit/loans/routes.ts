import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { createLoan, deleteLoan, exportLoans, getLoan, getPastLoan, listLoans, updateLoan } from './queries.ts'
import { Loan, LoanCreate, LoanPage, LoanQuery, LoanTime, LoanUpdate } from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

export const loans: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Loan, LoanPage, LoanCreate, LoanUpdate]) app.addSchema(model)

  app.get(
    '/loans',
    {
      config: { ...read, problems: [406, 422] },
      schema: {
        operationId: 'listLoans',
        summary: 'List loans as they are or were, or export them all',
        tags,
        querystring: LoanQuery,
        response: { 200: listAnswer(ref(LoanPage)) },
      },
    },
    async ({ scope, query }, reply) =>
      reply.sendList({
        subject: 'loan',
        model: Loan,
        query,
        read: listLoans,
        copy: (names) => exportLoans(app.pools.exports, scope, query, names),
      }),
  )

  app.post(
    '/loans',
    {
      config: write,
      schema: {
        operationId: 'createLoan',
        summary: 'Create a loan',
        tags,
        body: ref(LoanCreate),
        response: { 201: ref(Loan) },
      },
    },
    async (request, reply) => {
      const loan = await request.makeOnce((scope) => createLoan(scope, request.body))
      return created(reply, `/api/v1/loans/${loan.id}`, loan)
    },
  )

  app.get(
    '/loans/:id',
    {
      config: { ...read, problems: [422] },
      schema: {
        operationId: 'getLoan',
        summary: 'Get a loan as it is or was',
        tags,
        params: IdParams,
        querystring: LoanTime,
        response: { 200: ref(Loan) },
      },
    },
    async ({ scope, params, query }, reply) => {
      const past = query.as_of !== undefined || query.known_at !== undefined
      // What was has no ETag: a change is made of what is.
      return past ? getPastLoan(scope, params.id, query) : send(reply, await getLoan(scope, params.id))
    },
  )

  app.patch(
    '/loans/:id',
    {
      config: { ...write, problems: [422] },
      schema: {
        operationId: 'updateLoan',
        summary: 'Change fields of a loan',
        tags,
        params: IdParams,
        body: ref(LoanUpdate),
        response: { 200: ref(Loan) },
      },
    },
    async (request, reply) =>
      send(reply, await updateLoan(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/loans/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteLoan',
        summary: 'Delete a loan',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteLoan(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
