import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, Pattern, ref, StringEnum, Timestamp, Uuid } from '../../../lib/schema.ts'
import { LoanFields } from '../loans/schemas.ts'

const fields = Object.keys(LoanFields.properties)

const Value = (description: string) =>
  Type.Unsafe<string | number | object | null>({
    type: ['string', 'number', 'object', 'null'],
    additionalProperties: true,
    description,
  })

export const LoanChange = named(
  'LoanChange',
  Type.Object({
    id: Uuid({ description: 'of this entry' }),
    field: StringEnum(fields),
    before: Value('null also where there was no loan yet'),
    after: Value('null also where there is no loan any more'),
    kind: StringEnum(['created', 'updated', 'deleted']),
    version: Type.Integer({ description: 'of the loan after the change; a deletion counts as a version' }),
    changed_at: Timestamp(),
    changed_by: Nullable(Uuid({ description: 'the user; null for an import, and for who created the loan' })),
    import_id: Nullable(Uuid({ description: 'the import that made the change' })),
  }),
)
export type LoanChange = Static<typeof LoanChange>

export const LoanChangePage = pageOf('LoanChangePage', ref(LoanChange))

export const HistoryQuery = pageQuery(['version'], {
  field: Type.Optional(
    Pattern(
      `^(${fields.join('|')})(,(${fields.join('|')})){0,49}$`,
      `one or more of ${fields.join(', ')}, with commas`,
      {
        maxLength: 1_000,
        description: 'fields of a loan, separated by commas; all without it',
      },
    ),
  ),
})
export type HistoryQuery = Static<typeof HistoryQuery>
