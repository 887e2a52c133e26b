import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, named, Strict } from '../../../lib/schema.ts'
import { migrations, periodFilters } from '../transitions/schemas.ts'

export const RollRateQuery = Strict({
  from: Type.Optional(CalendarDate({ description: 'a reporting date; the last but one without it' })),
  to: Type.Optional(CalendarDate({ description: 'a later reporting date; the last without it' })),
  series: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'every two consecutive reporting dates between from and to, and their average; from the first without from',
    }),
  ),
  ...periodFilters,
})
export type RollRateQuery = Static<typeof RollRateQuery>

export const RollRates = named(
  'RollRates',
  Type.Object({
    ...migrations,
    bucket_edges: Type.Array(Type.Integer(), { description: 'days past due at which a bucket begins' }),
  }),
)
export type RollRates = Static<typeof RollRates>
