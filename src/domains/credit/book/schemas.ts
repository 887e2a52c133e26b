import { type SchemaOptions, type Static, Type } from '@sinclair/typebox'
import { CalendarDate, Nullable, Pattern, Timestamp } from '../../../lib/schema.ts'
import { LoanFilters, loanTime } from '../loans/schemas.ts'

const { portfolio_id: _, ...filters } = LoanFilters

/** Which loans of a portfolio a figure is made of: their state in time, and the filters of the loan list. */
export const bookQuery = {
  ...loanTime,
  ...filters,
}

/** The fields by which loans can be told apart into segments; beside them `attributes.<key>`. `borrower` is the group, else the name. */
const segmentFields = [
  'borrower',
  'borrower_name',
  'borrower_group',
  'product',
  'sector',
  'country',
  'state',
  'currency',
  'rate_type',
  'rate_index',
  'amortization',
  'payment_frequency',
  'security_type',
  'seniority',
  'status',
  'stage',
  'rating',
  'origination_year',
  'term_months',
] as const

const segmentWords = `${segmentFields.join(', ')}, or attributes.<key>`

/** A field of `segmentFields`, or `attributes.<key>`. */
export const SegmentField = (options: SchemaOptions = {}) =>
  Pattern(`^(${segmentFields.join('|')}|attributes\\.[^\\u0000]{1,100})$`, `one of ${segmentWords}`, {
    maxLength: 120,
    description: segmentWords,
    ...options,
  })

/** What stands behind every figure: the state of the book, the filter and the number of loans. */
export const provenance = {
  as_of: Nullable(CalendarDate({ description: 'the reporting date; null for the loans as they are' })),
  known_at: Nullable(Timestamp()),
  filter: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]), {
    description: 'the filters that were asked for',
  }),
  formula_version: Type.Integer({ description: 'raised when a formula changes' }),
  loan_count: Type.Integer({ description: 'loans behind the figures' }),
  computed_at: Timestamp(),
}

export const BookQuery = Type.Object(bookQuery)
export type BookQuery = Static<typeof BookQuery>
