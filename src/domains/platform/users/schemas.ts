import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Email, Nullable, named, Password, ref, Strict, Text, Timestamp, Username, Uuid } from '../../../lib/schema.ts'
import { bulkActionOf } from '../shared/schemas.ts'

const shown = {
  id: Uuid(),
  email: Type.String(),
  username: Nullable(Type.String()),
  full_name: Nullable(Type.String()),
  is_active: Type.Boolean({ description: 'false while suspended' }),
  is_superuser: Type.Boolean(),
  second_factor: Type.Boolean({ description: 'signs in with a second factor' }),
  email_verified_at: Nullable(Timestamp()),
  last_login_at: Nullable(Timestamp()),
  locale: Nullable(Type.String()),
  version: Type.Integer(),
  created_at: Timestamp(),
  updated_at: Timestamp(),
}

const Membership = Type.Object({
  organization_id: Uuid(),
  name: Type.String(),
  code: Type.String(),
  roles: Type.Array(Type.String()),
  is_active: Type.Boolean(),
})

export const PlatformUserSummary = named('PlatformUserSummary', Type.Object(shown))
export type PlatformUserSummary = Static<typeof PlatformUserSummary>

export const PlatformUser = named(
  'PlatformUser',
  Type.Object({ ...shown, memberships: Type.Array(Membership, { description: 'the organisations he belongs to' }) }),
)
export type PlatformUser = Static<typeof PlatformUser>

export const PlatformUserPage = pageOf('PlatformUserPage', ref(PlatformUserSummary))

export const PlatformUserCreate = named(
  'PlatformUserCreate',
  Strict({
    email: Email({ examples: ['kim@example.com'] }),
    password: Password(),
    username: Type.Optional(Username()),
    full_name: Type.Optional(Text(200)),
    organization_id: Type.Optional(Uuid({ description: 'the organisation he is made a member of' })),
    roles: Type.Optional(
      Type.Array(Text(100), { minItems: 1, maxItems: 20, uniqueItems: true, description: 'there; member by default' }),
    ),
  }),
)
export type PlatformUserCreate = Static<typeof PlatformUserCreate>

export const PlatformUserUpdate = named(
  'PlatformUserUpdate',
  Strict({
    username: Type.Optional(Nullable(Username())),
    full_name: Type.Optional(Nullable(Text(200, { examples: ['Kim Berg'] }))),
  }),
)
export type PlatformUserUpdate = Static<typeof PlatformUserUpdate>

export const PlatformUserQuery = pageQuery(['created_at', 'email', 'last_login_at'], {
  q: Type.Optional(Text(100, { description: 'part of the e-mail address, the username or the name' })),
  is_active: Type.Optional(Type.Boolean()),
  is_superuser: Type.Optional(Type.Boolean()),
  organization_id: Type.Optional(Uuid({ description: 'members of this organisation' })),
})
export type PlatformUserQuery = Static<typeof PlatformUserQuery>

export const PlatformUserBulk = bulkActionOf('PlatformUserBulk')
export type PlatformUserBulk = Static<typeof PlatformUserBulk>
