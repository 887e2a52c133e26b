import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, Nullable, named, Strict } from '../../../lib/schema.ts'
import { bookQuery, provenance } from '../book/schemas.ts'
import { Amount, bucket, Count, Figure, head, Share } from '../metrics/schemas.ts'

/** So many reporting dates a series holds at most, the newest. */
export const datesMax = 500

const date = {
  loan_count: Count(),
  balance: Amount('balance'),
  past_due_amount: Amount('past_due_amount'),
  buckets: Type.Array(
    Type.Object({
      ...bucket,
      count: Count(),
      balance: Amount('balance'),
      past_due_amount: Amount('past_due_amount'),
      share_by_count: Share('of the loans'),
      share_by_balance: Share('of the balance'),
    }),
    { description: 'all buckets of the portfolio, those without loans too' },
  ),
  par_30: Figure('par_30'),
  par_60: Figure('par_60'),
  par_90: Figure('par_90'),
}

const { reference_date: _, ...identity } = head

export const Delinquency = named(
  'Delinquency',
  Type.Object({
    ...identity,
    ...provenance,
    dates: Type.Array(
      Type.Object({ as_of: Nullable(CalendarDate({ description: 'null for the loans as they are' })), ...date }),
      { description: 'one, or with series one for each reporting date, the oldest first' },
    ),
  }),
)
export type Delinquency = Static<typeof Delinquency>

export const DelinquencyQuery = Strict({
  ...bookQuery,
  series: Type.Optional(
    Type.Boolean({
      default: false,
      description: `every reporting date up to as_of, the newest ${datesMax}; loan_count then counts loans times dates`,
    }),
  ),
})
export type DelinquencyQuery = Static<typeof DelinquencyQuery>
