import { type Static, Type } from '@sinclair/typebox'
import { Nullable, named, ref, Strict, StringEnum, Text, Uuid } from '../../../lib/schema.ts'
import { encodings } from '../engine/text.ts'
import { ImportMapping } from '../mappings/schemas.ts'

const Confidence = () => Type.Number({ minimum: 0, maximum: 1, description: 'how sure it is, from 0 to 1' })

export const SuggestionWarning = named(
  'SuggestionWarning',
  Type.Object({
    code: StringEnum(['empty_cells', 'not_unique', 'number_format_unclear', 'too_many_attributes', 'unread_cells']),
    field: Nullable(Type.String()),
    column: Nullable(Type.String()),
    message: Type.String(),
  }),
)
export type SuggestionWarning = Static<typeof SuggestionWarning>

export const MappingSuggestion = named(
  'MappingSuggestion',
  Type.Object({
    target: Type.String(),
    encoding: StringEnum(encodings, { description: 'as said, or as found' }),
    delimiter: Type.String({ description: 'as said, or as found' }),
    rows: Type.Integer({ description: 'rows that were looked at' }),
    complete: Type.Boolean({ description: 'they are the whole file' }),
    mapping: Type.Unsafe<ImportMapping>({
      ...ref(ImportMapping),
      description: 'what an import takes, once the required fields that it lacks are added',
    }),
    fields: Type.Array(
      Type.Object({
        field: Type.String(),
        required: Type.Boolean(),
        column: Nullable(Type.String({ description: 'null where every row has the same' })),
        confidence: Confidence(),
        reason: Type.String(),
        alternatives: Type.Array(
          Type.Object({ column: Type.String(), confidence: Confidence(), reason: Type.String() }),
          { description: 'other columns that it may be' },
        ),
      }),
      { description: 'why the mapping is as it is, in the order of the fields' },
    ),
    columns: Type.Array(
      Type.Object({
        name: Type.String(),
        field: Nullable(Type.String({ description: 'that it is proposed for' })),
        samples: Type.Array(Type.String(), { description: 'its first different cells' }),
        distinct: Type.Integer({ description: 'different cells' }),
        empty: Type.Integer({ description: 'empty cells' }),
      }),
    ),
    unmapped_required: Type.Array(Type.String(), { description: 'required fields for which nothing was found' }),
    ambiguous_dates: Type.Array(
      Type.Object({
        field: Type.String(),
        column: Type.String(),
        value: Nullable(Type.String({ description: 'a cell that can be read in each way' })),
        readings: Type.Array(
          Type.Object({ date_format: Type.String(), date: Nullable(Type.String({ format: 'date' })) }),
          {
            description: 'none where no one format reads all cells',
          },
        ),
      }),
      { description: 'date columns of which a person must say the format' },
    ),
    unknown_values: Type.Array(
      Type.Object({
        field: Type.String(),
        column: Type.String(),
        values: Type.Array(Type.Object({ cell: Type.String(), rows: Type.Integer() }), { description: 'the first 50' }),
      }),
      { description: 'words of coded fields that a person must map, in `values`' },
    ),
    warnings: Type.Array(ref(SuggestionWarning)),
  }),
)
export type MappingSuggestion = Static<typeof MappingSuggestion>

/** The multipart body, for the documentation alone. */
export const SuggestionForm = named(
  'SuggestionForm',
  Strict({
    target: Type.Optional(Text(100, { default: 'loans', description: 'what is to be imported' })),
    portfolio_id: Type.Optional(Uuid({ description: 'where it is to go: what follows from it is proposed too' })),
    delimiter: Type.Optional(
      Type.String({ maxLength: 3, description: 'one character or `tab`; by default the file tells' }),
    ),
    encoding: Type.Optional(StringEnum(encodings, { description: 'by default the file tells' })),
    file: Type.Unsafe<unknown>({
      type: 'string',
      format: 'binary',
      description: 'CSV with a header line, or its head: what follows the first MB is not looked at',
    }),
  }),
)
