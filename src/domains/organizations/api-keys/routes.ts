import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import {
  createApiKey,
  getApiKey,
  listApiKeys,
  purgeApiKeys,
  recordKeyUse,
  revokeApiKey,
  rotateApiKey,
  updateApiKey,
} from './queries.ts'
import { checkKey } from './rules.ts'
import { ApiKey, ApiKeyCreate, ApiKeyPage, ApiKeyQuery, ApiKeyUpdate, NewApiKey } from './schemas.ts'

const tags = ['organizations']
/** No key has this permission, and nobody who acts as another: a key outlives both. */
const config = { permission: 'api_keys:manage' }
const flushEveryMs = 30_000
const purgeEveryMs = 3_600_000

/** Credentials of programs, in the name of who made them. */
export const apiKeys: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [ApiKey, ApiKeyPage, ApiKeyCreate, ApiKeyUpdate, NewApiKey]) app.addSchema(model)
  const { db } = app.pools.requests

  app.get(
    '/api-keys',
    {
      config: { ...config, problems: [406] },
      schema: {
        operationId: 'listApiKeys',
        summary: 'List API keys',
        tags,
        querystring: ApiKeyQuery,
        response: { 200: listAnswer(ref(ApiKeyPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ subject: 'api_key', model: ApiKey, query, read: listApiKeys }),
  )

  app.post(
    '/api-keys',
    {
      config,
      schema: {
        operationId: 'createApiKey',
        summary: 'Create an API key',
        description: 'The key itself is in this answer and nowhere else.',
        tags,
        body: ref(ApiKeyCreate),
        response: { 201: ref(NewApiKey) },
      },
    },
    async (request, reply) => {
      checkKey(request.body, request.auth!.permissions)
      const key = await request.once((scope) => createApiKey(scope, request.body))
      return created(reply, `/api/v1/api-keys/${key.id}`, key)
    },
  )

  app.get(
    '/api-keys/:id',
    {
      config,
      schema: {
        operationId: 'getApiKey',
        summary: 'Get an API key',
        tags,
        params: IdParams,
        response: { 200: ref(ApiKey) },
      },
    },
    async (request, reply) => send(reply, await getApiKey(request.scope, request.params.id)),
  )

  app.patch(
    '/api-keys/:id',
    {
      config,
      schema: {
        operationId: 'updateApiKey',
        summary: 'Change fields of an API key',
        tags,
        params: IdParams,
        body: ref(ApiKeyUpdate),
        response: { 200: ref(ApiKey) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      checkKey(request.body, request.auth!.permissions)
      const key = await updateApiKey(request.scope, id, request.body, ifMatch(request))
      app.access.forget(`key:${id}`)
      return send(reply, key)
    },
  )

  app.delete(
    '/api-keys/:id',
    {
      config,
      schema: {
        operationId: 'revokeApiKey',
        summary: 'Revoke an API key',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Revoked' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await revokeApiKey(request.scope, id, ifMatch(request))
      app.access.forget(`key:${id}`)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/api-keys/:id/rotate',
    {
      config,
      schema: {
        operationId: 'rotateApiKey',
        summary: 'Give an API key a new secret',
        description: 'The old secret stops working at once, and the key is yours: your permissions bound it.',
        tags,
        params: IdParams,
        response: { 201: ref(NewApiKey) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const key = await request.once((scope) => rotateApiKey(scope, id))
      app.access.forget(`key:${id}`)
      return created(reply, `/api/v1/api-keys/${id}`, key)
    },
  )

  app.every('api key use', flushEveryMs, async () => {
    const { usedKeys } = app.access
    const ids = [...usedKeys]
    if (ids.length === 0) return
    await recordKeyUse(db, ids)
    for (const id of ids) usedKeys.delete(id)
  })
  app.every('purge api keys', purgeEveryMs, () => purgeApiKeys(db))
}
