import { type Static, Type } from '@sinclair/typebox'
import { named, Password, Strict } from '../../../lib/schema.ts'
import { SecondFactorCode } from '../totp/schemas.ts'

export const StepUp = named(
  'StepUp',
  Strict(
    { password: Type.Optional(Password()), totp_code: Type.Optional(SecondFactorCode()) },
    { minProperties: 1, description: 'either the password or, where a second factor is set up, its code' },
  ),
)
export type StepUp = Static<typeof StepUp>

export const SteppedUp = named(
  'SteppedUp',
  Type.Object({ expires_in: Type.Integer({ description: 'seconds for which this session counts as proved' }) }),
)
