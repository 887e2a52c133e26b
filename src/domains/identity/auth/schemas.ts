import { type Static, Type } from '@sinclair/typebox'
import {
  Email,
  Nullable,
  named,
  Password,
  Strict,
  StringEnum,
  Text,
  Timestamp,
  Username,
  Uuid,
} from '../../../lib/schema.ts'

const Token = () => Type.String({ minLength: 1, maxLength: 200 })

export const User = named(
  'User',
  Type.Object({
    id: Uuid(),
    email: Type.String(),
    username: Nullable(Type.String()),
    full_name: Nullable(Type.String()),
    is_active: Type.Boolean(),
    is_superuser: Type.Boolean(),
    email_verified_at: Nullable(Timestamp()),
    last_login_at: Nullable(Timestamp()),
    locale: Nullable(Type.String()),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export type User = Static<typeof User>

export const Registration = named(
  'Registration',
  Strict({
    email: Email({ examples: ['alex@example.com'] }),
    password: Password(),
    username: Type.Optional(Username()),
    full_name: Type.Optional(Text(200)),
    organization_name: Type.Optional(
      Text(200, { description: 'the organisation this user will own; not with an invitation' }),
    ),
    invitation_token: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: 'from an invitation: joins that organisation, and verifies the address',
      }),
    ),
  }),
)
export type Registration = Static<typeof Registration>

/** The answer where addresses must be verified: the same for new and for known ones. */
export const RegistrationAccepted = named(
  'RegistrationAccepted',
  Type.Object({ status: StringEnum(['verification_required']) }),
)

export const RefreshRequest = named('RefreshRequest', Strict({ refresh_token: Token() }))

export const Tokens = named(
  'Tokens',
  Type.Object({
    access_token: Type.String(),
    refresh_token: Type.String({ description: 'for one use: each refresh gives the next one' }),
    token_type: StringEnum(['bearer']),
    expires_in: Type.Integer({ description: 'seconds until the access token expires' }),
  }),
)
export type Tokens = Static<typeof Tokens>
