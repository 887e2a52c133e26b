import { type Static, Type } from '@sinclair/typebox'
import { Locale, Nullable, named, ref, Strict, Text, Username, Uuid } from '../../../lib/schema.ts'
import { User } from '../auth/schemas.ts'

export const ActiveOrganization = named(
  'ActiveOrganization',
  Type.Object({ id: Uuid(), name: Type.String(), code: Type.String() }),
)

export const Me = named(
  'Me',
  Type.Object({
    user: ref(User),
    organization: Nullable(ref(ActiveOrganization)),
    roles: Type.Array(Type.String()),
    permissions: Type.Array(Type.String()),
    session_id: Nullable(Uuid({ description: 'UUID; null for an API key' })),
    totp_enabled: Type.Boolean({ description: 'whether the user has a second factor' }),
    impersonated_by: Nullable(Uuid({ description: 'UUID of the superuser who acts as the user' })),
  }),
)
export type Me = Static<typeof Me>

export const UserUpdate = named(
  'UserUpdate',
  Strict({
    full_name: Type.Optional(Nullable(Text(200, { examples: ['Alex Kim'] }))),
    username: Type.Optional(Nullable(Username())),
    locale: Type.Optional(Nullable(Locale({ description: 'language tag, such as en or pt-BR' }))),
  }),
)
export type UserUpdate = Static<typeof UserUpdate>
