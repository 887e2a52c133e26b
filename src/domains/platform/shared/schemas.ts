import { Type } from '@sinclair/typebox'
import { named, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'

/** The body of a request that does the same to many of a kind. */
export const bulkActionOf = (id: string) =>
  named(
    id,
    Strict({
      action: StringEnum(['suspend', 'restore', 'delete'], { examples: ['restore'] }),
      ids: Type.Array(Uuid(), {
        minItems: 1,
        maxItems: 1_000,
        uniqueItems: true,
        examples: [['00000000-0000-7000-8000-000000000000']],
      }),
      atomic: Type.Optional(
        Type.Boolean({ default: false, description: 'all or none; otherwise each succeeds or fails by itself' }),
      ),
    }),
  )
