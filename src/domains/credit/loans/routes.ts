import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send, sendPage } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { createLoan, deleteLoan, getLoan, listLoans, updateLoan } from './queries.ts'
import { Loan, LoanCreate, LoanPage, LoanQuery, LoanUpdate } from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

export const loans: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Loan, LoanPage, LoanCreate, LoanUpdate]) app.addSchema(model)

  app.get(
    '/loans',
    {
      config: read,
      schema: {
        operationId: 'listLoans',
        summary: 'List loans',
        tags,
        querystring: LoanQuery,
        response: { 200: ref(LoanPage) },
      },
    },
    async (request, reply) => sendPage(request, reply, await listLoans(request.scope, request.query)),
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
      config: read,
      schema: { operationId: 'getLoan', summary: 'Get a loan', tags, params: IdParams, response: { 200: ref(Loan) } },
    },
    async (request, reply) => send(reply, await getLoan(request.scope, request.params.id)),
  )

  app.patch(
    '/loans/:id',
    {
      config: write,
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
