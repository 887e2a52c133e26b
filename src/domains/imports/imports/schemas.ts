import { type Static, Type } from '@sinclair/typebox'
import { importTerms } from '../../../db/tables/imports.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { encodings } from '../engine/text.ts'

const Column = () => Text(500, { description: 'a column of the file, as its header names it' })
const Value = () => Type.String({ maxLength: 2_000, pattern: '^[^\\u0000]*$' })
const DateFormat = () =>
  Type.String({
    maxLength: 20,
    description:
      'YYYY or YY (70–99 are 19YY), MMM, MM or M, and DD or D, with separators: `M/D/YYYY`, `D-MMM-YY`; ISO 8601 by default',
  })

const FieldMapping = Strict(
  {
    column: Type.Optional(Column()),
    constant: Type.Optional(Value()),
    default: Type.Optional(Value()),
    values: Type.Optional(
      Type.Record(Type.String(), Nullable(Value()), {
        maxProperties: 1_000,
        propertyNames: { minLength: 1, maxLength: 2_000, pattern: '^[^\\u0000]*$' },
        description: 'cell → value; a cell that is not named passes as it is',
      }),
    ),
    date_format: Type.Optional(DateFormat()),
  },
  {
    description:
      'where a field comes from: a column, or a constant. `default` stands for an empty cell; constants, defaults and values are written as the API writes them.',
  },
)

export const ImportMapping = named(
  'ImportMapping',
  Strict(
    {
      name: Type.Optional(Text(100)),
      date_format: Type.Optional(DateFormat()),
      rest: Type.Optional(
        StringEnum(['attributes', 'ignore'], { default: 'ignore', description: 'what becomes of unmapped columns' }),
      ),
      fields: Type.Record(Type.String(), FieldMapping, { minProperties: 1, maxProperties: 200 }),
    },
    { description: 'which column of a file becomes which field, and how' },
  ),
)
export type ImportMapping = Static<typeof ImportMapping>
export type FieldMapping = Static<typeof FieldMapping>

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
    file_name: Nullable(Type.String()),
    bytes: Count('of the file, as far as it has been read'),
    received: Count('rows read'),
    inserted: Count(),
    updated: Count(),
    unchanged: Count('rows that an upsert found as they were, or that a later row of the file replaced'),
    rejected: Count('rows refused; GET /imports/{id}/rejects lists them'),
    errors: Type.Array(ref(ImportError), { description: 'the first 100' }),
    failure: Type.Unsafe<{ code: string; detail: string } | null>({
      type: ['object', 'null'],
      description: 'why it failed; nothing was loaded then',
      properties: { code: { type: 'string' }, detail: { type: 'string' } },
      required: ['code', 'detail'],
    }),
    sha256: Nullable(Type.String({ description: 'of the file' })),
    started_at: Timestamp(),
    finished_at: Nullable(Timestamp()),
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
})
export type ImportQuery = Static<typeof ImportQuery>

/** The multipart body, for the documentation alone: the fields stand before the file, which is streamed. */
export const ImportForm = named(
  'ImportForm',
  Strict({
    id: Type.Optional(Uuid({ description: 'chosen by the client, to watch the import from another connection' })),
    mapping: Type.Optional(ref(ImportMapping)),
    mode: Type.Optional(StringEnum(importTerms.mode, { default: 'insert', description: 'upsert matches on the key' })),
    on_error: Type.Optional(
      StringEnum(importTerms.on_error, { default: 'abort', description: 'abort loads all rows or none' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ default: false, description: 'do everything, and load nothing' })),
    force: Type.Optional(Type.Boolean({ default: false, description: 'insert a file that was imported before' })),
    delimiter: Type.Optional(
      Type.String({ maxLength: 3, description: 'one character or `tab`; by default the header tells' }),
    ),
    encoding: Type.Optional(StringEnum(encodings, { description: 'by default a byte order mark tells, then utf-8' })),
    file: Type.Unsafe<unknown>({ type: 'string', format: 'binary', description: 'CSV with a header line' }),
  }),
)
