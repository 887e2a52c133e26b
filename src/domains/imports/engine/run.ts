import { createHash } from 'node:crypto'
import { recordEvent } from '../../../db/audit.ts'
import { isUnavailable, type TransactionSql } from '../../../db/client.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { lookAgain } from '../../../db/statistics.ts'
import type { ImportFailure } from '../../../db/tables/imports.ts'
import { Problem } from '../../../lib/errors.ts'
import type { Pools } from '../../../plugins/database.ts'
import {
  advanceAsOf,
  createImport,
  failImport,
  findByKey,
  findSameFile,
  finishImport,
  holdParent,
  type ImportRow,
  lockPortfolio,
  readAsOf,
  saveProgress,
} from '../imports/queries.ts'
import { failureOf, failureProblem } from '../imports/rules.ts'
import { deleteRejects, saveRejects } from '../rejects/queries.ts'
import { hashOptions, type Options } from './form.ts'
import { type Job, noProgress, type Progress } from './job.ts'
import { loadFile } from './load.ts'
import { Pace } from './pace.ts'
import type { Target } from './target.ts'
import type { Upload } from './upload.ts'

/** How often progress is saved, and a wish to cancel is looked for. */
const progressEveryMs = 500

export type ImportRequest = {
  pools: Pools
  /** Of the requests' pool: what it writes is seen at once, and stays when the load is undone. */
  scope: TenantScope
  target: Target
  parentId: string
  idempotencyKey: string | undefined
  upload: Upload<Options>
  /** Why the caller may not do this any more, if so: an upload lasts. */
  recheck: () => Promise<Problem | undefined>
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
async function repeated(first: ImportRow, requestHash: string, { file }: Upload<Options>): Promise<ImportRow> {
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
  const { pools, scope, target, parentId, upload } = request
  const progress = noProgress()
  const begun: { row?: ImportRow } = {}
  try {
    return await pools.ingest
      .transaction(async (db, sql) => {
        const inside = { ...scope, db }
        await holdParent(inside, target, parentId)
        await lockPortfolio(inside, parentId)
        const opened = (await target.open?.(inside, parentId, upload.options)) ?? {}
        const previous = await readAsOf(inside, parentId)
        begun.row = await createImport(scope, newImport(request, requestHash, previous))
        return load(sql, inside, begun.row, request, { progress, opened })
      })
      .then(({ ended, error }) => {
        if (ended.failure) throw failureProblem(ended, error)
        return ended
      })
  } catch (error) {
    if (begun.row === undefined || error instanceof Problem) throw error
    // The transaction is gone and the lock with it: what is left is to say so, if the database can be reached.
    const failure = failureOf(error, isUnavailable(error))
    await failImport(scope, begun.row.id, failure, progress).catch(() => undefined)
    throw failureProblem({ ...begun.row, failure }, error)
  }
}

const newImport = (
  { target, parentId, idempotencyKey, upload }: ImportRequest,
  requestHash: string,
  previousAsOf: string | null,
) => {
  const { id, mapping, mapping_id, mode, on_error, dry_run, as_of } = upload.options
  return {
    ...{ mode, on_error, dry_run },
    ...(as_of !== undefined && { as_of, previous_as_of: previousAsOf }),
    ...(id !== undefined && { id }),
    portfolio_id: parentId,
    target: target.name,
    mapping: mapping ?? null,
    mapping_id: mapping_id ?? null,
    file_name: upload.fileName,
    idempotency_key: idempotencyKey ?? null,
    request_hash: requestHash,
  }
}

async function load(
  sql: TransactionSql,
  inside: TenantScope,
  row: ImportRow,
  { scope, target, parentId, upload, recheck }: ImportRequest,
  { progress, opened }: Pick<Job, 'progress' | 'opened'>,
): Promise<{ ended: ImportRow; error?: unknown }> {
  const { id, org_id, as_of: date, previous_as_of } = row
  const { options, file, fileName, bytesMax } = upload
  const job: Job = {
    ...{ target, opened, options, org_id, progress, fileName, bytesMax },
    asOf: date === null ? undefined : { date, backdated: previous_as_of !== null && date < previous_as_of },
    pace: new Pace(),
    parent_id: parentId,
    import_id: id,
    saveRejects: (rejects) => saveRejects(scope, id, rejects),
  }
  const stopReporting = reportProgress(async () => {
    const reason = (await saveProgress(scope, id, progress)) ? cancelled() : await recheck()
    if (reason !== undefined) upload.breakOff(reason)
  })
  let failure: ImportFailure | null
  let error: unknown
  // The same few statements for every chunk: compiling them each time would cost more than it saves, and a chunk fits.
  await sql.unsafe("set local jit = off; set local work_mem = '32MB'")
  await sql`savepoint loaded`
  try {
    await loadFile(sql, file, job)
    const refusal = await recheck()
    if (refusal !== undefined) throw refusal
    failure = await verdict(inside, row, upload, progress)
    if (!failure) await target.settle?.(inside, parentId, id)
  } catch (reason) {
    error = reason
    failure = failureOf(reason, isUnavailable(reason))
  } finally {
    job.pace.stop()
    await stopReporting()
  }
  const undo = () => sql`rollback to savepoint loaded`
  if (failure || options.dry_run) await undo()
  if (failure?.code === 'already_imported') await deleteRejects(scope, id)
  const completed = failure === null ? await finishImport(inside, id, progress) : undefined
  if (completed === undefined) {
    if (failure === null) await undo()
    return { ended: await failImport(inside, id, failure ?? failureOf(cancelled(), false), progress), error }
  }
  if (!options.dry_run) {
    const { inserted, updated, snapshots } = completed
    const tables = target.snapshots ? [target.table, target.snapshots.table] : [target.table]
    await lookAgain(sql, tables, Math.max(inserted + updated, snapshots))
    await advanceAsOf(inside, completed)
    await recordEvent(inside, eventOf(completed))
  }
  return { ended: completed }
}

const cancelled = () => new Problem('import_cancelled', 'The import was cancelled; nothing was loaded.')

/** Why a file that was read to its end is not loaded all the same; null where it is. */
async function verdict(scope: TenantScope, row: ImportRow, { options }: Upload<Options>, progress: Progress) {
  const { rejected, received, sha256 } = progress
  const same =
    options.mode === 'insert' && !options.force && sha256 !== null ? await findSameFile(scope, row, sha256) : undefined
  if (same)
    return {
      code: 'already_imported',
      detail: `Import ${same.id} loaded this file into this portfolio; send force=true to load it again.`,
    }
  const counts = `${rejected} of ${received} rows were rejected, so nothing was loaded`
  const remedy = `GET /api/v1/imports/${row.id}/rejects has them with their errors, and on_error=skip loads the others`
  return rejected > 0 && options.on_error === 'abort'
    ? { code: 'import_rejected', detail: `${counts}. ${remedy}.` }
    : null
}

const eventOf = (row: ImportRow) => {
  const { id, portfolio_id, target, mode, as_of, inserted, updated, unchanged, rejected, snapshots, sha256 } = row
  const dated = as_of === null ? {} : { as_of, snapshots }
  return {
    action: 'import.completed',
    subject_type: 'import',
    subject_id: id,
    after: { portfolio_id, target, mode, ...dated, inserted, updated, unchanged, rejected, sha256 },
  }
}

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
