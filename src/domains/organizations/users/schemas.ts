import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { builtInRoles } from '../roles/rules.ts'

export const OrganizationUser = named(
  'OrganizationUser',
  Type.Object({
    id: Uuid(),
    email: Type.String(),
    username: Nullable(Type.String()),
    full_name: Nullable(Type.String()),
    is_active: Type.Boolean(),
    roles: Type.Array(Type.String()),
    last_login_at: Nullable(Timestamp()),
    created_at: Timestamp({ description: 'when the user joined this organisation' }),
  }),
)
export type OrganizationUser = Static<typeof OrganizationUser>

export const OrganizationUserPage = pageOf('OrganizationUserPage', ref(OrganizationUser))

export const OrganizationUserCreate = named(
  'OrganizationUserCreate',
  Strict({
    email: Type.String({ minLength: 3, maxLength: 254, examples: ['kim@example.com'] }),
    password: Type.String({ minLength: 1, maxLength: 128, examples: ['Correct-Horse-7'] }),
    role: StringEnum(builtInRoles, { examples: ['member'] }),
    full_name: Type.Optional(Text(200)),
  }),
)
export type OrganizationUserCreate = Static<typeof OrganizationUserCreate>

export const OrganizationUserQuery = pageQuery(['created_at'], {
  q: Type.Optional(Text(100, { description: 'part of the e-mail address or the name' })),
})
export type OrganizationUserQuery = Static<typeof OrganizationUserQuery>
