import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { breakpoint, migrationsFolder } from '../db/migrate.ts'
import { loadTables } from './schema-docs.ts'

type GenerateOptions = {
  /** Where the migrations are; `drizzle/` of the project unless a test says otherwise. */
  folder?: string
  /** What looks like a rename is really a drop and an add. */
  drop?: boolean
  /** Write empty files, to be filled by hand, whatever changed. */
  custom?: boolean
}

/** `columns` of the table `of`, or tables and the like, some of which went while others came. */
type Rename = { kind: string; of?: string; removed: string[]; added: string[] }
/** As much of drizzle-kit's snapshot as is read here; its own type resolves to `unknown` without its validator. */
type Snapshot = Record<(typeof kinds)[number], Record<string, unknown>> & {
  id: string
  version: string
  tables: Record<string, TableSnapshot>
}
type TableSnapshot = {
  name: string
  columns: Record<string, unknown>
  policies: Record<string, unknown>
  indexes: Record<string, { columns: { expression: string }[] }>
  compositePrimaryKeys: Record<string, { columns: string[] }>
  uniqueConstraints: Record<string, { columns: string[] }>
  foreignKeys: Record<string, { columnsFrom: string[]; tableTo: string; columnsTo: string[] }>
}
type Journal = {
  version: string
  dialect: string
  entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[]
}

/** A generation that would have to guess; the message says how to go on. */
class GenerateError extends Error {
  override readonly name = 'GenerateError'
}

/**
 * Writes the migration from the newest snapshot to the tables as they are, with its way back.
 * The files are laid out as drizzle-kit lays them out, so that its own commands go on working.
 * @returns the new migration's tag, or undefined when nothing changed
 * @throws GenerateError when drizzle-kit is missing, the name is unusable, or something may be a rename
 */
export async function generate(name: string, options: GenerateOptions = {}): Promise<string | undefined> {
  const folder = options.folder ?? migrationsFolder
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
  if (slug === '') throw new GenerateError(`"${name}" cannot name a migration: use letters and digits.`)

  const { journal, previous, current } = await snapshots(folder)
  const renames = possibleRenames(previous, current)
  if (renames.length > 0 && !options.drop && !options.custom) throw new GenerateError(explain(renames))

  const up = options.custom ? [] : await statements(previous, current)
  if (up.length === 0 && !options.custom) return undefined
  const down = options.custom ? [] : await statements(current, previous)

  const idx = (journal.entries.at(-1)?.idx ?? -1) + 1
  const prefix = prefixOf(idx)
  const tag = `${prefix}_${slug}`
  journal.entries.push({ idx, version: current.version, when: Date.now(), tag, breakpoints: true })
  await mkdir(join(folder, 'meta'), { recursive: true })
  await writeFile(join(folder, `${tag}.sql`), file(up), { flag: 'wx' })
  await writeFile(join(folder, `${tag}.down.sql`), file(down), { flag: 'wx' })
  await writeFile(join(folder, 'meta', `${prefix}_snapshot.json`), json(current), { flag: 'wx' })
  await writeFile(join(folder, 'meta', '_journal.json'), json(journal))
  return tag
}

/** What the next migration would do: empty when the newest snapshot and the tables agree. */
export async function pendingChanges(folder = migrationsFolder): Promise<string[]> {
  const { previous, current } = await snapshots(folder)
  return statements(previous, current)
}

async function snapshots(folder: string) {
  const { generateDrizzleJson } = await drizzleKit()
  const journal = (await readJson<Journal>(join(folder, 'meta', '_journal.json'))) ?? {
    version: '7',
    dialect: 'postgresql',
    entries: [],
  }
  const last = journal.entries.at(-1)
  const found = last && (await readJson<Snapshot>(join(folder, 'meta', `${prefixOf(last.idx)}_snapshot.json`)))
  if (last && !found) throw new GenerateError(`The snapshot of ${last.tag} is missing in ${join(folder, 'meta')}.`)
  const exports = Object.fromEntries(
    (await loadTables()).flatMap(({ domain, exports }) => exports.map(([key, value]) => [`${domain}.${key}`, value])),
  )
  return { journal, previous: found ?? generateDrizzleJson({}), current: generateDrizzleJson(exports, found?.id) }
}

async function drizzleKit() {
  try {
    const kit = await import('drizzle-kit/api')
    // It gives every array a method that `for … in` meets, and so do others of this process.
    Reflect.deleteProperty(Array.prototype, 'random')
    return kit
  } catch (cause) {
    throw new GenerateError('Migrations are generated with drizzle-kit, a development dependency: run npm ci first.', {
      cause,
    })
  }
}

/**
 * drizzle-kit asks on the terminal whether something that went and something that came are one thing renamed. Going
 * by way of a snapshot that has neither, it never asks.
 */
