import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, named, Timestamp } from '../../../lib/schema.ts'

const Count = (description?: string) => Type.Integer(description === undefined ? {} : { description })

export const PlatformStatistics = named(
  'PlatformStatistics',
  Type.Object({
    users: Type.Object({ total: Count(), active: Count(), superusers: Count(), second_factor: Count() }),
    organizations: Type.Object({ active: Count(), suspended: Count(), deleted: Count() }),
    sessions: Count('live ones'),
    api_keys: Count('live ones'),
    events_per_day: Type.Array(Type.Object({ day: CalendarDate(), events: Type.Integer() }), {
      description: 'of the audit trails, for the last seven days (UTC)',
    }),
    audit_unsealed: Count('events that are not in a hash chain yet'),
    mail: Type.Object({ waiting: Count(), failed: Count() }),
    imports: Type.Record(Type.String(), Type.Integer(), { description: 'status → how many' }),
    database_bytes: Count(),
    measured_at: Timestamp(),
  }),
)
export type PlatformStatistics = Static<typeof PlatformStatistics>
