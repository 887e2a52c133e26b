import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGzip } from 'node:zlib'
import { v7 as uuidv7 } from 'uuid'
import { readsDuring } from './lib/beside.ts'
import { type Context, withServers } from './lib/context.ts'
import { emptyTable, freshPortfolio, importOnce, type Load, psqlOnce, type Round, writeTape } from './lib/importing.ts'
import { tapeChunks, tapeColumns } from './lib/loans.ts'
import { memoryOf, resetPeak } from './lib/processes.ts'
import { hasPsql } from './lib/psql.ts'
import type { Result } from './lib/report.ts'
import type { Server } from './lib/servers.ts'

const warmUpRows = 20_000
const keyColumns = ['org_id', 'id', 'portfolio_id', 'import_id']
const loanColumns = [...keyColumns, ...tapeColumns].join(', ')
const count = (rows: number) => rows.toLocaleString('en-US')

type Files = { tape: string; keyed: string; dirty: string; gzip: string; keyedGzip: string }
type Kind = {
  name: string
  title: string
  budget: Result['budget']
  better?: 'higher'
  ours: (context: Context, tenon: Server, files: Files) => Promise<Round>
  base: (context: Context, tenon: Server, files: Files, portfolio: string) => Promise<Round>
}

const clean = async (context: Context, tenon: Server, file: string, more: Partial<Load> = {}) => {
  const rows = context.settings.loans
  const portfolio = more.portfolio ?? (await freshPortfolio(context, tenon))
  return importOnce(context, tenon, { portfolio, file, rows, expected: { inserted: rows }, ...more })
}

const copy = (context: Context, from: string, portfolio: string) =>
  psqlOnce(context, [`\\copy loans (${loanColumns}) from ${from} with (format csv)`], portfolio, context.settings.loans)

/** One row in ten is bad: its date is none. */
const dirtyShare = 10

const kinds: Kind[] = [
  {
    name: 'import',
    title: 'through HTTP in one transaction, against psql \\copy of the same rows with their keys',
    budget: { required: 1.5, design: 1.2 },
    ours: (context, tenon, { tape }) => clean(context, tenon, tape),
    base: (context, _tenon, { keyed }, portfolio) => copy(context, `'${keyed}'`, portfolio),
  },
  {
    name: 'import-gzip',
    title: 'the same, gzipped, against \\copy from gzip -dc',
    budget: { design: 1.2 },
    ours: (context, tenon, { gzip }) => clean(context, tenon, gzip),
    base: (context, _tenon, { keyedGzip }, portfolio) => copy(context, `program 'gzip -dc ${keyedGzip}'`, portfolio),
  },
  {
    name: 'import-dirty',
    title: 'one row in ten is bad and left out, against the clean tape over HTTP; rows a second',
    better: 'higher',
    budget: { design: 0.85 },
    ours: (context, tenon, { dirty }) => {
      const rejected = Math.ceil(context.settings.loans / dirtyShare)
      const expected = { inserted: context.settings.loans - rejected, rejected }
      return clean(context, tenon, dirty, { fields: { on_error: 'skip' }, expected })
    },
    base: (context, tenon, { tape }) => clean(context, tenon, tape),
  },
  {
    name: 'import-upsert',
    title: 'the same file once more with mode=upsert, against COPY to staging and INSERT … ON CONFLICT DO UPDATE',
    budget: { design: 1.3 },
    ours: async (context, tenon, { tape }) => {
      const portfolio = await freshPortfolio(context, tenon)
      await clean(context, tenon, tape, { portfolio })
      const expected = { inserted: 0, updated: 0, unchanged: context.settings.loans }
      return clean(context, tenon, tape, { portfolio, fields: { mode: 'upsert' }, expected })
    },
    base: async (context, _tenon, { keyed }, portfolio) => {
      await copy(context, `'${keyed}'`, portfolio)
      const set = tapeColumns.map((column) => `${column} = excluded.${column}`).join(', ')
      const commands = [
        `create temp table staging as select ${loanColumns} from loans limit 0;`,
        `\\copy staging (${loanColumns}) from '${keyed}' with (format csv)`,
        `insert into loans (${loanColumns}) select ${loanColumns} from staging on conflict (org_id, portfolio_id, loan_number) do update set ${set};`,
      ]
      return psqlOnce(context, commands, portfolio, context.settings.loans)
    },
  },
]

const scenario =
  ({ name, title, budget, better = undefined, ours, base }: Kind) =>
  async (context: Context): Promise<Result | string> => {
    if (!hasPsql()) return `${name}: left out, psql is not installed`
    const { settings, say } = context
    return withServers(context, ['tenon'], async ({ tenon }) => {
      const portfolio = await freshPortfolio(context, tenon)
      const files = await tapesOf(context, portfolio)
      await warmUp(context, tenon)
      const samples: { tenon: Round[]; base: Round[] } = { tenon: [], base: [] }
      for (let round = 1; round <= settings.importRounds; round++) {
        await emptyTable(context)
        samples.tenon.push(await ours(context, tenon, files))
        await emptyTable(context)
        samples.base.push(await base(context, tenon, files, portfolio))
        const [mine, theirs] = [samples.tenon.at(-1)?.seconds, samples.base.at(-1)?.seconds]
        say(`  round ${round}: ${mine?.toFixed(1)} s and ${theirs?.toFixed(1)} s`)
      }
      await emptyTable(context)
      const notes = name === 'import' ? await readsDuring(context, tenon, () => clean(context, tenon, files.tape)) : []
      const megabytes = Math.round((await stat(files.tape)).size / 1e6)
      return {
        name,
        title: `${count(settings.loans)} loans, ${tapeColumns.length} columns, ${megabytes} MB, same indexes, table emptied before each: ${title}`,
        better: better ?? 'lower',
        figure: better
          ? { name: 'rows/s', of: ({ perSecond }) => perSecond, text: (value) => count(Math.round(value)) }
          : { name: 'wall s', of: (sample) => (sample as Round).seconds, text: (value) => value.toFixed(1) },
        budget,
        ...samples,
        notes,
      }
    })
  }

