import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, Pattern, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'

const Column = () => Text(500, { description: 'a column of the file, as its header names it' })
const Value = () => Pattern('^[^\\u0000]*$', 'text without NUL', { maxLength: 2_000 })
const DateFormat = () =>
  Type.String({
    maxLength: 20,
    description:
      'YYYY or YY (70–99 are 19YY), MMM, MM or M, and DD or D, with separators: `M/D/YYYY`, `D-MMM-YY`; ISO 8601 by default. With `auto` the head of the file tells it, and a file that fits two readings is refused.',
  })

/** How numbers are written, for all fields and for one. */
const numberFormat = {
  decimal: Type.Optional(StringEnum(['.', ','], { description: 'the mark before the decimals; a point unless told' })),
  thousands: Type.Optional(
    StringEnum([',', '.', ' ', "'"], { description: 'the mark between thousands; none unless told' }),
  ),
  currency_signs: Type.Optional(
    Type.Boolean({ description: 'a currency sign or code before or after a number is left out: `$ 5`, `5 EUR`' }),
  ),
  parentheses: Type.Optional(Type.Boolean({ description: 'a number in parentheses is negative: `(5.00)`' })),
}

const FieldMapping = named(
  'FieldMapping',
  Strict(
    {
      column: Type.Optional(Column()),
      fallback_column: Type.Optional(
        Text(500, { description: 'the column that stands in where the cell of `column` is empty' }),
      ),
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
      ...numberFormat,
      percent: Type.Optional(
        Type.Boolean({ description: 'the number is in hundredths, with a percent sign or without: 5.25 is 0.0525' }),
      ),
    },
    {
      description:
        'where a field comes from: a column, or a constant. `default` stands for an empty cell; constants, defaults and values are written as the API writes them.',
    },
  ),
)

export const ImportMapping = named(
  'ImportMapping',
  Strict(
    {
      name: Type.Optional(Text(100)),
      date_format: Type.Optional(DateFormat()),
      ...numberFormat,
      rest: Type.Optional(
        StringEnum(['attributes', 'ignore'], { default: 'ignore', description: 'what becomes of unmapped columns' }),
      ),
      ignore: Type.Optional(
        Type.Array(Column(), {
          maxItems: 2_000,
          uniqueItems: true,
          description: 'columns that are left out whatever becomes of the rest; the file need not have them',
        }),
      ),
      fields: Type.Record(Type.String(), ref(FieldMapping), {
        minProperties: 1,
        maxProperties: 200,
        examples: [
          {
            loan_number: { column: 'LoanNr_ChkDgt' },
            borrower_name: { column: 'Name' },
            currency: { constant: 'USD' },
            originated_on: { column: 'DisbursementDate', date_format: 'M/D/YYYY' },
            original_principal: { column: 'DisbursementGross' },
            status: { column: 'MIS_Status', values: { 'P I F': 'paid', CHGOFF: 'charged_off' } },
          },
        ],
      }),
    },
    { description: 'which column of a file becomes which field, and how' },
  ),
)
export type ImportMapping = Static<typeof ImportMapping>
/** A mapping, and what it is made of. */
export const mappingModels = [FieldMapping, ImportMapping]
export type FieldMapping = Static<typeof FieldMapping>

const Name = () => Text(100, { description: 'unique in the organisation', examples: ['SBA tape'] })
const TargetName = () => Text(100, { description: 'what is imported by it: loans, unless told' })

export const SavedMappingCreate = named(
  'SavedMappingCreate',
  Strict({ name: Name(), target: Type.Optional(TargetName()), mapping: ref(ImportMapping) }),
)
export type SavedMappingCreate = Static<typeof SavedMappingCreate>

export const SavedMappingUpdate = named(
  'SavedMappingUpdate',
  Strict({ name: Type.Optional(Name()), mapping: Type.Optional(ref(ImportMapping)) }),
)
export type SavedMappingUpdate = Static<typeof SavedMappingUpdate>

export const SavedMapping = named(
  'SavedMapping',
  Type.Object({
    id: Uuid(),
    name: Type.String(),
    target: Type.String({ description: 'what is imported by it', examples: ['loans'] }),
    mapping: Type.Unsafe<Record<string, unknown>>(ref(ImportMapping)),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)

export const SavedMappingPage = pageOf('SavedMappingPage', ref(SavedMapping))

export const SavedMappingQuery = pageQuery(['created_at', 'name'], {
  target: Type.Optional(Text(100)),
  q: Type.Optional(Text(100, { description: 'part of the name' })),
})
export type SavedMappingQuery = Static<typeof SavedMappingQuery>

export const TemplateQuery = Strict({
  target: Type.Optional(Text(100, { default: 'loans', description: 'what is to be imported' })),
})
