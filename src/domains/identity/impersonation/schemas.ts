import { type Static, Type } from '@sinclair/typebox'
import { Nullable, named, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'

export const ImpersonationCreate = named(
  'ImpersonationCreate',
  Strict({
    reason: Text(500, { description: 'the audit trails keep it', examples: ['Ticket 4711: cannot see a portfolio'] }),
    minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, default: 15 })),
    organization_id: Type.Optional(Uuid({ description: 'one of his; by default the first he joined' })),
  }),
)
export type ImpersonationCreate = Static<typeof ImpersonationCreate>

export const Impersonation = named(
  'Impersonation',
  Type.Object({
    access_token: Type.String({ description: 'cannot be refreshed; POST /api/v1/auth/logout ends it early' }),
    token_type: StringEnum(['bearer']),
    expires_in: Type.Integer({ description: 'seconds' }),
    session_id: Uuid(),
    user_id: Uuid(),
    organization_id: Nullable(Uuid()),
    ends_at: Timestamp(),
  }),
)
export type Impersonation = Static<typeof Impersonation>
