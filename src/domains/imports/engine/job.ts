import type { OpenTarget } from '../../../db/import-target.ts'
import type { ImportError } from '../../../db/tables/imports.ts'
import type { ImportMapping } from '../mappings/schemas.ts'
import type { Options } from './form.ts'
import type { Pace } from './pace.ts'
import type { Reject } from './rejects.ts'
import type { Target } from './target.ts'
import type { Encoding } from './text.ts'

/** How far an import has come. */
export type Progress = {
  bytes: number
  received: number
  inserted: number
  updated: number
  unchanged: number
  rejected: number
  /** Snapshots written. */
  snapshots: number
  /** The first hundred. */
  errors: ImportError[]
  /** How the file was read. */
  encoding: Encoding | null
  delimiter: string | null
  mapping: ImportMapping | null
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
  snapshots: 0,
  errors: [],
  encoding: null,
  delimiter: null,
  mapping: null,
  header: null,
  sha256: null,
})

/** A reporting date; backdated where the portfolio has a newer one, so that its rows say nothing of what is so now. */
export type AsOf = { date: string; backdated: boolean }

export type Job = {
  target: Target
  /** What the target knows of the parent. */
  opened: OpenTarget
  asOf: AsOf | undefined
  pace: Pace
  fileName: string | null
  /** How long the file may be once it is inflated. */
  bytesMax: number
  options: Options
  org_id: string
  parent_id: string
  import_id: string
  /** Kept up to date while the file is read. */
  progress: Progress
  saveRejects: (rejects: Reject[]) => Promise<void>
}
