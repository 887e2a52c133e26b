import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { CalendarDate, Nullable, named, ref, Strict, Timestamp, Uuid } from '../../../lib/schema.ts'
import { Loan, LoanFields } from '../loans/schemas.ts'

const { loan_number: _, ...fields } = LoanFields.properties

/** What is reported of a loan for a date: its fields but the number, which is the loan's. */
export const SnapshotFields = named('SnapshotFields', Strict(fields))
export type SnapshotFields = Static<typeof SnapshotFields>

export const SnapshotUpdate = named('SnapshotUpdate', Type.Partial(Strict(fields), { additionalProperties: false }))
export type SnapshotUpdate = Static<typeof SnapshotUpdate>

const { updated_at: _updated, ...ofLoan } = Loan.properties

export const Snapshot = named(
  'Snapshot',
  Type.Object({
    ...ofLoan,
    id: Uuid({ description: 'of this version of the snapshot' }),
    loan_id: Uuid(),
    as_of: CalendarDate(),
    version: Type.Integer({ description: 'raised by each correction of the date' }),
    known_from: Timestamp(),
    known_to: Nullable(Timestamp({ description: 'when it was corrected or taken back; null for what holds' })),
  }),
)

export const SnapshotPage = pageOf('SnapshotPage', ref(Snapshot))

export const SnapshotQuery = pageQuery(['as_of'], {
  known_at: Type.Optional(Timestamp({ description: 'as the database knew them at this moment' })),
})
export type SnapshotQuery = Static<typeof SnapshotQuery>

/** What was reported for a date, and how often that was corrected. */
export const ReportingDate = named(
  'ReportingDate',
  Type.Object({
    as_of: CalendarDate(),
    loan_count: Type.Integer({ description: 'loans reported for the date' }),
    balance: Type.String({ description: 'sum of their balances; decimal with 4 places' }),
    first_known_at: Timestamp({ description: 'when the oldest of what holds was recorded' }),
    last_known_at: Timestamp({ description: 'when the newest of what holds was recorded' }),
    corrections: Type.Integer({ description: 'snapshots of the date that hold no more' }),
  }),
)
export type ReportingDate = Static<typeof ReportingDate>

export const ReportingDatePage = pageOf('ReportingDatePage', ref(ReportingDate))

export const ReportingDateQuery = pageQuery(['as_of'], {})
export type ReportingDateQuery = Static<typeof ReportingDateQuery>

export const SnapshotParams = Strict({
  id: Uuid(),
  as_of: CalendarDate({ description: 'the reporting date', examples: ['2020-12-31'] }),
})
export type SnapshotParams = Static<typeof SnapshotParams>
