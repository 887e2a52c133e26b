import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, Pattern, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { faultReasons } from './rules.ts'

const Fields = (description: string) =>
  Type.Unsafe<Record<string, unknown> | null>({ type: ['object', 'null'], additionalProperties: true, description })

const Hash = (description: string) =>
  Pattern('^[0-9a-f]{64}$', '64 hexadecimal digits in lower case', {
    maxLength: 64,
    description: `SHA-256, hexadecimal; ${description}`,
  })

export const AuditEvent = named(
  'AuditEvent',
  Type.Object({
    id: Uuid(),
    created_at: Timestamp(),
    organization_id: Nullable(Uuid({ description: "whose trail it is in; null for the platform's own" })),
    action: Type.String({ description: 'subject and verb: loan.created' }),
    subject_type: Type.String(),
    subject_id: Nullable(Uuid()),
    actor_id: Nullable(Uuid({ description: 'who acted; null for nobody who is known' })),
    actor_email: Nullable(Type.String({ description: 'as it is now; null where the account is gone' })),
    impersonator_id: Nullable(Uuid({ description: 'the superuser who acted as actor_id' })),
    api_key_id: Nullable(Uuid({ description: 'the key by which its maker, actor_id, acted' })),
    before: Fields('what changed, as it was'),
    after: Fields('what changed, as it became'),
    request_id: Nullable(Type.String()),
    ip: Nullable(Type.String()),
    sealed: Nullable(
      Type.Object(
        { seq: Type.Integer(), hash: Hash('of this event and the hash before it') },
        { description: "its place in the organisation's chain; null until it is sealed, within a second" },
      ),
    ),
  }),
)
export type AuditEvent = Static<typeof AuditEvent>

export const AuditEventPage = pageOf('AuditEventPage', ref(AuditEvent))

const filters = {
  action: Type.Optional(Text(100)),
  subject_type: Type.Optional(Text(100)),
  subject_id: Type.Optional(Uuid()),
  actor_id: Type.Optional(Uuid()),
  api_key_id: Type.Optional(Uuid()),
  request_id: Type.Optional(Text(64)),
  ip: Type.Optional(Text(64)),
  created_at_gte: Type.Optional(Timestamp()),
  created_at_lte: Type.Optional(Timestamp()),
  q: Type.Optional(Text(100, { description: "part of the action or of the actor's e-mail address" })),
}

export const AuditEventQuery = pageQuery(['created_at'], filters)
export type AuditEventQuery = Static<typeof AuditEventQuery>

const organization_id = Type.Optional(Uuid({ description: "whose trail; the platform's own where it is left out" }))

export const PlatformAuditEventQuery = pageQuery(['created_at'], { ...filters, organization_id })

const anchor = {
  anchor_seq: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  anchor_hash: Type.Optional(Hash('the head that an earlier verification gave, with its anchor_seq')),
}

export const VerificationQuery = Strict(anchor)
export type VerificationQuery = Static<typeof VerificationQuery>

export const PlatformVerificationQuery = Strict({ ...anchor, organization_id })

export const AuditVerification = named(
  'AuditVerification',
  Type.Object({
    valid: Type.Boolean(),
    events: Type.Integer({ description: 'events there are' }),
    sealed: Type.Integer({ description: 'those in the chain' }),
    unsealed: Type.Integer({ description: 'those that wait for their seal, for a second or so' }),
    head: Type.Object(
      { seq: Type.Integer(), hash: Hash('zeros for an empty chain') },
      { description: 'the newest seal: keep it elsewhere, and give it as the anchor next time' },
    ),
    first_fault: Nullable(
      Type.Object({
        seq: Nullable(Type.Integer()),
        event_id: Nullable(Uuid()),
        reason: StringEnum(faultReasons),
      }),
    ),
  }),
)
export type AuditVerification = Static<typeof AuditVerification>
