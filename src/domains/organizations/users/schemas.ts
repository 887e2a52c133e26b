import { type Static, Type } from '@sinclair/typebox'
import { bulkOf } from '../../../lib/bulk.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Locale, Nullable, named, Password, ref, Strict, Text, Timestamp, Username, Uuid } from '../../../lib/schema.ts'
import { MemberEmail, RoleName, Roles } from '../members/schemas.ts'

export const OrganizationUser = named(
  'OrganizationUser',
  Type.Object({
    id: Uuid(),
    email: Type.String(),
    username: Nullable(Type.String()),
    full_name: Nullable(Type.String()),
    locale: Nullable(Type.String()),
    is_active: Type.Boolean({ description: 'the account is active, and so is its membership in this organisation' }),
    roles: Type.Array(Type.String()),
    managed: Type.Boolean({ description: 'the organisation made this account' }),
    email_verified_at: Nullable(Timestamp({ description: 'since when he is known to read the mail of his address' })),
    last_login_at: Nullable(Timestamp()),
    version: Type.Integer(),
    created_at: Timestamp({ description: 'when the user joined this organisation' }),
    updated_at: Timestamp({ description: 'of the account or the membership, whichever changed last' }),
  }),
)
export type OrganizationUser = Static<typeof OrganizationUser>

export const OrganizationUserPage = pageOf('OrganizationUserPage', ref(OrganizationUser))

export const OrganizationUserCreate = named(
  'OrganizationUserCreate',
  Strict({
    email: MemberEmail(),
    password: Password(),
    role: RoleName({ examples: ['member'] }),
    username: Type.Optional(Username()),
    full_name: Type.Optional(Text(200)),
  }),
)
export type OrganizationUserCreate = Static<typeof OrganizationUserCreate>

export const OrganizationUserUpdate = named(
  'OrganizationUserUpdate',
  Strict({
    full_name: Type.Optional(Nullable(Text(200, { examples: ['Kim Park'] }))),
    username: Type.Optional(Nullable(Username())),
    locale: Type.Optional(Nullable(Locale({ description: 'BCP 47, as in de-AT' }))),
    password: Type.Optional(
      Password({
        examples: undefined,
        description: 'of an account your organisation manages, until its holder has verified its address',
      }),
    ),
    roles: Type.Optional(Roles({ description: 'in this organisation' })),
    is_active: Type.Optional(Type.Boolean({ description: 'of the membership in this organisation' })),
  }),
)
export type OrganizationUserUpdate = Static<typeof OrganizationUserUpdate>

export const UserChange = named(
  'UserChange',
  Strict(
    {
      id: Uuid({ description: 'of the user' }),
      is_active: Type.Optional(Type.Boolean({ examples: [false] })),
      roles: Type.Optional(Roles()),
      delete: Type.Optional(
        Type.Boolean({ description: 'as DELETE /users/{id} does; other changes are left out then' }),
      ),
    },
    { minProperties: 2 },
  ),
)
export const UserBulk = bulkOf('UserBulk', ref(UserChange))
export type UserBulk = Static<typeof UserBulk>

export const OrganizationUserQuery = pageQuery(['created_at'], {
  is_active: Type.Optional(Type.Boolean()),
  role: Type.Optional(RoleName()),
  q: Type.Optional(Text(100, { description: 'part of the e-mail address, the username or the name' })),
})
export type OrganizationUserQuery = Static<typeof OrganizationUserQuery>
