import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { generate, pendingChanges } from '../../src/cli/generate.ts'
import { schemaDocs, schemaDocsPath } from '../../src/cli/schema-docs.ts'
import { migrate, migrationsFolder, readMigrations } from '../../src/db/migrate.ts'
import { catalog, test } from '../helpers/scratch.ts'

type Table = Record<'columns' | 'indexes' | 'foreignKeys', Record<string, object>>
type Snapshot = { tables: Record<string, Table> }

/** A copy of the project's migrations whose newest snapshot is of another time. */
async function earlier(folder: string, change: (snapshot: Snapshot) => void): Promise<void> {
  await cp(migrationsFolder, folder, { recursive: true })
  const newest = (await readdir(join(folder, 'meta')))
    .filter((name) => name.endsWith('_snapshot.json'))
    .sort()
    .at(-1)
  const path = join(folder, 'meta', newest as string)
  const snapshot = JSON.parse(await readFile(path, 'utf8')) as Snapshot
  change(snapshot)
  await writeFile(path, JSON.stringify(snapshot))
}

const rename = (record: Record<string, object>, from: string, to: string) => {
  record[to] = { ...record[from], name: to }
  delete record[from]
}

const lines = (text: string | undefined) => (text ?? '').split('\n').filter((line) => line && !line.startsWith('--'))

describe('the tables and what is generated from them', () => {
  test('agree with the newest snapshot', async () => {
    expect(await pendingChanges()).toEqual([])
  })

  test('agree with docs/schema.md', async () => {
    expect(await readFile(schemaDocsPath, 'utf8')).toBe(await schemaDocs())
  })

  test('the journal names the migrations in their order', async () => {
    const journal = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8'))
    const tags = (await readMigrations()).map(({ tag }) => tag)
    expect(journal.entries.map((entry: { tag: string }) => entry.tag)).toEqual(tags)
  })
})

describe('generate', () => {
  test('writes nothing when nothing changed', async ({ folder }) => {
    await earlier(folder, () => undefined)
    expect(await generate('nothing', { folder })).toBeUndefined()
    expect(await readdir(folder)).toEqual(await readdir(migrationsFolder))
  })

  test('writes the way there and the way back, in an order that Postgres takes', async ({ url, sql, folder }) => {
    await migrate(url)
    const tables = await catalog(sql)
    await earlier(folder, ({ tables }) => {
      delete tables['public.members']
      delete tables['public.portfolios']?.foreignKeys.portfolios_manager
      delete tables['public.loans']?.columns.stage
    })
    const tag = await generate('Members, again', { folder })
    expect(tag).toMatch(/^\d{4}_members_again$/)
    const written = (await readMigrations(folder)).find((one) => one.tag === tag)
    await sql.unsafe(written?.down ?? '')
    expect((await catalog(sql)).filter((line) => /members|^loans stage/.test(line))).toEqual([])
    await sql.unsafe(written?.up ?? '')
    expect(await catalog(sql)).toEqual(tables)
    expect(await pendingChanges(folder)).toEqual([])
  })

  test('refuses to guess a rename, naming both sides, and writes nothing', async ({ folder }) => {
    await earlier(folder, ({ tables }) => {
      rename(tables['public.users']?.columns ?? {}, 'full_name', 'real_name')
      rename(tables, 'public.loans', 'public.credits')
    })
    await expect(generate('rename', { folder })).rejects.toThrow(
      /tables: public\.credits went, public\.loans came\n {2}columns of public\.users: real_name went, full_name came/,
    )
    expect(await readdir(folder)).toEqual(await readdir(migrationsFolder))
  })

  test('with --drop takes it for a drop and an add', async ({ folder }) => {
    await earlier(folder, ({ tables }) => rename(tables['public.users']?.columns ?? {}, 'full_name', 'real_name'))
    const tag = await generate('drop', { folder, drop: true })
    const written = (await readMigrations(folder)).find((one) => one.tag === tag)
    expect(lines(written?.up)).toEqual([
      'ALTER TABLE "users" DROP COLUMN "real_name";',
      'ALTER TABLE "users" ADD COLUMN "full_name" text;',
    ])
    expect(lines(written?.down)).toEqual([
      'ALTER TABLE "users" DROP COLUMN "full_name";',
      'ALTER TABLE "users" ADD COLUMN "real_name" text;',
    ])
  })

  test('with --custom writes empty files and the new snapshot', async ({ folder }) => {
    await earlier(folder, ({ tables }) => rename(tables['public.users']?.columns ?? {}, 'full_name', 'real_name'))
    const tag = await generate('by hand', { folder, custom: true })
    const written = (await readMigrations(folder)).find((one) => one.tag === tag)
    expect([...lines(written?.up), ...lines(written?.down)]).toEqual([])
    expect(await pendingChanges(folder)).toEqual([])
  })
})
