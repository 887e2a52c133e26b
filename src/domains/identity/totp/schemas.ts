import { Type } from '@sinclair/typebox'
import { named, Pattern, Strict } from '../../../lib/schema.ts'

/** Six digits of the moment. */
const TotpCode = () =>
  Pattern('^[0-9]{6}$', 'six digits', { maxLength: 6, description: 'six digits', examples: ['123456'] })

/** Either kind of code. */
export const SecondFactorCode = () =>
  Pattern('^([0-9]{6}|[A-Za-z2-7]{5}-?[A-Za-z2-7]{5})$', 'six digits, or a recovery code', {
    maxLength: 11,
    description: 'the six digits of the moment, or a recovery code; each works once',
  })

export const TotpSetup = named(
  'TotpSetup',
  Type.Object({
    secret: Type.String({ description: 'base32, to be typed into an authenticator program' }),
    otpauth_uri: Type.String({ description: 'the same for its camera, as a QR code' }),
  }),
)

export const TotpConfirmation = named('TotpConfirmation', Strict({ code: TotpCode() }))

export const RecoveryCodes = named(
  'RecoveryCodes',
  Type.Object({
    recovery_codes: Type.Array(Type.String(), { description: 'shown this once; each stands for one code' }),
  }),
)
