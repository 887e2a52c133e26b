import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { createRatingScale, deleteRatingScale, getRatingScale, listRatingScales, updateRatingScale } from './queries.ts'
import {
  RatingGrade,
  RatingScale,
  RatingScaleCreate,
  RatingScalePage,
  RatingScaleQuery,
  RatingScaleUpdate,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

/** The grades that loans can be given, and what each means. */
export const ratingScales: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [RatingGrade, RatingScale, RatingScalePage, RatingScaleCreate, RatingScaleUpdate])
    app.addSchema(model)

  app.get(
    '/rating-scales',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listRatingScales',
        summary: 'List rating scales, or export them all',
        tags,
        querystring: RatingScaleQuery,
        response: { 200: listAnswer(ref(RatingScalePage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'rating_scale', model: RatingScale, query, read: listRatingScales }),
  )

  app.post(
    '/rating-scales',
    {
      config: write,
      schema: {
        operationId: 'createRatingScale',
        summary: 'Create a rating scale',
        tags,
        body: ref(RatingScaleCreate),
        response: { 201: ref(RatingScale) },
      },
    },
    async (request, reply) => {
      const scale = await request.makeOnce((scope) => createRatingScale(scope, request.body))
      return created(reply, `/api/v1/rating-scales/${scale.id}`, scale)
    },
  )

  app.get(
    '/rating-scales/:id',
    {
      config: read,
      schema: {
        operationId: 'getRatingScale',
        summary: 'Get a rating scale',
        tags,
        params: IdParams,
        response: { 200: ref(RatingScale) },
      },
    },
    async (request, reply) => send(reply, await getRatingScale(request.scope, request.params.id)),
  )

  app.patch(
    '/rating-scales/:id',
    {
      config: write,
      schema: {
        operationId: 'updateRatingScale',
        summary: 'Change fields of a rating scale',
        description: 'Grades that ratings have must stay, in their order and with their meaning.',
        tags,
        params: IdParams,
        body: ref(RatingScaleUpdate),
        response: { 200: ref(RatingScale) },
      },
    },
    async (request, reply) =>
      send(reply, await updateRatingScale(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/rating-scales/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteRatingScale',
        summary: 'Delete a rating scale that nothing uses',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteRatingScale(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
