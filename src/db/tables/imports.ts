import {
  bigint,
  boolean,
  date,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { changeTracking, instant, tenantKey } from './columns.ts'
import { portfolios } from './credit.ts'

/** One rejected cell or row: `line` is where its record starts in the file, the header being line 1. */
export type ImportError = { line: number; column: string | null; code: string; value: string | null; message: string }

/** Why an import loaded nothing. */
export type ImportFailure = { code: string; detail: string }

/** The words that an import's coded fields may hold. */
export const importTerms = {
  status: ['running', 'completed', 'failed', 'cancelled', 'rolled_back'],
  mode: ['insert', 'upsert'],
  on_error: ['abort', 'skip'],
  encoding: ['utf-8', 'utf-16le', 'utf-16be', 'latin1'],
} as const

export const imports = pgTable(
  'imports',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
    target: text().notNull(),
    status: text({ enum: importTerms.status }).notNull(),
    mode: text({ enum: importTerms.mode }).notNull(),
    on_error: text({ enum: importTerms.on_error }).notNull(),
    dry_run: boolean().notNull(),
    /** The reporting date whose snapshots it writes, and the portfolio's before. */
    as_of: date({ mode: 'string' }),
    previous_as_of: date({ mode: 'string' }),
    mapping_id: uuid(),
    mapping: jsonb().$type<Record<string, unknown>>(),
    encoding: text({ enum: importTerms.encoding }),
    delimiter: text(),
    file_name: text(),
    header: text().array(),
    bytes: bigint({ mode: 'number' }).notNull().default(0),
    received: integer().notNull().default(0),
    inserted: integer().notNull().default(0),
    updated: integer().notNull().default(0),
    unchanged: integer().notNull().default(0),
    rejected: integer().notNull().default(0),
    snapshots: integer().notNull().default(0),
    errors: jsonb().$type<ImportError[]>().notNull().default([]),
    failure: jsonb().$type<ImportFailure>(),
    sha256: text(),
    principal: text().notNull(),
    idempotency_key: text(),
    request_hash: text().notNull(),
    created_by: uuid(),
    started_at: instant().notNull().defaultNow(),
    cancel_requested_at: instant(),
    finished_at: instant(),
    rolled_back_at: instant(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'imports_portfolio',
      columns: [table.org_id, table.portfolio_id],
      foreignColumns: [portfolios.org_id, portfolios.id],
    }).onDelete('cascade'),
    index('imports_started').on(table.org_id, table.started_at, table.id),
    index('imports_portfolio').on(table.org_id, table.portfolio_id, table.sha256),
    uniqueIndex('imports_idempotency').on(table.org_id, table.principal, table.idempotency_key),
  ],
)

/** A rejected row as it stood in the file, so that it can be corrected and sent again. */
export const importRejects = pgTable(
  'import_rejects',
  {
    org_id: uuid().notNull(),
    import_id: uuid().notNull(),
    line: integer().notNull(),
    cells: text().array().notNull(),
    errors: text().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.import_id, table.line] }),
    foreignKey({
      name: 'import_rejects_import',
      columns: [table.org_id, table.import_id],
      foreignColumns: [imports.org_id, imports.id],
    }).onDelete('cascade'),
  ],
)

/** A saved way to read a file. */
export const importMappings = pgTable(
  'import_mappings',
  {
    ...tenantKey(),
    name: text().notNull(),
    target: text().notNull(),
    mapping: jsonb().$type<Record<string, unknown>>().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('import_mappings_name').on(table.org_id, table.name),
    index('import_mappings_created').on(table.org_id, table.created_at, table.id),
  ],
)
