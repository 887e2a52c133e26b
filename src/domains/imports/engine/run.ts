import { createHash } from 'node:crypto'
import { recordEvent } from '../../../db/audit.ts'
import { isUnavailable, type TransactionSql } from '../../../db/client.ts'
import type { TenantScope } from '../../../db/scope.ts'
import type { ImportFailure } from '../../../db/tables/imports.ts'
import { Problem } from '../../../lib/errors.ts'
import type { Pools } from '../../../plugins/database.ts'
import {
  createImport,
  deleteRejects,
  findByKey,
  findSameFile,
  finishImport,
  holdParent,
  type ImportRow,
  lockPortfolio,
  saveProgress,
  saveRejects,
} from '../imports/queries.ts'
import { failureOf, failureProblem } from '../imports/rules.ts'
import { hashOptions } from './form.ts'
import { type Job, noProgress, type Progress } from './job.ts'
import { loadFile } from './load.ts'
import type { Target } from './target.ts'
import type { Upload } from './upload.ts'

const progressEveryMs = 1_000

export type ImportRequest = {
  pools: Pools
  /** Of the requests' pool: what it writes is seen at once, and stays when the load is undone. */
  scope: TenantScope
  target: Target
  parentId: string
  idempotencyKey: string | undefined
  upload: Upload
}

/**
 * Runs one import, or tells the result of the one that had the same `Idempotency-Key`.
 * @returns the import that completed
 * @throws Problem why it failed, with `import_id`; or why it did not begin
 */
export async function runImport(request: ImportRequest): Promise<ImportRow> {
  const { scope, target, parentId, idempotencyKey, upload } = request
  const requestHash = hashOptions(target.name, parentId, upload.options)
  const first = idempotencyKey === undefined ? undefined : await findByKey(scope, idempotencyKey)
  return first ? repeated(first, requestHash, upload) : runNew(request, requestHash)
}

/** The upload is read to its end, because only the whole tells whether it is the same. */
async function repeated(first: ImportRow, requestHash: string, { file }: Upload): Promise<ImportRow> {
  if (first.status === 'running')
    throw new Problem('idempotency_in_progress', 'The import with this Idempotency-Key is still running.')
  const hash = createHash('sha256')
  for await (const chunk of file) hash.update(chunk)
  if (first.request_hash !== requestHash || first.sha256 !== hash.digest('hex'))
    throw new Problem('idempotency_mismatch', 'This Idempotency-Key was used for another import; make a new one.')
  return first
}

/** Rows, final state and audit commit together; or the rows are undone, and the state says why. */
async function runNew(request: ImportRequest, requestHash: string): Promise<ImportRow> {
  const { pools, scope, target, parentId } = request
  const progress = noProgress()
  const begun: { row?: ImportRow } = {}
  try {
    return await pools.ingest
      .transaction(async (db, sql) => {
        const inside = { ...scope, db }
        await holdParent(inside, target, parentId)
        await lockPortfolio(inside, parentId)
        begun.row = await createImport(scope, newImport(request, requestHash))
        return load(sql, inside, begun.row, request, progress)
      })
      .then(({ ended, error }) => {
        if (ended.failure) throw failureProblem(ended, error)
        return ended
      })
  } catch (error) {
    if (begun.row === undefined || error instanceof Problem) throw error
    // The transaction is gone and the lock with it: what is left is to say so, if the database can be reached.
    const failure = failureOf(error, isUnavailable(error))
    await finishImport(scope, begun.row.id, failure, progress).catch(() => undefined)
    throw failureProblem({ ...begun.row, failure }, error)
  }
}

const newImport = ({ target, parentId, idempotencyKey, upload }: ImportRequest, requestHash: string) => {
  const { id, mapping, mode, on_error, dry_run } = upload.options
  return {
    ...{ mode, on_error, dry_run },
    ...(id !== undefined && { id }),
    portfolio_id: parentId,
    target: target.name,
    mapping: mapping ?? null,
    file_name: upload.fileName,
    idempotency_key: idempotencyKey ?? null,
    request_hash: requestHash,
  }
}

async function load(
  sql: TransactionSql,
  inside: TenantScope,
  { id, org_id, ...row }: ImportRow,
  { scope, target, parentId, upload }: ImportRequest,
  progress: Progress,
): Promise<{ ended: ImportRow; error?: unknown }> {
  const { options, file } = upload
  const job: Job = {
    ...{ target, options, org_id, progress },
    parent_id: parentId,
    import_id: id,
    saveRejects: (rejects) => saveRejects(scope, id, rejects),
  }
  const stopReporting = reportProgress(() => saveProgress(scope, id, progress))
  let failure: ImportFailure | null
  let error: unknown
  await sql`savepoint loaded`
  try {
    await loadFile(sql, file, job)
    failure = await verdict(inside, { id, org_id, ...row }, upload, progress)
  } catch (reason) {
    error = reason
    failure = failureOf(reason, isUnavailable(reason))
  } finally {
    await stopReporting()
  }
  if (failure || options.dry_run) await sql`rollback to savepoint loaded`
  if (failure?.code === 'already_imported') await deleteRejects(scope, id)
  const ended = await finishImport(inside, id, failure, progress)
  if (!failure && !options.dry_run) await recordEvent(inside, eventOf(ended))
  return { ended, error }
}

/** Why a file that was read to its end is not loaded all the same; null where it is. */
async function verdict(scope: TenantScope, row: ImportRow, { options }: Upload, progress: Progress) {
  const { rejected, received, sha256 } = progress
  const same =
    options.mode === 'insert' && !options.force && sha256 !== null ? await findSameFile(scope, row, sha256) : undefined
  if (same)
    return {
      code: 'already_imported',
      detail: `Import ${same.id} loaded this file into this portfolio; send force=true to load it again.`,
    }
  return rejected > 0 && options.on_error === 'abort'
    ? { code: 'import_rejected', detail: `${rejected} of ${received} rows were rejected, so nothing was loaded.` }
    : null
}

const eventOf = ({ id, portfolio_id, target, mode, inserted, updated, unchanged, rejected, sha256 }: ImportRow) => ({
  action: 'import.completed',
  subject_type: 'import',
  subject_id: id,
  after: { portfolio_id, target, mode, inserted, updated, unchanged, rejected, sha256 },
})

/** Saves now and then, never twice at once. @returns stops it, and waits for the save under way */
function reportProgress(save: () => Promise<void>): () => Promise<void> {
  let saving: Promise<void> | undefined
  const timer = setInterval(() => {
    saving ??= save()
      .catch(() => undefined) // the next report tells more
      .finally(() => {
        saving = undefined
      })
  }, progressEveryMs)
  return async () => {
    clearInterval(timer)
    await saving
  }
}
