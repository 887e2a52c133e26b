import type { Static } from '@sinclair/typebox'
import { CalendarDate, Strict } from '../../../../lib/schema.ts'
import { LoanFields } from '../../loans/schemas.ts'

/** A row of a file of snapshots: a loan as it was reported for a date. */
export const SnapshotRow = Strict({
  as_of: CalendarDate({ description: 'the reporting date', examples: ['2020-12-31'] }),
  ...LoanFields.properties,
})
export type SnapshotRow = Static<typeof SnapshotRow>
