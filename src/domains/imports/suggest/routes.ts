import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { ImportTarget } from '../../../db/import-target.ts'
import { ref } from '../../../lib/schema.ts'
import { callerLimit } from '../../../plugins/rate-limit.ts'
import { prepareTarget, type Target } from '../engine/target.ts'
import { fileRoute, openUpload, type UploadLimits } from '../engine/upload.ts'
import { targetNamed } from '../mappings/rules.ts'
import { mappingModels } from '../mappings/schemas.ts'
import { valuesOfParent } from './queries.ts'
import { readFileHead, suggestionForm } from './rules.ts'
import { MappingSuggestion, SuggestionForm, SuggestionWarning } from './schemas.ts'
import { suggestMapping } from './suggest.ts'

/** Finds out how a file is to be read. */
export const suggestions: FastifyPluginAsyncTypebox<{ targets: ImportTarget[] }> = async (app, options) => {
  const targets = options.targets.map(prepareTarget)
  for (const model of [...mappingModels, MappingSuggestion, SuggestionForm, SuggestionWarning]) app.addSchema(model)
  await app.register(multipart)
  const { maxBytes, idleTimeoutS } = app.config.imports
  const { rateLimitImportMax } = app.config.http
  const limits = { bytesMax: maxBytes, idleMs: idleTimeoutS * 1_000, deadlineMs: 30_000 }

  app.post(
    '/import-mappings/suggest',
    {
      config: {
        permission: 'credit:write',
        rateLimit: callerLimit(rateLimitImportMax),
        problems: [408],
        unkeyed: true,
      },
      handlerTimeout: 2 * limits.deadlineMs,
      ...fileRoute(),
      schema: {
        operationId: 'suggestImportMapping',
        summary: 'Propose a mapping for a CSV file',
        description:
          'By the names of its columns, the shape of their cells and the words in them. Send the first MB of the file; what follows is not looked at. Nothing is kept: correct the mapping where it says so, and save it or send it with the import.',
        tags: ['imports'],
        consumes: ['multipart/form-data'],
        body: ref(SuggestionForm),
        response: { 200: ref(MappingSuggestion) },
      },
    },
    async (request) => suggest(request, targets, limits),
  )
}

async function suggest(request: FastifyRequest, targets: Target[], limits: UploadLimits): Promise<MappingSuggestion> {
  const upload = await openUpload(request, suggestionForm, limits)
  try {
    const { portfolio_id, target: name } = upload.options
    const target = targetNamed(targets, name, '/body/target')
    const given = portfolio_id === undefined ? {} : await valuesOfParent(request.scope, target, portfolio_id)
    return await suggestMapping(await readFileHead(upload), target, given)
  } finally {
    upload.close()
  }
}
