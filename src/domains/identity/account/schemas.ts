import { type Static, Type } from '@sinclair/typebox'
import { Email, named, Password, Strict, StringEnum } from '../../../lib/schema.ts'

const Address = () => Email({ examples: ['alex@example.com'] })
const Token = () =>
  Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'from the link that was mailed',
    examples: ['0Yk3vXq7wZ2mB5nR8tJ1cL4fD6gH9sPaQeUiOyTrEwK'],
  })

/** An address to which mail may go; the answer does not tell whether it will. */
export const MailRequest = named('MailRequest', Strict({ email: Address() }))

export const MailRequestAccepted = named(
  'MailRequestAccepted',
  Type.Object({ status: StringEnum(['accepted'], { description: 'mail goes out if there is something to send' }) }),
)

export const EmailVerification = named('EmailVerification', Strict({ token: Token() }))

export const PasswordReset = named('PasswordReset', Strict({ token: Token(), password: Password() }))

export const PasswordChange = named(
  'PasswordChange',
  Strict({
    current_password: Type.Optional(
      Password({ description: 'may be left out within ten minutes of POST /auth/step-up' }),
    ),
    new_password: Password(),
  }),
)
export type PasswordChange = Static<typeof PasswordChange>

export const EmailChange = named('EmailChange', Strict({ email: Address() }))

export const EmailConfirmation = named('EmailConfirmation', Strict({ token: Token() }))
