import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { TransactionSql } from '../../../db/client.ts'
import { Problem } from '../../../lib/errors.ts'
import { CsvReader, detectDelimiter, endOfFirstLine } from './csv.ts'
import { columnsMax, readHeader } from './header.ts'
import type { Job } from './job.ts'
import { RowLoader } from './row-loader.ts'
import { createDecoder } from './text.ts'

/** How long the first line may be, in characters. */
const firstLineMax = 1_048_576

/**
 * Reads the file to its end and loads its rows in the transaction of `sql`. Every row is tried, also after one was
 * rejected, so that all errors are told; whether the rows stay is the caller's to decide.
 * @throws Problem for a file that cannot be read as CSV at all
 */
export async function loadFile(sql: TransactionSql, file: AsyncIterable<Buffer>, job: Job): Promise<void> {
  const text = textOf(file, job)
  const head = await readHead(text)
  const delimiter = job.options.delimiter ?? detectDelimiter(head.slice(0, endOfFirstLine(head)) || head)
  const reader = new CsvReader(delimiter, columnsMax + 1)
  let rows: RowLoader | undefined
  const readRecords = async () => {
    for (let cells = reader.next(); cells !== undefined; cells = reader.next()) {
      if (rows === undefined) rows = new RowLoader(sql, readHeader(cells, reader.width), delimiter, job)
      else rows.add(cells, reader)
      if (rows.full) await rows.flush()
    }
  }
  try {
    reader.push(head)
    await readRecords()
    for await (const piece of text) {
      reader.push(piece)
      await readRecords()
      // A fast client's next piece is there already: other requests have their turn before it.
      await setImmediate()
    }
    reader.end()
    await readRecords()
    if (rows === undefined) throw new Problem('csv_empty', 'The file is empty; it needs a header line at least.')
    await rows.finish()
  } finally {
    await rows?.settle()
  }
}

/** The text of the file, which is counted and hashed in passing. */
async function* textOf(file: AsyncIterable<Buffer>, { options, progress }: Job): AsyncGenerator<string> {
  const hash = createHash('sha256')
  const decode = createDecoder(options.encoding)
  for await (const bytes of file) {
    hash.update(bytes)
    progress.bytes += bytes.length
    yield decode(bytes, false)
  }
  yield decode(new Uint8Array(), true)
  progress.sha256 = hash.digest('hex')
}

/** The file as far as its first line goes, which tells the delimiter. */
async function readHead(text: AsyncGenerator<string>): Promise<string> {
  let head = ''
  while (endOfFirstLine(head) === -1) {
    if (head.length > firstLineMax)
      throw new Problem('csv_header_invalid', `The header line exceeds ${firstLineMax} characters.`)
    const { value, done } = await text.next()
    if (done) break
    head += value
  }
  return head
}
