import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, Currency, Nullable, named, ref, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { bookQuery, provenance, SegmentField } from '../book/schemas.ts'

const cohorts = ['year', 'quarter', 'month'] as const
const measures = ['default', 'loss', 'prepayment'] as const
const bases = ['count', 'balance'] as const

export const VintageQuery = Strict({
  cohort: Type.Optional(StringEnum(cohorts, { default: 'year', description: 'what the origination date is cut to' })),
  measure: Type.Optional(StringEnum(measures, { default: 'default' })),
  basis: Type.Optional(
    StringEnum(bases, {
      description: 'shares of the loans, or of the original principal; balance for loss, count for the others',
    }),
  ),
  months_max: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 600, default: 120, description: 'the last age shown' }),
  ),
  step: Type.Optional(
    Type.Unsafe<1 | 3 | 12>({
      type: 'integer',
      enum: [1, 3, 12],
      minimum: 1,
      maximum: 12,
      default: 1,
      description: 'months from age to age',
    }),
  ),
  by: Type.Optional(SegmentField()),
  ...bookQuery,
})
export type VintageQuery = Static<typeof VintageQuery>

const Curve = (description: string) => Type.Array(Nullable(Type.String()), { description })

export const VintageCohort = named(
  'VintageCohort',
  Type.Object({
    cohort: Type.String({ description: '2006, 2006-Q1 or 2006-01' }),
    segment: Type.Optional(Nullable(Type.String({ description: 'only with by=; null for loans without a value' }))),
    loan_count: Type.Integer(),
    original_principal: Type.String({ description: 'decimal with 4 places' }),
    event_count: Type.Integer({ description: 'loans that defaulted, lost or were prepaid, whenever that was' }),
    undated: Type.Integer({ description: 'of these, loans that state no date: they are in no cell of the curve' }),
    before_origination: Type.Integer({ description: 'of these, loans whose date lies before origination: month 0' }),
    months_observed: Nullable(
      Type.Integer({ description: 'age of the youngest loan; null when it was not yet originated' }),
    ),
    curve: Curve('cumulative share by that age, 6 places; null where the youngest loan has not reached it'),
    marginal: Curve('share since the age before'),
  }),
)

export const Vintages = named(
  'Vintages',
  Type.Object({
    portfolio_id: Uuid(),
    currency: Currency(),
    cohort: StringEnum(cohorts),
    measure: StringEnum(measures),
    basis: StringEnum(bases),
    by: Nullable(Type.String()),
    observed_on: CalendarDate({ description: 'what lies after it is not known yet' }),
    months: Type.Array(Type.Integer(), { description: 'ages of the curves in months since origination' }),
    cohorts: Type.Array(ref(VintageCohort)),
    ...provenance,
  }),
)
export type Vintages = Static<typeof Vintages>
