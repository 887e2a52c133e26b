import { type Static, Type } from '@sinclair/typebox'
import { importTerms } from '../../../db/tables/imports.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { CalendarDate, Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { encodings } from '../engine/text.ts'

export const ImportError = named(
  'ImportError',
  Type.Object({
    line: Type.Integer({ description: 'where the record begins; the header is line 1' }),
    column: Nullable(Type.String({ description: 'of the file; null when the whole row is meant' })),
    code: Type.String({ examples: ['required'] }),
    value: Nullable(Type.String({ description: 'the first 200 characters' })),
    message: Type.String(),
  }),
)

const Count = (description?: string) => Type.Integer({ minimum: 0, ...(description && { description }) })

export const Import = named(
  'Import',
  Type.Object({
    id: Uuid(),
    portfolio_id: Uuid(),
    target: Type.String({ description: 'what was imported', examples: ['loans'] }),
    status: StringEnum(importTerms.status),
    mode: StringEnum(importTerms.mode),
    on_error: StringEnum(importTerms.on_error),
    dry_run: Type.Boolean(),
    mapping_id: Nullable(
      Uuid({ description: 'the saved mapping it was made with; GET /imports/{id}/mapping tells it' }),
    ),
    encoding: Nullable(StringEnum(encodings, { description: 'what the file was read as' })),
    delimiter: Nullable(Type.String({ description: 'what the file was read with' })),
    as_of: Nullable(CalendarDate({ description: 'the reporting date whose snapshots it wrote' })),
    file_name: Nullable(Type.String()),
    bytes: Count('of the file, as far as it has been read'),
    received: Count('rows read'),
    inserted: Count(),
    updated: Count(),
    unchanged: Count('rows that an upsert found as they were, or that a later row of the file replaced'),
    rejected: Count('rows refused; GET /imports/{id}/rejects lists them'),
    snapshots: Count('states for a reporting date written, corrections of earlier ones included'),
    errors: Type.Array(ref(ImportError), { description: 'the first 100' }),
    failure: Type.Unsafe<{ code: string; detail: string } | null>({
      type: ['object', 'null'],
      description: 'why it failed; nothing was loaded then',
      properties: { code: { type: 'string' }, detail: { type: 'string' } },
      required: ['code', 'detail'],
    }),
    sha256: Nullable(Type.String({ description: 'of the file as it was sent: of gzip, not of what is in it' })),
    started_at: Timestamp(),
    finished_at: Nullable(Timestamp()),
    rolled_back_at: Nullable(Timestamp()),
    duration_ms: Type.Integer(),
    rows_per_second: Type.Integer(),
    created_by: Nullable(Uuid()),
  }),
)
export type Import = Static<typeof Import>

export const ImportPage = pageOf('ImportPage', ref(Import))

export const ImportQuery = pageQuery(['started_at'], {
  status: Type.Optional(StringEnum(importTerms.status)),
  portfolio_id: Type.Optional(Uuid()),
  target: Type.Optional(Text(100)),
  mode: Type.Optional(StringEnum(importTerms.mode)),
  as_of: Type.Optional(CalendarDate()),
  dry_run: Type.Optional(Type.Boolean()),
  created_by: Type.Optional(Uuid({ description: 'a user' })),
  started_at_gte: Type.Optional(Timestamp()),
  started_at_lte: Type.Optional(Timestamp()),
})
export type ImportQuery = Static<typeof ImportQuery>

/** The multipart body, for the documentation alone: the fields stand before the file, which is streamed. */
export const ImportForm = named(
  'ImportForm',
  Strict({
    id: Type.Optional(Uuid({ description: 'chosen by the client, to watch the import from another connection' })),
    as_of: Type.Optional(
      CalendarDate({
        description:
          'the reporting date of a tape of loans: each row is written as a snapshot of that date, too. Where the portfolio has a newer one, loans that are there already stay as they are.',
      }),
    ),
    mapping: Type.Optional(
      Type.String({
        maxLength: 262_144,
        description:
          "an ImportMapping as JSON, or the id of a saved mapping; by default the columns bear the fields' names",
      }),
    ),
    mode: Type.Optional(StringEnum(importTerms.mode, { default: 'insert', description: 'upsert matches on the key' })),
    on_error: Type.Optional(
      StringEnum(importTerms.on_error, { default: 'abort', description: 'abort loads all rows or none' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ default: false, description: 'do everything, and load nothing' })),
    force: Type.Optional(Type.Boolean({ default: false, description: 'insert a file that was imported before' })),
    delimiter: Type.Optional(
      Type.String({ maxLength: 3, description: 'one character or `tab`; by default the file tells' }),
    ),
    encoding: Type.Optional(
      StringEnum(encodings, { description: 'by default the file tells; latin1 is Windows-1252' }),
    ),
    file: Type.Unsafe<unknown>({
      type: 'string',
      format: 'binary',
      description: 'CSV with a header line, as it is or as gzip',
    }),
  }),
)
