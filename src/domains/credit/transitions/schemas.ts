import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, Currency, Nullable, named, ref, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { bookQuery, provenance } from '../book/schemas.ts'

const { as_of: _, ...filters } = bookQuery

/** The filters of figures that compare dates. */
export const periodFilters = filters

const kinds = ['rating', 'status', 'stage'] as const
const policies = ['include', 'exclude', 'adjusted'] as const
export type Policy = (typeof policies)[number]

export const TransitionQuery = Strict({
  kind: Type.Optional(
    StringEnum(kinds, { default: 'rating', description: 'ratings of the history, or status or stage of snapshots' }),
  ),
  from: CalendarDate({ examples: ['2023-12-31'] }),
  to: CalendarDate({ examples: ['2024-12-31'] }),
  period_months: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 120,
      description: 'cut the time into periods of so many months (12: annual cohorts); one period without it',
    }),
  ),
  scale_id: Type.Optional(Uuid({ description: 'the rating scale; the portfolio’s without it' })),
  withdrawn: Type.Optional(
    StringEnum(policies, {
      default: 'include',
      description:
        'loans whose rating was withdrawn, or that are missing at the end: a column of their own, left out, or spread over the states of the others',
    }),
  ),
  ...periodFilters,
})
export type TransitionQuery = Static<typeof TransitionQuery>

const Amount = () => Nullable(Type.String({ description: 'decimal with 4 places' }))
const Shares = (basis: string) =>
  Type.Array(Nullable(Type.String()), { description: `of the row’s ${basis}, by state; 6 places, null of nothing` })

export const TransitionRow = named(
  'TransitionRow',
  Type.Object({
    state: Type.String({ description: 'at the beginning' }),
    loan_count: Type.Integer(),
    balance: Amount(),
    gone_count: Type.Integer({ description: 'loans withdrawn or missing at the end, whatever was done with them' }),
    counts: Type.Array(Type.Integer(), { description: 'loans by state at the end, in the order of `states`' }),
    balances: Type.Array(Amount(), { description: 'their balances at the beginning' }),
    shares_by_count: Shares('loans'),
    shares_by_balance: Shares('balance at the beginning'),
  }),
)

const Aside = (description: string) =>
  Type.Optional(Type.Object({ loan_count: Type.Integer(), balance: Amount() }, { description }))

export const TransitionPeriod = named(
  'TransitionPeriod',
  Type.Object({
    from: CalendarDate(),
    to: CalendarDate(),
    rows: Type.Array(ref(TransitionRow)),
    outside: Type.Object(
      {
        new: Aside('first there at the end; balance at the end'),
        closed: Aside('paid, sold or charged off at the beginning already'),
        unrated: Aside('originated, but not rated at the beginning'),
        withdrawn: Aside('without a rating at the beginning since it was withdrawn'),
      },
      { description: 'loans in no row, and why' },
    ),
  }),
)

/** What every figure that compares dates answers. */
export const migrations = {
  portfolio_id: Uuid(),
  currency: Currency(),
  from: CalendarDate(),
  to: CalendarDate(),
  states: Type.Array(Type.String(), { description: 'at the end: the columns' }),
  periods: Type.Array(ref(TransitionPeriod)),
  average: Type.Array(ref(TransitionRow), {
    description: 'all periods together: each weighs as many loans, or as much balance, as it began with',
  }),
  ...provenance,
  loan_count: Type.Integer({ description: 'loans in the rows; one counts once in each period' }),
}

export const TransitionMatrix = named(
  'TransitionMatrix',
  Type.Object({
    ...migrations,
    kind: StringEnum(kinds),
    scale_id: Nullable(Uuid()),
    withdrawn: StringEnum(policies),
    period_months: Nullable(Type.Integer()),
  }),
)
export type TransitionMatrix = Static<typeof TransitionMatrix>
