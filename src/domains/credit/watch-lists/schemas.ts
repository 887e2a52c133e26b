import { type Static, Type } from '@sinclair/typebox'
import { bulkOf } from '../../../lib/bulk.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { Loan, LoanFilters } from '../loans/schemas.ts'

/** Filters of the loan list; a loan that meets all of them is watched. */
export const WatchCriteria = named('WatchCriteria', Strict(LoanFilters, { minProperties: 1 }))
export type WatchCriteria = Static<typeof WatchCriteria>

const Criteria = () =>
  Nullable(ref(WatchCriteria), { description: 'filters of the loan list: whatever meets them is watched, too' })
const Name = () => Text(200, { examples: ['Thin collateral'] })
const writable = { description: Type.Optional(Nullable(Text(2_000))), criteria: Type.Optional(Criteria()) }

export const WatchListCreate = named('WatchListCreate', Strict({ name: Name(), ...writable }))
export type WatchListCreate = Static<typeof WatchListCreate>

export const WatchListUpdate = named('WatchListUpdate', Strict({ name: Type.Optional(Name()), ...writable }))
export type WatchListUpdate = Static<typeof WatchListUpdate>

const tracked = { version: Type.Integer(), created_at: Timestamp(), updated_at: Timestamp() }

export const WatchList = named(
  'WatchList',
  Type.Object({
    id: Uuid(),
    name: Type.String(),
    description: Nullable(Type.String()),
    criteria: Criteria(),
    ...tracked,
  }),
)

export const WatchListPage = pageOf('WatchListPage', ref(WatchList))

export const WatchListQuery = pageQuery(['created_at', 'name'], {
  q: Type.Optional(Text(100, { description: 'part of the name' })),
})
export type WatchListQuery = Static<typeof WatchListQuery>

const Reason = () => Type.Optional(Nullable(Text(2_000, { description: 'why the loan is watched' })))

export const WatchListEntryCreate = named('WatchListEntryCreate', Strict({ loan_id: Uuid(), reason: Reason() }))
export type WatchListEntryCreate = Static<typeof WatchListEntryCreate>

export const WatchListEntryBulk = bulkOf('WatchListEntryBulk', ref(WatchListEntryCreate))
export type WatchListEntryBulk = Static<typeof WatchListEntryBulk>

export const WatchListEntryUpdate = named(
  'WatchListEntryUpdate',
  Strict({ reason: Type.Optional(Nullable(Text(2_000, { examples: ['Payments are late'] }))) }),
)
export type WatchListEntryUpdate = Static<typeof WatchListEntryUpdate>

export const WatchListEntry = named(
  'WatchListEntry',
  Type.Object({
    id: Uuid(),
    watch_list_id: Uuid(),
    loan_id: Uuid(),
    reason: Nullable(Type.String()),
    added_by: Nullable(Uuid()),
    ...tracked,
  }),
)

export const WatchedLoan = named(
  'WatchedLoan',
  Type.Object({
    ...Loan.properties,
    meets_criteria: Type.Boolean({ description: 'watched because it meets the criteria' }),
    entry_id: Nullable(Uuid({ description: 'watched because somebody entered it' })),
    reason: Nullable(Type.String({ description: 'of the entry' })),
    added_by: Nullable(Uuid()),
    added_at: Nullable(Timestamp()),
  }),
)
export type WatchedLoan = Static<typeof WatchedLoan>

export const WatchedLoanPage = pageOf('WatchedLoanPage', ref(WatchedLoan))

export const WatchedLoanQuery = pageQuery(
  ['created_at', 'loan_number', 'borrower_name', 'balance', 'days_past_due'],
  {},
)
export type WatchedLoanQuery = Static<typeof WatchedLoanQuery>

export const EntryParams = Strict({ id: Uuid(), entry_id: Uuid() })
export type EntryParams = Static<typeof EntryParams>

export const watchListModels = [
  ...[WatchCriteria, WatchList, WatchListPage, WatchListCreate, WatchListUpdate],
  ...[WatchListEntry, WatchListEntryCreate, WatchListEntryUpdate, WatchListEntryBulk, WatchedLoan, WatchedLoanPage],
]
