import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { test as base } from 'vitest'
import { databaseUrl } from './database.ts'
import { withUrl } from './url.ts'

type Scratch = {
  /** An empty database of this test's own, as its URL and as a connection of its owner. */
  url: string
  sql: postgres.Sql
  /** An empty directory of this test's own. */
  folder: string
}

/** A test with an empty database and an empty directory, both gone afterwards. */
export const test = base.extend<Scratch>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  url: async ({}, use) => {
    const home = await databaseUrl()
    const admin = postgres(home, { max: 1 })
    const name = `scratch_${randomBytes(6).toString('hex')}`
    await admin`create database ${admin(name)}`
    await use(withUrl(home, { pathname: `/${name}` }))
    await admin`drop database ${admin(name)} with (force)`
    await admin.end()
  },
  sql: async ({ url }, use) => {
    const sql = postgres(url, { max: 1, onnotice: () => undefined })
    await use(sql)
    await sql.end()
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenon-'))
    await use(folder)
    await rm(folder, { recursive: true })
  },
})

/** Writes files such as `0000_one.sql` into the folder. */
export async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}

/** Everything the migrations made: columns, constraints and indexes, whatever the order they were made in. */
export async function catalog(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with ours as (
      select oid, relname from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'tenon_migrations')
    select concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull,
      pg_get_expr(adbin, adrelid)) as line
    from ours join pg_attribute on attrelid = ours.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped
    union all select concat_ws(' ', relname, conname, pg_get_constraintdef(con.oid))
    from ours join pg_constraint con on conrelid = ours.oid
    union all select pg_get_indexdef(indexrelid) from ours join pg_index on indrelid = ours.oid
    order by 1`
  return rows.map(({ line }) => line)
}
