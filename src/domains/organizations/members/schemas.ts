import { type SchemaOptions, type Static, Type } from '@sinclair/typebox'
import { bulkOf } from '../../../lib/bulk.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Email, Nullable, named, ref, Strict, Text, Timestamp, Uuid } from '../../../lib/schema.ts'

export const RoleName = (options: SchemaOptions = {}) =>
  Text(100, { description: "a built-in role, or one of the organisation's own", ...options })

/** The roles somebody is to have; permissions are their union. */
export const Roles = (options: SchemaOptions = {}) =>
  Type.Array(RoleName(), { minItems: 1, maxItems: 20, uniqueItems: true, ...options })

const anyRoles = { examples: [['member']] }

export const MemberEmail = () => Email({ examples: ['kim@example.com'] })

export const Member = named(
  'Member',
  Type.Object({
    id: Uuid({ description: 'of the membership' }),
    user_id: Uuid(),
    email: Type.String(),
    full_name: Nullable(Type.String()),
    roles: Type.Array(Type.String()),
    is_active: Type.Boolean({ description: 'whether the member may act in this organisation' }),
    managed: Type.Boolean({ description: 'the organisation made this account' }),
    version: Type.Integer(),
    created_at: Timestamp({ description: 'when the user joined' }),
    updated_at: Timestamp(),
  }),
)
export type Member = Static<typeof Member>

export const MemberPage = pageOf('MemberPage', ref(Member))

export const MemberQuery = pageQuery(['created_at'], {
  user_id: Type.Optional(Uuid()),
  role: Type.Optional(RoleName()),
  is_active: Type.Optional(Type.Boolean()),
  q: Type.Optional(Text(100, { description: 'part of the e-mail address or the name' })),
})
export type MemberQuery = Static<typeof MemberQuery>

export const MemberCreate = named('MemberCreate', Strict({ email: MemberEmail(), roles: Roles(anyRoles) }))
export type MemberCreate = Static<typeof MemberCreate>

export const MemberUpdate = named(
  'MemberUpdate',
  Strict({ roles: Type.Optional(Roles(anyRoles)), is_active: Type.Optional(Type.Boolean()) }),
)
export type MemberUpdate = Static<typeof MemberUpdate>

export const MemberRoles = named(
  'MemberRoles',
  Strict({ id: Uuid({ description: 'of the membership' }), roles: Roles(anyRoles) }),
)
export const MemberBulk = bulkOf('MemberBulk', ref(MemberRoles))
export type MemberBulk = Static<typeof MemberBulk>