async function warmUp(context: Context, tenon: Server): Promise<void> {
  const file = join(context.scratch, 'warm-up.csv')
  await writeTape(file, tapeChunks(warmUpRows))
  const portfolio = await freshPortfolio(context, tenon)
  await importOnce(context, tenon, { portfolio, file, rows: warmUpRows, expected: { inserted: warmUpRows } })
}

/** Writes the tapes of all kinds; those of psql hold the keys that the service would give the rows. */
async function tapesOf({ scratch, settings, account, say }: Context, portfolio: string): Promise<Files> {
  const rows = settings.loans
  say(`  writing tapes of ${count(rows)} loans`)
  const at = (name: string) => join(scratch, name)
  const files = {
    ...{ tape: at('tape.csv'), keyed: at('keyed.csv'), dirty: at('dirty.csv') },
    ...{ gzip: at('tape.csv.gz'), keyedGzip: at('keyed.csv.gz') },
  }
  const importId = uuidv7()
  const keys = () => [account.orgId, uuidv7(), portfolio, importId].join(',')
  await writeTape(files.tape, tapeChunks(rows))
  await writeTape(files.keyed, tapeChunks(rows, keys))
  await writeTape(files.dirty, withBadRows(tapeChunks(rows)))
  await writeTape(files.gzip, tapeChunks(rows), createGzip({ level: 1 }))
  await writeTape(files.keyedGzip, tapeChunks(rows, keys), createGzip({ level: 1 }))
  return files
}

const originatedAt = tapeColumns.indexOf('originated_on')

function* withBadRows(chunks: Iterable<string>): Generator<string> {
  let line = 0
  for (const chunk of chunks)
    yield chunk
      .split('\n')
      .map((text) => (text !== '' && line++ % dirtyShare === 1 ? broken(text) : text))
      .join('\n')
}

const broken = (line: string) => line.split(',').with(originatedAt, '2024-02-31').join(',')

const narrow = 10
const wide = 1_000
const growthMax = 20

/** Peak memory of the service while it loads a file a hundred times as large as another. */
async function importMemory(context: Context): Promise<Result | string> {
  return withServers(context, ['tenon'], async ({ tenon }) => {
    await warmUp(context, tenon)
    const samples: { tenon: Round[]; base: Round[] } = { tenon: [], base: [] }
    for (const [side, megabytes] of [
      ['base', narrow],
      ['tenon', wide],
    ] as const) {
      const file = join(context.scratch, `${megabytes}.csv`)
      const rows = Math.round((megabytes * 1e6) / bytesOfWideRow)
      context.say(`  a file of ${megabytes} MB, ${count(rows)} rows`)
      await writeTape(file, wideRows(rows))
      await emptyTable(context)
      resetPeak(tenon.pid)
      const portfolio = await freshPortfolio(context, tenon)
      const round = await importOnce(context, tenon, { portfolio, file, rows, expected: { inserted: rows } })
      samples[side].push({ ...round, peakMb: (memoryOf(tenon.pid)?.peak ?? 0) / 1e6 } as Round)
    }
    const peak = (sample: unknown) => (sample as { peakMb: number }).peakMb
    const grown = peak(samples.tenon[0]) - peak(samples.base[0])
    if (grown > growthMax) samples.tenon[0]?.failures.push(`memory grew by ${grown.toFixed(1)} MB`)
    await emptyTable(context)
    return {
      name: 'import-memory',
      title: `peak memory of the service while it imports ${wide} MB, against ${narrow} MB; at most ${growthMax} MB more`,
      better: 'lower',
      figure: { name: 'peak MB', of: peak, text: (value) => value.toFixed(1) },
      budget: {},
      ...samples,
      notes: [`memory: ${grown >= 0 ? '+' : ''}${grown.toFixed(1)} MB (at most ${growthMax} MB)`],
    }
  })
}

const wideColumns = [
  'loan_number',
  'borrower_name',
  'currency',
  'originated_on',
  'original_principal',
  'status',
  'note',
]
const filler = 'lorem ipsum dolor sit amet '.repeat(40)
const wideRow = (index: number) =>
  `L${String(index).padStart(9, '0')},Borrower ${String(index % 9_973).padStart(4, '0')},USD,2020-01-31,1000.00,current,${filler}\n`
const bytesOfWideRow = wideRow(0).length
const rowsInChunk = 500

function* wideRows(rows: number): Generator<string> {
  yield `${wideColumns.join(',')}\n`
  for (let from = 0; from < rows; from += rowsInChunk)
    yield Array.from({ length: Math.min(rowsInChunk, rows - from) }, (_, at) => wideRow(from + at)).join('')
}

/** The imports, each by the name under which it is asked for. */
export const importScenarios: Record<string, (context: Context) => Promise<Result | string>> = {
  ...Object.fromEntries(kinds.map((kind) => [kind.name, scenario(kind)])),
  'import-memory': importMemory,
}
