import { type Static, Type } from '@sinclair/typebox'
import { defaultRateTerms } from '../../../db/tables/ratings.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import {
  CalendarDate,
  Currency,
  Money,
  Nullable,
  named,
  Pattern,
  ref,
  Strict,
  StringEnum,
  Text,
  Timestamp,
  Uuid,
} from '../../../lib/schema.ts'
import { bookQuery, provenance, SegmentField } from '../book/schemas.ts'
import { Probability } from '../loans/schemas.ts'
import { periodKinds } from './computed/rules.ts'

const periodWords = 'a year, a quarter or a month: 2024, 2024-Q1, 2024-01'
const Period = () =>
  Pattern('^[12][0-9]{3}(-Q[1-4]|-(0[1-9]|1[0-2]))?$', periodWords, {
    maxLength: 7,
    description: periodWords,
    examples: ['2024-Q1'],
  })
const Segment = () =>
  Text(420, { description: '`all`, `<field>=<value>` as computed series have it, or a name of one’s own' })
const Basis = () =>
  StringEnum(defaultRateTerms.basis, { description: 'numbers of loans, or amounts', examples: ['count'] })
const Source = () => StringEnum(defaultRateTerms.source, { description: 'how the row came here' })

const figures = {
  opening_performing: Type.Optional(
    Nullable(Money({ description: 'loans or amount not in default before the period', examples: ['200'] })),
  ),
  new_defaults: Type.Optional(
    Nullable(Money({ description: 'of those, what defaulted in the period', examples: ['3'] })),
  ),
  marginal: Type.Optional(Nullable(Probability({ description: 'new_defaults ÷ opening_performing' }))),
  cumulative: Type.Optional(
    Nullable(Probability({ description: 'from the first period of the series; 1 − Π(1 − marginal)' })),
  ),
  annualised: Type.Optional(Nullable(Probability({ description: '1 − (1 − marginal)^(periods in a year)' }))),
}

const given = {
  segment: Type.Optional(Segment()),
  period: Period(),
  basis: Basis(),
  ...figures,
}

/** One row of a file of default rates. */
export const DefaultRateRow = Strict(given)
export type DefaultRateRow = Static<typeof DefaultRateRow>

export const DefaultRateCreate = named('DefaultRateCreate', Strict({ portfolio_id: Uuid(), ...given }))
export type DefaultRateCreate = Static<typeof DefaultRateCreate>

export const DefaultRateUpdate = named(
  'DefaultRateUpdate',
  Type.Partial(Strict(given), { additionalProperties: false }),
)
export type DefaultRateUpdate = Static<typeof DefaultRateUpdate>

const Amount = (description: string) => Type.String({ description: `${description}; decimal with 4 places` })
const Share = (description: string) =>
  Nullable(Type.String({ description: `${description}; null where opening_performing is 0` }))

export const DefaultRate = named(
  'DefaultRate',
  Type.Object({
    id: Uuid(),
    portfolio_id: Uuid(),
    segment: Type.String(),
    period: Period(),
    basis: Basis(),
    source: Source(),
    opening_performing: Nullable(Type.String()),
    new_defaults: Nullable(Type.String()),
    marginal: Nullable(Type.String()),
    cumulative: Nullable(Type.String()),
    annualised: Nullable(Type.String()),
    formula_version: Nullable(Type.Integer({ description: 'of a computed row' })),
    import_id: Nullable(Uuid({ description: 'the import that last wrote it' })),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)

export const DefaultRatePage = pageOf('DefaultRatePage', ref(DefaultRate))

export const DefaultRateQuery = pageQuery(['created_at', 'period'], {
  portfolio_id: Type.Optional(Uuid()),
  segment: Type.Optional(Segment()),
  period: Type.Optional(Period()),
  basis: Type.Optional(Basis()),
  source: Type.Optional(Source()),
})
export type DefaultRateQuery = Static<typeof DefaultRateQuery>

const range = {
  by: Type.Optional(SegmentField()),
  from: Type.Optional(CalendarDate({ description: 'in the first period; ten years before the last by default' })),
  to: Type.Optional(CalendarDate({ description: 'in the last period; the last complete one by default' })),
}

export const DefaultRateFiguresQuery = Strict({
  period: Type.Optional(StringEnum(periodKinds, { default: 'year' })),
  basis: Type.Optional(StringEnum(defaultRateTerms.basis, { default: 'count' })),
  ...range,
  ...bookQuery,
})
export type DefaultRateFiguresQuery = Static<typeof DefaultRateFiguresQuery>

const computed = {
  portfolio_id: Uuid(),
  currency: Currency(),
  period: StringEnum(periodKinds),
  basis: Basis(),
  by: Nullable(Type.String()),
  undated_defaults: Type.Integer({ description: 'loans in default without a date of it; they are left out' }),
  ...provenance,
}

export const DefaultRateFigures = named(
  'DefaultRateFigures',
  Type.Object({
    ...computed,
    series: Type.Array(
      Type.Object({
        segment: Nullable(Type.String({ description: 'value of `by`; null without `by`, or where loans have none' })),
        periods: Type.Array(
          Type.Object({
            period: Period(),
            opening_performing: Amount('loans or original principal performing before the period'),
            new_defaults: Amount('of those, what defaulted in the period'),
            marginal: Share('new_defaults ÷ opening_performing'),
            cumulative: Share('1 − Π(1 − marginal) from the first period'),
            annualised: Share('1 − (1 − marginal)^(periods in a year)'),
          }),
        ),
      }),
    ),
  }),
)
export type DefaultRateFigures = Static<typeof DefaultRateFigures>

export const DefaultRateComputation = named(
  'DefaultRateComputation',
  Strict({
    period: StringEnum(periodKinds, { examples: ['year'] }),
    basis: Basis(),
    ...range,
    as_of: Type.Optional(CalendarDate({ description: 'from the loans as reported for this date' })),
  }),
)
export type DefaultRateComputation = Static<typeof DefaultRateComputation>

export const DefaultRateComputed = named(
  'DefaultRateComputed',
  Type.Object({
    ...computed,
    segments: Type.Integer(),
    stored: Type.Integer({ description: 'rows written' }),
    replaced: Type.Integer({ description: 'rows of an earlier computation that they took the place of' }),
  }),
)
export type DefaultRateComputed = Static<typeof DefaultRateComputed>
