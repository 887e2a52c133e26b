import { type Static, Type } from '@sinclair/typebox'
import { named, Password, Strict, StringEnum } from '../../../lib/schema.ts'
import { SecondFactorCode } from '../totp/schemas.ts'

/** One model for both content types, so that no Content-Type leads past it. */
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
    totp_code: Type.Optional(SecondFactorCode()),
    remember_me: Type.Optional(Type.Boolean({ default: false, description: 'stay signed in for 30 days' })),
    grant_type: Type.Optional(
      StringEnum(['password'], { description: 'of the OAuth2 password form, as the next three' }),
    ),
    scope: Type.Optional(Type.String({ maxLength: 1_000, description: 'ignored' })),
    client_id: Type.Optional(Type.String({ maxLength: 1_000, description: 'ignored' })),
    client_secret: Type.Optional(Type.String({ maxLength: 1_000, description: 'ignored' })),
  }),
)
export type Login = Static<typeof Login>
