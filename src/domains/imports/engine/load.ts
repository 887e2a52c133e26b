import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { TransactionSql } from '../../../db/client.ts'
import { Problem } from '../../../lib/errors.ts'
import { asksForDates, settleDates } from './auto-dates.ts'
import { CsvReader } from './csv.ts'
import { inflated } from './gzip.ts'
import { Head, headMax, readSample } from './head.ts'
import { columnsMax, readHeader } from './header.ts'
import type { Job } from './job.ts'
import { RowLoader } from './row-loader.ts'
import { Decoder } from './text.ts'

/**
 * How long rows are read in one go; then other requests have their turn. A read takes some four turns, so what it waits is
 * a multiple of this. The clock is looked at after so many rows.
 */
const stretchMs = 0.5
const stretchRows = 16

/** A turn of the loop that took longer had something to do, so there may be more; so many turns are given at most. */
const idleMs = 0.1
const turnsMax = 4

/**
 * Reads the file to its end and loads its rows in the transaction of `sql`. Every row is tried, also after one was
 * rejected, so that all errors are told; whether the rows stay is the caller's to decide.
 * @throws Problem for a file that cannot be read as CSV at all
 */
export async function loadFile(sql: TransactionSql, file: AsyncIterable<Buffer>, job: Job): Promise<void> {
  const text = textOf(file, job)
  const head = new Head(text)
  const delimiter = job.options.delimiter ?? (await head.delimiter())
  job.progress.delimiter = delimiter
  await settleMapping(head, delimiter, job)
  const reader = new CsvReader(delimiter, columnsMax + 1)
  let rows: RowLoader | undefined
  let stretchStart = performance.now()
  const giveWay = async () => {
    for (let turn = 0, busyMs = 1; turn < turnsMax && busyMs > idleMs; turn++) {
      const start = performance.now()
      await setImmediate()
      stretchStart = performance.now()
      busyMs = stretchStart - start
    }
  }
  const readRecords = async () => {
    for (let cells = reader.next(); cells !== undefined; cells = reader.next()) {
      if (rows === undefined) rows = new RowLoader(sql, readHeader(cells, reader.width), delimiter, job)
      else rows.add(cells, reader)
      if (rows.full) await rows.flush()
      if (reader.records % stretchRows === 0 && performance.now() - stretchStart > stretchMs) await giveWay()
    }
  }
  try {
    reader.push(head.text)
    await readRecords()
    for await (const piece of text) {
      reader.push(piece)
      await readRecords()
      // A fast client's next piece is there already.
      await giveWay()
    }
    reader.end()
    await readRecords()
    if (rows === undefined) throw new Problem('csv_empty', 'The file is empty; it needs a header line at least.')
    await rows.finish()
  } finally {
    await rows?.settle()
  }
}

/** The text of the file. */
async function* textOf(file: AsyncIterable<Buffer>, job: Job): AsyncGenerator<string> {
  const { options, progress } = job
  const decoder = new Decoder(options.encoding)
  const decode = (bytes: Uint8Array, last: boolean) => {
    const text = decoder.decode(bytes, last)
    progress.encoding = decoder.encoding
    return text
  }
  for await (const bytes of inflated(hashed(file, job), job.fileName, job)) yield decode(bytes, false)
  yield decode(new Uint8Array(), true)
}

/** The file as it was sent, which is counted and hashed in passing. */
async function* hashed(file: AsyncIterable<Buffer>, { progress }: Job): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const bytes of file) {
    hash.update(bytes)
    progress.bytes += bytes.length
    yield bytes
  }
  progress.sha256 = hash.digest('hex')
}

/** The mapping as it is used: where it leaves the form of dates to the file, the head of the file tells it. */
async function settleMapping(head: Head, delimiter: string, { options, progress, target }: Job): Promise<void> {
  const { mapping } = options
  progress.mapping = mapping ?? null
  if (mapping === undefined || !asksForDates(mapping, target)) return
  await head.fill(headMax)
  const sample = readSample(head.text.slice(0, headMax), delimiter, head.ended && head.text.length <= headMax)
  progress.mapping = settleDates(mapping, sample, target)
}
