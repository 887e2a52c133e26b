import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { longWork } from '../../../plugins/long-work.ts'
import { changeLoans, updateLoans } from './queries.ts'
import { bulkModels, LoanBulk, LoansUpdate, LoansUpdateResult } from './schemas.ts'

const tags = ['credit']
const config = { permission: 'credit:write' }

/** Many loans at once. */
export const bulk: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [...bulkModels, BulkResult]) app.addSchema(model)
  const updates = longWork('Loans of other filters are being changed')

  app.post(
    '/loans/bulk',
    {
      config,
      schema: {
        operationId: 'bulkChangeLoans',
        summary: 'Create, change and delete many loans',
        tags,
        body: ref(LoanBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => request.once((scope) => changeLoans(scope, request.body)),
  )

  app.post(
    '/portfolios/:id/loans/update',
    {
      handlerTimeout: updates.handlerTimeout,
      config,
      schema: {
        operationId: 'updateLoans',
        summary: 'Change the same fields of all loans of a portfolio that meet a filter',
        tags,
        params: IdParams,
        body: ref(LoansUpdate),
        response: { 200: ref(LoansUpdateResult) },
      },
    },
    async (request) => updates.once(request, (scope) => updateLoans(scope, request.params.id, request.body)),
  )
}
