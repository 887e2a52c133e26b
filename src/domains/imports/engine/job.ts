import type { ImportError } from '../../../db/tables/imports.ts'
import type { Options } from './form.ts'
import type { Reject } from './rejects.ts'
import type { Target } from './target.ts'

/** How far an import has come. */
export type Progress = {
  bytes: number
  received: number
  inserted: number
  updated: number
  unchanged: number
  rejected: number
  /** The first hundred. */
  errors: ImportError[]
  /** As the file has it, without the column of an earlier rejects file. */
  header: string[] | null
  /** Of the file, once it has been read to its end. */
  sha256: string | null
}

export const noProgress = (): Progress => ({
  bytes: 0,
  received: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  rejected: 0,
  errors: [],
  header: null,
  sha256: null,
})

export type Job = {
  target: Target
  options: Options
  org_id: string
  parent_id: string
  import_id: string
  /** Kept up to date while the file is read. */
  progress: Progress
  saveRejects: (rejects: Reject[]) => Promise<void>
}
