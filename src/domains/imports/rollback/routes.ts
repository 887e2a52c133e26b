import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ImportTarget } from '../../../db/import-target.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { presentImport } from '../imports/rules.ts'
import { Import } from '../imports/schemas.ts'
import { rollBack } from './queries.ts'

/** How long it may take; a million loans take minutes. */
const withinMs = 1_800_000

/** Undoing what was imported by the `targets`. */
export const importRollback: FastifyPluginAsyncTypebox<{ targets: ImportTarget[] }> = async (app, { targets }) => {
  app.post(
    '/imports/:id/rollback',
    {
      config: { permission: 'credit:write', unkeyed: true },
      handlerTimeout: withinMs,
      schema: {
        operationId: 'rollbackImport',
        summary: 'Undo a completed import whose rows have not been changed since',
        description:
          'Loans it inserted are deleted, loans it changed and snapshots it corrected are as they were before, and snapshots it wrote hold no more; all of it stays in the history. Afterwards the same file can be imported again.',
        tags: ['imports'],
        params: IdParams,
        response: { 200: ref(Import) },
      },
    },
    async ({ scope, params }) => {
      const undone = await app.pools.ingest.transaction((db) => rollBack({ ...scope, db }, targets, params.id))
      return presentImport(undone)
    },
  )
}
