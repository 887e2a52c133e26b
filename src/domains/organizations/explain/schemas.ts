import { type Static, Type } from '@sinclair/typebox'
import { Nullable, named, Strict, StringEnum, Text, Uuid } from '../../../lib/schema.ts'

export const ExplanationQuery = Strict({
  action: Text(100, { description: 'a permission or an operationId of this document', examples: ['credit:read'] }),
  user_id: Type.Optional(Uuid({ description: 'another member, for whoever has members:read; oneself by default' })),
})

const reasonKinds = ['role', 'custom_role', 'superuser', 'key', 'policy', 'state'] as const

export const Explanation = named(
  'Explanation',
  Type.Object({
    allowed: Type.Boolean(),
    action: Type.String(),
    permission: Nullable(Type.String({ description: 'what the action asks for; null where it is open to everybody' })),
    user_id: Uuid(),
    organization_id: Nullable(Uuid()),
    rule: Type.String({ description: 'the rule that decides, as a sentence' }),
    because: Type.Array(Type.Object({ kind: StringEnum(reasonKinds), name: Type.String(), grants: Type.Boolean() }), {
      description: 'everything that was looked at, and whether it speaks for the action',
    }),
  }),
)
export type Explanation = Static<typeof Explanation>
