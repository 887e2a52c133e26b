import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { is, SQL } from 'drizzle-orm'
import { getTableConfig, type PgColumn, PgDialect, PgTable } from 'drizzle-orm/pg-core'

const tablesFolder = new URL('../db/tables/', import.meta.url)

export const schemaDocsPath = join(import.meta.dirname, '..', '..', 'docs', 'schema.md')

type TableFile = { domain: string; exports: [key: string, value: unknown][]; source: string }

/** What each file of `src/db/tables` exports, by name, with the text it was loaded from. */
export async function loadTables(): Promise<TableFile[]> {
  const files = (await readdir(tablesFolder)).filter((name) => name.endsWith('.ts')).sort()
  return Promise.all(
    files.map(async (name) => {
      const module: Record<string, unknown> = await import(new URL(name, tablesFolder).href)
      const exports = Object.entries(module).sort(([a], [b]) => a.localeCompare(b))
      return {
        domain: name.slice(0, -'.ts'.length),
        exports,
        source: await readFile(new URL(name, tablesFolder), 'utf8'),
      }
    }),
  )
}

/** The text of `docs/schema.md`: every table with its columns, keys and indexes, by domain. */
export async function schemaDocs(): Promise<string> {
  const sections = (await loadTables()).flatMap(({ domain, exports, source }) => {
    const tables = exports.flatMap(([key, value]) =>
      is(value, PgTable) ? [describeTable(value, commentOf(source, key))] : [],
    )
    return tables.length > 0 ? [`## ${domain}`, ...tables] : []
  })
  return `${['# Schema', 'Generated from `src/db/tables` by `npm run db -- docs`; do not edit.', ...sections].join('\n\n')}\n`
}

/** The TSDoc comment right above an exported table, on one line. */
function commentOf(source: string, key: string): string | undefined {
  const [before] = source.split(`export const ${key} = pgTable(`)
  const comment = before?.trimEnd().match(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/$/)?.[1]
  return comment
    ?.replace(/^\s*\* ?/gm, '')
    .replace(/\s+/g, ' ')
    .trim()
}

function describeTable(table: PgTable, comment: string | undefined): string {
  const config = getTableConfig(table)
  const inline = config.columns.filter((column) => column.primary)
  const primary = config.primaryKeys[0]?.columns ?? inline
  const keys = [
    ...(primary.length > 0 ? [`Primary key: ${names(primary)}`] : []),
    ...config.foreignKeys.map((key) => {
      const { columns, foreignColumns, foreignTable } = key.reference()
      const onDelete = key.onDelete && key.onDelete !== 'no action' ? `, on delete ${key.onDelete}` : ''
      return `Foreign key: ${names(columns)} → \`${getTableConfig(foreignTable).name}\` ${names(foreignColumns)}${onDelete}`
    }),
    ...config.uniqueConstraints.map((unique) => `Unique: ${names(unique.columns)}`),
    ...config.checks.map((check) => `Check: \`${text(check.value)}\``),
    ...config.indexes.map(({ config: index }) => {
      const columns = index.columns
        .map((column) => (is(column, SQL) ? text(column) : (column as PgColumn).name))
        .join(', ')
      const where = index.where ? ` where \`${text(index.where)}\`` : ''
      return `${index.unique ? 'Unique index' : 'Index'} \`${index.name}\`: (${columns})${where}`
    }),
  ]
  const rows = config.columns.map((column) => {
    const value = defaultOf(column)
    return `| ${column.name} | ${column.getSQLType()} | ${column.notNull ? '' : 'null'} | ${value ? `\`${value}\`` : ''} |`
  })
  return [
    `### ${config.name}`,
    ...(comment ? [comment] : []),
    ['| Column | Type | Null | Default |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    keys.map((key) => `- ${key}`).join('\n'),
  ].join('\n\n')
}

const names = (columns: readonly PgColumn[]) => `(${columns.map((column) => column.name).join(', ')})`

const dialect = new PgDialect()
const text = (expression: SQL) => dialect.sqlToQuery(expression).sql

function defaultOf(column: PgColumn): string | undefined {
  if (column.default === undefined) return undefined
  return is(column.default, SQL) ? text(column.default) : JSON.stringify(column.default)
}
