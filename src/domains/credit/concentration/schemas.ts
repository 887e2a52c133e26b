import { type Static, Type } from '@sinclair/typebox'
import { Nullable, named, Pattern, Strict } from '../../../lib/schema.ts'
import { bookQuery, provenance, SegmentField } from '../book/schemas.ts'
import { Amount, Count, Figure, head } from '../metrics/schemas.ts'

/** So many names beyond a limit are listed; all are counted. */
export const exceedingMax = 100

const ranked = {
  segment: Nullable(Type.String({ description: 'null for loans that do not state the field' })),
  count: Count(),
  balance: Amount('balance'),
  share: Figure('top_borrowers'),
}
const { reference_date: _, ...identity } = head

export const Concentration = named(
  'Concentration',
  Type.Object({
    ...identity,
    ...provenance,
    by: Type.String(),
    balance: Amount('balance'),
    segment_count: Type.Integer({ description: 'segments with a balance above 0: those which have shares' }),
    top: Type.Array(Type.Object({ rank: Type.Integer(), ...ranked, cumulative_share: Figure('cumulative_share') }), {
      description: 'the largest balance first',
    }),
    hhi: Figure('hhi'),
    hhi_10000: Figure('hhi_10000'),
    effective_number: Figure('effective_number'),
    gini: Figure('gini'),
    lorenz: Type.Array(
      Type.Object({
        segments: Type.String({ description: 'share of the segments, the smallest first; decimal with 6 places' }),
        balance: Type.String({ description: 'their share of the balance; decimal with 6 places' }),
      }),
      { description: 'points of the Lorenz curve from 0 to 1, at most 21' },
    ),
    limit: Nullable(
      Type.Object(
        {
          share: Type.String(),
          exceeded_by: Type.Integer({ description: 'segments whose share is above it' }),
          segments: Type.Array(Type.Object(ranked), { description: `the largest ${exceedingMax} of them` }),
        },
        { description: 'null without limit_share' },
      ),
    ),
  }),
)
export type Concentration = Static<typeof Concentration>

export const ConcentrationQuery = Strict({
  ...bookQuery,
  by: Type.Optional(SegmentField({ default: 'borrower' })),
  top: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'so many largest segments' })),
  limit_share: Type.Optional(
    Pattern('^(0(\\.[0-9]{1,6})?|1(\\.0{1,6})?)$', 'a share from 0 to 1 with at most 6 places, such as 0.1', {
      maxLength: 8,
      description: 'a limit on the share of one name, such as 0.1 for 10%: which exceed it',
    }),
  ),
})
export type ConcentrationQuery = Static<typeof ConcentrationQuery>