async function statements(from: Snapshot, to: Snapshot): Promise<string[]> {
  const { generateMigration } = await drizzleKit()
  const between = without(from, possibleRenames(from, to))
  const found = [...(await generateMigration(from, between)), ...(await generateMigration(between, to))]
  return inOrder(found, from)
}

/**
 * Foreign keys go first and come last, and primary keys come after their columns. drizzle-kit adds foreign keys before
 * the unique indexes they refer to, and drops them after the tables that take them along.
 */
function inOrder(statements: string[], from: Snapshot): string[] {
  const foreignKeys = Object.values(from.tables).flatMap((table) => Object.keys(table.foreignKeys))
  const rank = (statement: string) => {
    if (/^ALTER TABLE \S+ ADD CONSTRAINT \S+ FOREIGN KEY/.test(statement)) return 3
    if (/^ALTER TABLE \S+ ADD CONSTRAINT \S+ PRIMARY KEY/.test(statement)) return 2
    return foreignKeys.some((key) => statement.includes(`DROP CONSTRAINT "${key}"`)) ? 0 : 1
  }
  return statements
    .flatMap((statement) => statement.split(/(?<=;)\n(?=ALTER TABLE \S+ ADD CONSTRAINT \S+ FOREIGN KEY )/))
    .map((statement) => statement.trim())
    .sort((a, b) => rank(a) - rank(b))
}

const kinds = ['tables', 'enums', 'sequences', 'views', 'roles', 'schemas'] as const

function possibleRenames(from: Snapshot, to: Snapshot): Rename[] {
  const compare = (kind: string, a: object, b: object, of?: string): Rename[] => {
    const removed = Object.keys(a).filter((key) => !(key in b))
    const added = Object.keys(b).filter((key) => !(key in a))
    return removed.length > 0 && added.length > 0 ? [{ kind, ...(of ? { of } : {}), removed, added }] : []
  }
  return [
    ...kinds.flatMap((kind) => compare(kind, from[kind], to[kind])),
    ...Object.entries(from.tables).flatMap(([key, table]) => {
      const other = to.tables[key]
      if (!other) return []
      return [
        ...compare('columns', table.columns, other.columns, key),
        ...compare('policies', table.policies, other.policies, key),
      ]
    }),
  ]
}

/** The snapshot without what the renames say is removed, nor what stands on it. */
function without(snapshot: Snapshot, renames: Rename[]): Snapshot {
  const copy = structuredClone(snapshot)
  for (const { kind, of, removed } of renames) {
    const owner = (of ? copy.tables[of] : copy) as unknown as Record<string, Record<string, unknown>>
    for (const key of removed) delete owner[kind]?.[key]
    if (kind === 'columns') {
      const name = copy.tables[of as string]?.name
      for (const key of removed) dropDependents(copy, (table, column) => table === name && column === key)
    }
    if (kind === 'tables') {
      const names = removed.map((key) => snapshot.tables[key]?.name)
      dropDependents(copy, (table) => names.includes(table))
    }
  }
  return copy
}

function dropDependents(snapshot: Snapshot, gone: (table: string, column: string) => boolean) {
  const keep = <T>(entries: Record<string, T>, stands: (entry: T) => boolean) =>
    Object.fromEntries(Object.entries(entries).filter(([, entry]) => stands(entry)))
  for (const table of Object.values(snapshot.tables)) {
    const has = (columns: string[]) => !columns.some((column) => gone(table.name, column))
    table.indexes = keep(table.indexes, (index) => has(index.columns.map(({ expression }) => expression)))
    table.compositePrimaryKeys = keep(table.compositePrimaryKeys, (key) => has(key.columns))
    table.uniqueConstraints = keep(table.uniqueConstraints, (unique) => has(unique.columns))
    table.foreignKeys = keep(
      table.foreignKeys,
      (key) => has(key.columnsFrom) && !key.columnsTo.some((column) => gone(key.tableTo, column)),
    )
  }
}

function explain(renames: Rename[]): string {
  const lines = renames.map(
    ({ kind, of, removed, added }) =>
      `  ${kind}${of ? ` of ${of}` : ''}: ${removed.join(', ')} went, ${added.join(', ')} came`,
  )
  return [
    'This may be a rename, which cannot be told from a drop and an add:',
    ...lines,
    'Write it by hand with --custom (empty files and the new snapshot), or say --drop if the old data may go.',
  ].join('\n')
}

const prefixOf = (idx: number) => String(idx).padStart(4, '0')

const file = (statements: string[]) =>
  statements.length > 0
    ? `${statements.join(`\n${breakpoint}\n`)}\n`
    : `-- Write the statements here, with a line "${breakpoint}" between two of them.\n`

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
