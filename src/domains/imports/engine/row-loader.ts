import type { TransactionSql } from '../../../db/client.ts'
import { Chunk, createRowWriter } from './chunk.ts'
import { type CsvReader, parseRecord } from './csv.ts'
import { cleanCell, errorsColumn, type Header } from './header.ts'
import type { Job } from './job.ts'
import { bindMapping, type Source } from './mapping.ts'
import { createStore, type Loaded, type Store } from './queries.ts'
import { RejectLog } from './rejects.ts'
import { type CellError, createRowReader, type ReadRow, type Row } from './rows.ts'
import { printable } from './text.ts'

/**
 * Takes the records of one file: reads, judges and collects them, and loads a chunk while the next is collected.
 * After each record: `if (full) await flush()`.
 */
export class RowLoader {
  readonly #job: Job
  readonly #delimiter: string
  readonly #width: number
  readonly #key: Source
  /** Where an earlier rejects file told its errors; -1 without. */
  readonly #errorsAt: number
  readonly #readRow: ReadRow
  readonly #writeRow: (row: Row) => string
  readonly #store: Store
  readonly #rejects: RejectLog
  #chunk = new Chunk()
  #otherChunk = new Chunk()
  #loading: Promise<void> = Promise.resolve()

  /** @throws Problem when the mapping does not fit the header */
  constructor(sql: TransactionSql, header: Header, delimiter: string, job: Job) {
    const { target, options, progress } = job
    const plan = bindMapping(options.mapping, header, target)
    const mapped = plan.sources.map(({ field }) => field)
    const derived = target.derived.filter((field) => !mapped.includes(field))
    const columns = [...mapped, ...derived, ...(plan.attributes.length > 0 ? ['attributes'] : [])]
    this.#job = job
    this.#delimiter = delimiter
    this.#width = header.cells.length
    this.#key = plan.sources.find(({ field }) => field === target.key) as Source
    this.#errorsAt = header.names.indexOf(errorsColumn)
    this.#readRow = createRowReader(plan, target)
    this.#writeRow = createRowWriter([job.org_id, job.parent_id, job.import_id], columns)
    this.#store = createStore(sql, { mode: options.mode, target, columns, derived })
    this.#rejects = new RejectLog(job.saveRejects)
    progress.errors = this.#rejects.errors
    progress.header = this.#withoutErrors(header.cells)
  }

  get full(): boolean {
    return this.#chunk.full || this.#rejects.full
  }

  add(cells: string[], { line, width, raw, suspect }: CsvReader): void {
    this.#job.progress.received++
    const { row, errors = [] } =
      width === this.#width ? this.#readRow(cells, suspect) : { errors: [ragged(cells, width, this.#width)] }
    if (row === undefined) {
      this.#reject(line, cells, errors)
      return
    }
    this.#chunk.add(this.#writeRow(row), { line, raw })
  }

  /** Hands what was collected over; waits for what was handed over before. */
  async flush(): Promise<void> {
    if (this.#rejects.full) await this.#rejects.flush()
    if (!this.#chunk.full) return
    await this.#hand()
  }

  /** Loads the rest. */
  async finish(): Promise<void> {
    await this.#hand()
    await this.#loading
    await this.#rejects.flush()
  }

  /** Waits until nothing is under way, also where it fails. */
  async settle(): Promise<void> {
    await this.#loading.catch(() => undefined)
  }

  async #hand(): Promise<void> {
    await this.#loading
    const chunk = this.#chunk
    this.#chunk = this.#otherChunk
    this.#otherChunk = chunk
    this.#chunk.clear()
    if (chunk.rows === 0) return
    const { loaded } = await this.#store(chunk)
    this.#loading = this.#account(chunk, loaded)
    // Its failure is met where it is awaited, which may be after more of the upload has arrived.
    this.#loading.catch(() => undefined)
  }

  async #account(chunk: Chunk, loaded: Promise<Loaded>): Promise<void> {
    const { progress } = this.#job
    const { inserted, updated, duplicates } = await loaded
    progress.inserted += inserted
    progress.updated += updated
    progress.unchanged += chunk.rows - inserted - updated - duplicates.length
    for (const { line, raw } of chunk.origins(duplicates)) {
      const cells = parseRecord(raw, this.#delimiter)
      this.#reject(line, cells, [duplicate(this.#key, cells)])
      if (this.#rejects.full) await this.#rejects.flush()
    }
  }

  #reject(line: number, cells: string[], errors: CellError[]): void {
    this.#rejects.add(line, this.#withoutErrors(cells.slice(0, this.#width)), errors)
    this.#job.progress.rejected = this.#rejects.count
  }

  #withoutErrors(cells: string[]): string[] {
    return this.#errorsAt === -1 ? cells : cells.toSpliced(this.#errorsAt, 1)
  }
}

const duplicate = ({ column, at }: Source, cells: string[]): CellError => ({
  column,
  code: 'duplicate',
  value: cleanCell(cells[at] ?? '').slice(0, 200),
  message: 'is there already, in the table or earlier in the file',
})

function ragged(cells: string[], width: number, expected: number): CellError {
  const excess = printable(cells.slice(expected, expected + 10).join(', '), 200)
  const message = `has ${width} cells, not ${expected}${excess === '' ? '' : `; the last are: ${excess}`}`
  return { column: null, code: 'ragged_row', value: null, message: `the row ${message}` }
}
