import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { listLoanChanges } from './queries.ts'
import { HistoryQuery, LoanChange, LoanChangePage } from './schemas.ts'

/** What happened to a loan, field by field. */
export const history: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [LoanChange, LoanChangePage]) app.addSchema(model)

  app.get(
    '/loans/:id/history',
    {
      config: { permission: 'credit:read', problems: [406] },
      schema: {
        operationId: 'listLoanChanges',
        summary: 'List the changes of the fields of a loan, also of a deleted one',
        tags: ['credit'],
        params: IdParams,
        querystring: HistoryQuery,
        response: { 200: listAnswer(ref(LoanChangePage)) },
      },
    },
    async ({ params, query }, reply) =>
      reply.sendList({
        subject: 'loan_change',
        model: LoanChange,
        query,
        read: (scope, part) => listLoanChanges(scope, params.id, part),
      }),
  )
}
