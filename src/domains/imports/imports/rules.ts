import { databaseError } from '../../../db/errors.ts'
import type { ImportFailure } from '../../../db/tables/imports.ts'
import { Problem, type ProblemCode, problems } from '../../../lib/errors.ts'
import { printable } from '../engine/text.ts'
import type { ImportMapping } from '../mappings/schemas.ts'
import type { ImportRow } from './queries.ts'
import type { Import } from './schemas.ts'

/** An import as the API shows it; of one that runs, duration and rate so far. */
export function presentImport(row: Omit<ImportRow, 'header' | 'mapping'>, nowMs = Date.now()): Import {
  const ended = row.finished_at === null ? nowMs : Date.parse(row.finished_at)
  const duration_ms = Math.max(0, ended - Date.parse(row.started_at))
  return { ...row, duration_ms, rows_per_second: Math.round((row.received * 1_000) / Math.max(1, duration_ms)) }
}

/** @throws Problem `not_found` for an import whose file was not read as far as its header */
export function usedMapping({ mapping }: ImportRow): ImportMapping {
  if (mapping === null)
    throw new Problem('not_found', 'The header of this file has not been read, so nothing was mapped.')
  return mapping as ImportMapping
}

/** Why an import failed, as the problem that answers the upload. @param error what broke it off, if anything did */
export function failureProblem({ id, failure }: Pick<ImportRow, 'id' | 'failure'>, error?: unknown): Problem {
  const { code, detail } = failure ?? { code: 'internal_error', detail: '' }
  const known = Object.hasOwn(problems, code) ? (code as ProblemCode) : 'internal_error'
  const extras = error instanceof Problem ? error.extras : { cause: error }
  return new Problem(known, detail, { ...extras, members: { import_id: id } })
}

/** SQLSTATE of what another change at the same moment causes: deadlocks, failed serialisation, and a row that is gone. */
const metAnother = /^(40...|23503)$/

/** A refusal may name every column of a file. */
const detailMax = 2_000

/** What an error that broke the import off says of it. */
export function failureOf(error: unknown, unavailable: boolean): ImportFailure {
  if (error instanceof Problem) return { code: error.code, detail: printable(error.message, detailMax) }
  if (metAnother.test(databaseError(error)?.code ?? ''))
    return { code: 'unavailable', detail: 'Another change met this import at the same moment; send it again.' }
  return unavailable
    ? { code: 'unavailable', detail: 'The connection to the database was lost; nothing was loaded.' }
    : { code: 'internal_error', detail: 'Something went wrong on our side; nothing was loaded.' }
}
