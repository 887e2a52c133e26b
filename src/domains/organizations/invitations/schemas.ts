import { type Static, Type } from '@sinclair/typebox'
import { bulkOf } from '../../../lib/bulk.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { MemberEmail, Roles } from '../members/schemas.ts'

const statuses = ['pending', 'accepted', 'declined', 'cancelled', 'expired'] as const

export const Invitation = named(
  'Invitation',
  Type.Object({
    id: Uuid(),
    email: Type.String(),
    roles: Type.Array(Type.String()),
    status: StringEnum(statuses),
    invited_by: Nullable(Uuid({ description: 'a user' })),
    expires_at: Timestamp(),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export type Invitation = Static<typeof Invitation>

export const InvitationPage = pageOf('InvitationPage', ref(Invitation))

export const InvitationQuery = pageQuery(['created_at'], {
  status: Type.Optional(StringEnum(statuses)),
  email: Type.Optional(Text(254)),
})
export type InvitationQuery = Static<typeof InvitationQuery>

export const InvitationCreate = named(
  'InvitationCreate',
  Strict({ email: MemberEmail(), roles: Roles({ examples: [['member']] }) }),
)
export type InvitationCreate = Static<typeof InvitationCreate>

export const InvitationBulk = bulkOf('InvitationBulk', ref(InvitationCreate))
export type InvitationBulk = Static<typeof InvitationBulk>

/** What the mailed link holds. */
export const InvitationToken = named(
  'InvitationToken',
  Strict({ token: Type.String({ minLength: 1, maxLength: 200, examples: ['the token of the mailed link'] }) }),
)

export const InvitationAccepted = named(
  'InvitationAccepted',
  Type.Object({
    organization_id: Uuid({ description: 'the organisation joined; POST /auth/switch-organization makes it active' }),
    roles: Type.Array(Type.String()),
  }),
)
export type InvitationAccepted = Static<typeof InvitationAccepted>
