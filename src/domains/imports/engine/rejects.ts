import type { ImportError } from '../../../db/tables/imports.ts'
import type { CellError } from './rows.ts'
import { printable } from './text.ts'

/** A rejected record: its cells as they stood in the file, and why in a sentence. */
export type Reject = { line: number; cells: string[]; errors: string }

const reportedMax = 100
/** Small enough to be written as JSON in one go beside other requests. */
const batchRows = 400
const batchSize = 262_144

/** Counts rejected rows, keeps the first errors for the report, and saves every row in batches. */
export class RejectLog {
  count = 0
  /** The first errors by line. */
  readonly errors: ImportError[] = []
  readonly #save: (rejects: Reject[]) => Promise<void>
  #batch: Reject[] = []
  #size = 0

  constructor(save: (rejects: Reject[]) => Promise<void>) {
    this.#save = save
  }

  get full(): boolean {
    return this.#batch.length >= batchRows || this.#size >= batchSize
  }

  /** @param cells without the column in which an earlier rejects file told its errors */
  add(line: number, cells: readonly string[], errors: readonly CellError[]): void {
    this.count++
    this.#report(line, errors)
    const sentence = errors
      .map(({ column, message }) => (column === null ? message : `${column} ${message}`))
      .join('; ')
    const reject = { line, cells: cells.map((cell) => printable(cell)), errors: printable(sentence) }
    this.#size += reject.errors.length + cells.reduce((sum, cell) => sum + cell.length, 0)
    this.#batch.push(reject)
  }

  /** Rows that the table refuses are known later than those the schema refuses, so the report is kept in order. */
  #report(line: number, errors: readonly CellError[]): void {
    const last = this.errors.at(-1)
    if (this.errors.length >= reportedMax && last !== undefined && last.line < line) return
    this.errors.push(...errors.map((error) => ({ line, ...error })))
    if (last !== undefined && last.line > line) this.errors.sort((a, b) => a.line - b.line)
    this.errors.splice(reportedMax)
  }

  async flush(): Promise<void> {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#size = 0
    await this.#save(batch)
  }
}
