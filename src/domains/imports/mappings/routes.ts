import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { ImportTarget } from '../../../db/import-target.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { checkMapping } from '../engine/check-mapping.ts'
import { prepareTarget } from '../engine/target.ts'
import { createMapping, deleteMapping, getMapping, listMappings, updateMapping } from './queries.ts'
import { defaultTarget, targetNamed, templateOf } from './rules.ts'
import {
  mappingModels,
  SavedMapping,
  SavedMappingCreate,
  SavedMappingPage,
  SavedMappingQuery,
  SavedMappingUpdate,
  TemplateQuery,
} from './schemas.ts'

const tags = ['imports']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

/** How files are read, kept for the next file of the same make; for the targets that imports know. */
export const importMappings: FastifyPluginAsyncTypebox<{ targets: ImportTarget[] }> = async (app, options) => {
  const targets = options.targets.map(prepareTarget)
  for (const model of [...mappingModels, SavedMapping, SavedMappingPage, SavedMappingCreate, SavedMappingUpdate])
    app.addSchema(model)

  app.get(
    '/import-mappings',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listImportMappings',
        summary: 'List saved mappings, or export them all',
        tags,
        querystring: SavedMappingQuery,
        response: { 200: listAnswer(ref(SavedMappingPage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'import_mapping', model: SavedMapping, query, read: listMappings }),
  )

  app.post(
    '/import-mappings',
    {
      config: write,
      schema: {
        operationId: 'createImportMapping',
        summary: 'Save a mapping',
        tags,
        body: ref(SavedMappingCreate),
        response: { 201: ref(SavedMapping) },
      },
    },
    async (request, reply) => {
      const { target = defaultTarget, mapping } = request.body
      checkMapping(mapping, targetNamed(targets, target, '/body/target'))
      const saved = await request.makeOnce((scope) => createMapping(scope, { ...request.body, target }))
      return created(reply, `/api/v1/import-mappings/${saved.id}`, saved)
    },
  )

  app.get(
    '/import-mappings/template',
    {
      config: { ...read, contentSecurityPolicy: 'sandbox' },
      schema: {
        operationId: 'getImportTemplate',
        summary: 'Download a CSV of the header that needs no mapping',
        description: 'Any further column of a file becomes an attribute, where the target has attributes.',
        tags,
        querystring: TemplateQuery,
        response: { 200: { description: 'A header line', content: { 'text/csv': { schema: { type: 'string' } } } } },
      },
    },
    async ({ query }, reply) => {
      const target = targetNamed(targets, query.target ?? defaultTarget, '/querystring/target')
      return reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="${target.name}.csv"`)
        .send(templateOf(target))
    },
  )

  app.get(
    '/import-mappings/:id',
    {
      config: read,
      schema: {
        operationId: 'getImportMapping',
        summary: 'Get a saved mapping',
        tags,
        params: IdParams,
        response: { 200: ref(SavedMapping) },
      },
    },
    async (request, reply) => send(reply, await getMapping(request.scope, request.params.id)),
  )

  app.patch(
    '/import-mappings/:id',
    {
      config: write,
      schema: {
        operationId: 'updateImportMapping',
        summary: 'Change a saved mapping; imports that were made with it keep what they used',
        tags,
        params: IdParams,
        body: ref(SavedMappingUpdate),
        response: { 200: ref(SavedMapping) },
      },
    },
    async (request, reply) => {
      const { scope, params, body } = request
      const { target } = await getMapping(scope, params.id)
      if (body.mapping) checkMapping(body.mapping, targetNamed(targets, target, '/body/mapping'))
      return send(reply, await updateMapping(scope, params.id, body, ifMatch(request)))
    },
  )

  app.delete(
    '/import-mappings/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteImportMapping',
        summary: 'Delete a saved mapping; imports that were made with it stay',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteMapping(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
