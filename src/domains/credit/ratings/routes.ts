import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { followCalendar } from './current/queries.ts'
import {
  createRating,
  createRatings,
  deleteRating,
  getRating,
  listRatings,
  ratingOfLoan,
  ratingsOfLoan,
  updateRating,
} from './queries.ts'
import {
  LoanRating,
  LoanRatingQuery,
  LoanRatings,
  LoanRatingsQuery,
  Rating,
  RatingBulk,
  RatingCreate,
  RatingPage,
  RatingQuery,
  RatingUpdate,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }
const followEveryMs = 3_600_000

/** What grade loans had from one day to another. */
export const ratings: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [Rating, RatingPage, RatingCreate, RatingBulk, RatingUpdate, LoanRatings, LoanRating, BulkResult])
    app.addSchema(model)
  app.every('follow ratings', followEveryMs, () => followCalendar(app.pools.requests.db))

  app.get(
    '/ratings',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listRatings',
        summary: 'List ratings, or export them all',
        tags,
        querystring: RatingQuery,
        response: { 200: listAnswer(ref(RatingPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'rating', model: Rating, query, read: listRatings }),
  )

  app.post(
    '/ratings',
    {
      config: write,
      schema: {
        operationId: 'createRating',
        summary: 'Give a loan a rating, from now on or backdated',
        description:
          'It closes the rating before it. One that is backdated holds until the next begins; only its neighbours change.',
        tags,
        body: ref(RatingCreate),
        response: { 201: ref(Rating) },
      },
    },
    async (request, reply) => {
      const rating = await request.once((scope) => createRating(scope, request.body))
      return created(reply, `/api/v1/ratings/${rating.id}`, rating)
    },
  )

  app.post(
    '/ratings/bulk',
    {
      config: write,
      schema: {
        operationId: 'bulkCreateRatings',
        summary: 'Give many loans ratings',
        tags,
        body: ref(RatingBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => request.once((scope) => createRatings(scope, request.body)),
  )

  app.get(
    '/ratings/:id',
    {
      config: read,
      schema: {
        operationId: 'getRating',
        summary: 'Get a rating',
        tags,
        params: IdParams,
        response: { 200: ref(Rating) },
      },
    },
    async (request, reply) => send(reply, await getRating(request.scope, request.params.id)),
  )

  app.patch(
    '/ratings/:id',
    {
      config: { ...write, problems: [422] },
      schema: {
        operationId: 'updateRating',
        summary: 'Change what is said of a rating, or correct its grade or first day',
        tags,
        params: IdParams,
        body: ref(RatingUpdate),
        response: { 200: ref(Rating) },
      },
    },
    async (request, reply) =>
      send(reply, await updateRating(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/ratings/:id',
    {
      config: { ...write, problems: [422] },
      schema: {
        operationId: 'deleteRating',
        summary: 'Delete a rating; the one before it then holds as long as this one did',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteRating(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/loans/:id/ratings',
    {
      config: read,
      schema: {
        operationId: 'getLoanRatings',
        summary: 'Every rating of a loan',
        tags,
        params: IdParams,
        querystring: LoanRatingsQuery,
        response: { 200: ref(LoanRatings) },
      },
    },
    async ({ scope, params, query }) => ({ data: await ratingsOfLoan(scope, params.id, query.scale_id) }),
  )

  app.get(
    '/loans/:id/rating',
    {
      config: read,
      schema: {
        operationId: 'getLoanRating',
        summary: 'The rating of a loan that held on a day',
        tags,
        params: IdParams,
        querystring: LoanRatingQuery,
        response: { 200: ref(LoanRating) },
      },
    },
    async ({ scope, params, query }) => ratingOfLoan(scope, params.id, query),
  )
}
