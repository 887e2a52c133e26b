import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ImportTarget } from '../../../db/import-target.ts'
import { csvRecord } from '../../../lib/csv.ts'
import { Problem } from '../../../lib/errors.ts'
import { Limiter } from '../../../lib/limiter.ts'
import { created } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { callerLimit } from '../../../plugins/rate-limit.ts'
import { importForm } from '../engine/form.ts'
import { errorsColumn } from '../engine/header.ts'
import { runImport } from '../engine/run.ts'
import { prepareTarget, type Target } from '../engine/target.ts'
import { fileRoute, openUpload } from '../engine/upload.ts'
import { recallMapping } from '../mappings/queries.ts'
import { ImportMapping, mappingModels } from '../mappings/schemas.ts'
import { rejectsOf } from '../rejects/queries.ts'
import { importRollback } from '../rollback/routes.ts'
import { failInterrupted, getImport, holdParent, type ImportRow, listImports, requestCancel } from './queries.ts'
import { presentImport, usedMapping } from './rules.ts'
import { Import, ImportError, ImportForm, ImportPage, ImportQuery } from './schemas.ts'

const tags = ['imports']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }
const sweepEveryMs = 60_000
/** How much longer than the upload's own deadline the framework waits for the handler. */
const handlerSlackMs = 60_000

/** Loading CSV into the resources that `targets` describe, one route each, and the imports that came of it. */
export const imports: FastifyPluginAsyncTypebox<{ targets: ImportTarget[] }> = async (app, { targets }) => {
  for (const model of [...mappingModels, ImportError, Import, ImportPage, ImportForm]) app.addSchema(model)
  await app.register(multipart)
  // Imports whose process died show it when they are read; this is for those that nobody reads.
  app.every('sweep imports', sweepEveryMs, () => failInterrupted(app.pools.requests.db))
  const { concurrency } = app.config.imports
  const slots = new Limiter(concurrency, 0, () => {
    const detail = `${concurrency} imports are running, and no more run at once; try again in a moment.`
    return new Problem('busy', detail, { retryAfterS: 5 })
  })
  for (const target of targets) addImportRoute(app, prepareTarget(target), slots)

  await app.register(importRollback, { targets })

  app.get(
    '/imports',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listImports',
        summary: 'List imports',
        tags,
        querystring: ImportQuery,
        response: { 200: listAnswer(ref(ImportPage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({
        subject: 'import',
        model: Import,
        query,
        read: async (scope, part) => {
          const page = await listImports(scope, part)
          return { ...page, data: page.data.map((row) => presentImport(row)) }
        },
      }),
  )

  app.get(
    '/imports/:id',
    {
      config: read,
      schema: {
        operationId: 'getImport',
        summary: 'Get an import, also while it runs',
        tags,
        params: IdParams,
        response: { 200: ref(Import) },
      },
    },
    async (request) => presentImport(await getImport(request.scope, request.params.id)),
  )

  app.get(
    '/imports/:id/mapping',
    {
      config: read,
      schema: {
        operationId: 'getUsedMapping',
        summary: 'Get the mapping that an import used, whatever has become of a saved one since',
        tags,
        params: IdParams,
        response: { 200: ref(ImportMapping) },
      },
    },
    async (request) => usedMapping(await getImport(request.scope, request.params.id)),
  )

  app.get(
    '/imports/:id/rejects',
    {
      config: read,
      schema: {
        operationId: 'getImportRejects',
        summary: 'Download the rejected rows, to be corrected and sent again',
        description: `UTF-8 with commas: the columns of the file, and \`${errorsColumn}\`, which an import ignores.`,
        tags,
        params: IdParams,
        response: {
          200: { description: 'The rejected rows', content: { 'text/csv': { schema: { type: 'string' } } } },
        },
      },
    },
    async (request, reply) => {
      const row = await getImport(request.scope, request.params.id)
      return reply.sendRows('text/csv', `import-${row.id}-rejects.csv`, rejectsCsv(request.scope, row))
    },
  )

  app.post(
    '/imports/:id/cancel',
    {
      config: { ...write, unkeyed: true },
      schema: {
        operationId: 'cancelImport',
        summary: 'Cancel a running import: it loads nothing',
        description: 'It has ended when its status says so, within a second or two, and its upload is answered 409.',
        tags,
        params: IdParams,
        response: { 202: ref(Import) },
      },
    },
    async (request, reply) =>
      reply.code(202).send(presentImport(await requestCancel(request.scope, request.params.id))),
  )
}

async function* rejectsCsv(scope: FastifyRequest['scope'], { id, header }: ImportRow): AsyncGenerator<string> {
  yield csvRecord([...(header ?? []), errorsColumn])
  for await (const rejects of rejectsOf(scope, id))
    yield rejects.map(({ cells, errors }) => csvRecord([...pad(cells, header?.length ?? 0), errors])).join('')
}

/** A row that was too short still has its errors in the last column. */
const pad = (cells: string[], width: number) => [...cells, ...Array<string>(Math.max(0, width - cells.length)).fill('')]

const capitalised = (word: string) => `${word[0]?.toUpperCase()}${word.slice(1)}`

function addImportRoute(app: FastifyInstance, target: Target, slots: Limiter) {
  const { rateLimitImportMax } = app.config.http
  const { maxBytes, idleTimeoutS, deadlineS } = app.config.imports
  const limits = { bytesMax: maxBytes, idleMs: idleTimeoutS * 1_000, deadlineMs: deadlineS * 1_000 }
  app.post<{ Params: { id: string } }>(
    target.path,
    {
      config: { permission: target.permission, rateLimit: callerLimit(rateLimitImportMax), problems: [408] },
      handlerTimeout: limits.deadlineMs + handlerSlackMs,
      ...fileRoute(),
      schema: {
        operationId: `import${target.name.split('_').map(capitalised).join('')}`,
        summary: `Import ${target.name.replaceAll('_', ' ')} from a CSV file`,
        description:
          'The answer comes when the file has been read and loaded: 201, or 200 for a dry run. All rows are loaded or none, except those that on_error=skip leaves out. Watch it at GET /imports/{id}.',
        tags,
        consumes: ['multipart/form-data'],
        params: IdParams,
        body: ref(ImportForm),
        response: { 200: ref(Import), 201: ref(Import) },
      },
    },
    async (request, reply) => {
      const row = await slots.run(() => receive(app, request, target, limits))
      const shown = presentImport(row)
      return row.dry_run ? shown : created(reply, `/api/v1/imports/${row.id}`, shown)
    },
  )
}

async function receive(
  { pools }: FastifyInstance,
  request: FastifyRequest<{ Params: { id: string } }>,
  target: Target,
  limits: Parameters<typeof openUpload>[2],
): Promise<ImportRow> {
  const { scope, headers } = request
  const parentId = request.params.id
  const key = headers['idempotency-key']
  if (key !== undefined && (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)))
    throw new Problem('invalid_idempotency_key', 'Idempotency-Key must be 1 to 255 visible ASCII characters.')
  await holdParent(scope, target, parentId)
  const upload = await openUpload(request, importForm(target), limits)
  try {
    await recallMapping(scope, upload.options, target)
    const recheck = () => request.recheck(true)
    return await runImport({ pools, scope, target, parentId, idempotencyKey: key, upload, recheck })
  } finally {
    upload.close()
  }
}
