import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { Problem } from '../../../lib/errors.ts'
import { Limiter } from '../../../lib/limiter.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { changeLoans, updateLoans } from './queries.ts'
import { bulkModels, LoanBulk, LoansUpdate, LoansUpdateResult } from './schemas.ts'

const tags = ['credit']
const config = { permission: 'credit:write' }
/** A million loans take longer than other requests may, and keep a connection busy. */
const updateWithinMs = 300_000
const updatesAtOnce = 1
const updatesWaiting = 16

/** Many loans at once. */
export const bulk: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [...bulkModels, BulkResult]) app.addSchema(model)
  const updates = new Limiter(updatesAtOnce, updatesWaiting, () => {
    const detail = 'Loans of other filters are being changed, one after another, and many wait; try again in a moment.'
    return new Problem('busy', detail, { retryAfterS: 5 })
  })

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
      handlerTimeout: updateWithinMs,
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
    // Who waits for his turn must not hold a connection meanwhile, as `once` does.
    async (request) => updates.run(() => request.once((scope) => updateLoans(scope, request.params.id, request.body))),
  )
}
