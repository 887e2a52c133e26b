import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { IdParams, ref } from '../../../lib/schema.ts'
import { eventStream } from '../../../plugins/events.ts'
import { findImport, getImport } from '../imports/queries.ts'
import { Import, ImportError } from '../imports/schemas.ts'
import { eventsOf, markOf, Watch } from './rules.ts'

const lookEveryMs = 400

/** So many looks at the row are followed by one that also asks whether anybody still runs the import, which costs more. */
const looksPerProof = 8

/** Imports that can be watched while they run. */
export const importEvents: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [ImportError, Import]) app.addSchema(model)
  const watch = new Watch(lookEveryMs)

  app.get(
    '/imports/:id/events',
    {
      config: { permission: 'credit:read' },
      schema: {
        operationId: 'watchImport',
        summary: 'Watch an import while it runs, by Server-Sent Events',
        description:
          '`progress` whenever its counts have changed, and at last `completed`, `failed`, `cancelled` or `rolled_back`; the data of each is the Import. Whoever comes back with `Last-Event-ID` gets what is new; 204 says that nothing will come.',
        tags: ['imports'],
        params: IdParams,
        headers: Type.Object({
          'last-event-id': Type.Optional(Type.String({ maxLength: 200, description: 'the id of the last event seen' })),
        }),
        response: {
          200: {
            description: 'Events; the schema is that of the data of each',
            content: { [eventStream]: { schema: ref(Import) } },
          },
          204: Type.Null({ description: 'The last event was seen' }),
        },
      },
    },
    async (request, reply) => {
      const { scope, params, headers } = request
      const row = await getImport(scope, params.id)
      const seen = headers['last-event-id']
      if (row.status !== 'running' && seen === markOf(row)) return reply.code(204).send(null)
      let looks = 0
      const read = () => (++looks % looksPerProof === 0 ? getImport : findImport)(scope, params.id)
      const rows = (signal: AbortSignal) => watch.follow(`${scope.org_id} ${params.id}`, read, signal)
      return reply.sendEvents(Import, (signal) => eventsOf(row, rows(signal), seen)) as never
    },
  )
}
