import type { TransactionSql } from '../../../db/client.ts'
import { Chunk, createRowWriter } from './chunk.ts'
import { type CsvReader, parseRecord } from './csv.ts'
import { cleanCell, errorsColumn, type Header } from './header.ts'
import type { Job } from './job.ts'
import { bindMapping, mappingByName, type Source } from './mapping.ts'
import { RejectLog } from './rejects.ts'
import { type CellError, createRowReader, type ReadRow, type Row } from './rows.ts'
import { createStore, type Loaded, type Store } from './store.ts'
import { printable } from './text.ts'

/**
 * Takes the records of one file: reads, judges and collects them, and loads a chunk while the next is collected.
 * After each record: `if (full) await flush()`.
 */
export class RowLoader {
  readonly #job: Job
  readonly #delimiter: string
  readonly #width: number
  readonly #sources: Source[]
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
    const { target, options, progress, opened, asOf, pace } = job
    const constants = opened.constants ?? {}
    const mapping = progress.mapping ?? mappingByName(header, target)
    const plan = bindMapping(mapping, header, target)
    progress.mapping = mapping
    const mapped = plan.sources.map(({ field }) => field)
    const derived = target.derived.filter((field) => !mapped.includes(field))
    const columns = [...mapped, ...derived, ...(plan.attributes.length > 0 ? ['attributes'] : [])]
    this.#job = job
    this.#delimiter = delimiter
    this.#width = header.cells.length
    this.#sources = plan.sources
    this.#errorsAt = header.names.indexOf(errorsColumn)
    this.#readRow = createRowReader(plan, target, opened.judge)
    this.#writeRow = createRowWriter([job.org_id, job.parent_id, job.import_id, ...Object.values(constants)], columns)
    this.#store = createStore(sql, {
      ...{ target, columns, derived, asOf, pace, mode: options.mode },
      importId: job.import_id,
      constants: Object.keys(constants),
    })
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
    const { progress, target } = this.#job
    const { inserted, updated, snapshots, duplicates, unknown } = await loaded
    progress.inserted += inserted
    progress.updated += updated
    progress.snapshots += snapshots
    progress.unchanged += chunk.rows - inserted - updated - duplicates.length - unknown.length
    await this.#refuse(chunk, duplicates, this.#source(target.key[0]), duplicate)
    if (target.reference)
      await this.#refuse(chunk, unknown, this.#source(target.reference.field), missing(target.reference))
  }

  #source(field: string | undefined): Source {
    return this.#sources.find((source) => source.field === field) as Source
  }

  /** Rejects rows that only the table could judge. */
  async #refuse(chunk: Chunk, numbers: number[], source: Source, fault: Fault): Promise<void> {
    for (const { line, raw } of chunk.origins(numbers)) {
      const cells = parseRecord(raw, this.#delimiter)
      const value = source.at === -1 ? String(source.constant) : cleanCell(cells[source.at] ?? '').slice(0, 200)
      this.#reject(line, cells, [{ column: source.column, value, ...fault }])
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

type Fault = Pick<CellError, 'code' | 'message'>

const duplicate: Fault = { code: 'duplicate', message: 'is there already, in the table or earlier in the file' }
const missing = ({ code }: { code: string }): Fault => ({ code, message: 'is not there' })

function ragged(cells: string[], width: number, expected: number): CellError {
  const excess = printable(cells.slice(expected, expected + 10).join(', '), 200)
  const message = `has ${width} cells, not ${expected}${excess === '' ? '' : `; the last are: ${excess}`}`
  return { column: null, code: 'ragged_row', value: null, message: `the row ${message}` }
}
