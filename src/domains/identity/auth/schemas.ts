import { type Static, Type } from '@sinclair/typebox'
import { Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'

const Email = () => Type.String({ minLength: 3, maxLength: 254, examples: ['alex@example.com'] })
const Password = () => Type.String({ minLength: 1, maxLength: 128, examples: ['Correct-Horse-7'] })
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
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export type User = Static<typeof User>

export const Registration = named(
  'Registration',
  Strict({
    email: Email(),
    password: Password(),
    username: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{2,49}$',
        maxLength: 50,
        description: '3 to 50 letters, digits, _ . -',
      }),
    ),
    full_name: Type.Optional(Text(200)),
    organization_name: Type.Optional(Text(200, { description: 'the organisation this user will own' })),
  }),
)
export type Registration = Static<typeof Registration>

/** The answer where addresses must be verified: the same for new and for known ones. */
export const RegistrationAccepted = named(
  'RegistrationAccepted',
  Type.Object({ status: StringEnum(['verification_required']) }),
)

export const Login = named(
  'Login',
  Strict({
    username: Type.String({
      minLength: 1,
      maxLength: 254,
      description: 'username or e-mail address',
      examples: ['alex@example.com'],
    }),
    password: Password(),
    remember_me: Type.Optional(Type.Boolean({ default: false, description: 'stay signed in for 30 days' })),
  }),
)
export type Login = Static<typeof Login>

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

export const ActiveOrganization = named(
  'ActiveOrganization',
  Type.Object({ id: Uuid(), name: Type.String(), code: Type.String() }),
)

export const Me = named(
  'Me',
  Type.Object({
    user: ref(User),
    organization: Type.Unsafe<Static<typeof ActiveOrganization> | null>({
      anyOf: [{ $ref: 'ActiveOrganization#' }, { type: 'null' }],
    }),
    roles: Type.Array(Type.String()),
    permissions: Type.Array(Type.String()),
  }),
)
export type Me = Static<typeof Me>
