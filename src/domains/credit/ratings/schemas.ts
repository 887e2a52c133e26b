import { type Static, Type } from '@sinclair/typebox'
import { ratingTerms } from '../../../db/tables/ratings.ts'
import { bulkOf } from '../../../lib/bulk.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { CalendarDate, Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { Probability } from '../loans/schemas.ts'

const GradeName = (options: object = {}) =>
  Text(20, { description: 'of the scale; null for a withdrawal', examples: ['BBB'], ...options })
const ScaleId = () =>
  Uuid({
    description: 'the rating scale; the portfolio’s by default',
    examples: ['01890a5d-ac96-774b-bcce-b302099a8057'],
  })
const EffectiveFrom = () => CalendarDate({ description: 'the first day on which it holds', examples: ['2024-03-31'] })
const EffectiveTo = () => CalendarDate({ description: 'the first day on which it holds no more' })

/** What says more of a rating than its grade and its time. */
const remarks = {
  outlook: Type.Optional(Nullable(StringEnum(ratingTerms.outlook))),
  watch: Type.Optional(Nullable(StringEnum(ratingTerms.watch))),
  pd: Type.Optional(Nullable(Probability({ description: 'within a year, share of one; the grade’s by default' }))),
  reason: Type.Optional(Nullable(Text(2_000, { examples: ['annual review'] }))),
}

const given = {
  grade: Type.Optional(Nullable(GradeName())),
  effective_from: EffectiveFrom(),
  effective_to: Type.Optional(Nullable(EffectiveTo())),
  action: Type.Optional(
    StringEnum(ratingTerms.action, { description: 'follows from the rating before; only `withdraw` must be stated' }),
  ),
  ...remarks,
}

/** One row of a file of ratings. */
export const RatingRow = Strict({
  loan_number: Text(100, { description: 'of a loan of the portfolio', examples: ['1000014003'] }),
  ...given,
})

export const RatingCreate = named(
  'RatingCreate',
  Strict({ loan_id: Uuid(), scale_id: Type.Optional(ScaleId()), ...given }),
)
export type RatingCreate = Static<typeof RatingCreate>

export const RatingBulk = bulkOf('RatingBulk', ref(RatingCreate))
export type RatingBulk = Static<typeof RatingBulk>

export const RatingUpdate = named(
  'RatingUpdate',
  Strict({
    grade: Type.Optional(GradeName({ description: 'a correction; a withdrawal has none' })),
    effective_from: Type.Optional(EffectiveFrom()),
    ...remarks,
  }),
)
export type RatingUpdate = Static<typeof RatingUpdate>

export const Rating = named(
  'Rating',
  Type.Object({
    id: Uuid(),
    portfolio_id: Uuid(),
    loan_id: Uuid(),
    scale_id: Uuid(),
    grade: Nullable(Type.String({ description: 'null for a withdrawal' })),
    action: StringEnum(ratingTerms.action),
    outlook: Nullable(StringEnum(ratingTerms.outlook)),
    watch: Nullable(StringEnum(ratingTerms.watch)),
    effective_from: EffectiveFrom(),
    effective_to: Nullable(EffectiveTo()),
    pd: Nullable(Probability()),
    reason: Nullable(Type.String()),
    actor_id: Nullable(Uuid({ description: 'who entered it; null for an import’s' })),
    import_id: Nullable(Uuid({ description: 'the import that last wrote it' })),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export type Rating = Static<typeof Rating>

export const RatingPage = pageOf('RatingPage', ref(Rating))

export const RatingQuery = pageQuery(['created_at', 'effective_from'], {
  portfolio_id: Type.Optional(Uuid()),
  loan_id: Type.Optional(Uuid()),
  scale_id: Type.Optional(Uuid()),
  grade: Type.Optional(Text(20)),
  action: Type.Optional(StringEnum(ratingTerms.action)),
  effective_from_gte: Type.Optional(CalendarDate()),
  effective_from_lte: Type.Optional(CalendarDate()),
  current: Type.Optional(Type.Boolean({ description: 'whether it holds today' })),
})
export type RatingQuery = Static<typeof RatingQuery>

export const LoanRatings = named(
  'LoanRatings',
  Type.Object({ data: Type.Array(ref(Rating), { description: 'by scale and effective_from' }) }),
)

export const LoanRatingsQuery = Strict({ scale_id: Type.Optional(Uuid({ description: 'every scale without it' })) })

export const LoanRating = named(
  'LoanRating',
  Type.Object(
    {
      loan_id: Uuid(),
      on: CalendarDate(),
      scale_id: Nullable(Uuid({ description: 'null when none was asked for and the portfolio has none' })),
      rating_id: Nullable(Uuid()),
      grade: Nullable(Type.String()),
      action: Nullable(StringEnum(ratingTerms.action)),
      outlook: Nullable(StringEnum(ratingTerms.outlook)),
      watch: Nullable(StringEnum(ratingTerms.watch)),
      pd: Nullable(Probability()),
      effective_from: Nullable(CalendarDate()),
      effective_to: Nullable(CalendarDate()),
    },
    { description: 'the rating that held on a day; everything of it is null where none did' },
  ),
)
export type LoanRating = Static<typeof LoanRating>

export const LoanRatingQuery = Strict({
  on: Type.Optional(CalendarDate({ description: 'today without it' })),
  scale_id: Type.Optional(Uuid({ description: 'the portfolio’s without it' })),
})
export type LoanRatingQuery = Static<typeof LoanRatingQuery>
