import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../../../lib/schema.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { readStatistics } from './queries.ts'
import { PlatformStatistics } from './schemas.ts'

/** Figures of the whole service, for superusers. */
export const platformStatistics: FastifyPluginAsyncTypebox = async (app) => {
  app.addSchema(PlatformStatistics)

  app.get(
    '/platform/statistics',
    {
      config: { permission: platformPermission },
      schema: {
        operationId: 'getPlatformStatistics',
        summary: 'How much of everything there is',
        tags: ['platform'],
        response: { 200: ref(PlatformStatistics) },
      },
    },
    async (request) => readStatistics(request.scope.db),
  )
}
