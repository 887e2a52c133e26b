import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, Currency, Nullable, named, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { segmentsMax } from '../book/rules.ts'
import { bookQuery, provenance, SegmentField } from '../book/schemas.ts'
import { describe, type FormulaName, formulas, type Unit } from './rules.ts'

/** A figure of the formula table as a decimal with 4 places. */
export const Amount = (name: FormulaName) => Type.String({ description: describe(name) })
/** A figure of the formula table as a decimal; null where it is unknown. */
export const Figure = (name: FormulaName) => Nullable(Amount(name))
/** A part of a whole; null where the whole is 0. */
export const Share = (description: string) =>
  Nullable(Type.String({ description: `${description}; decimal with 6 places` }))
export const Count = () => Type.Integer({ description: 'loans' })

/** What begins the answers about a book, and what stands behind their figures. */
export const head = {
  portfolio_id: Uuid(),
  currency: Currency({ description: 'of the portfolio, and so of every loan and amount' }),
  reference_date: CalendarDate({
    description:
      'ages and remaining months count from here: as_of, else the portfolio’s as_of, else today; without as_of no later than known_at',
  }),
}

/** The figures that there are for a portfolio and for a segment of it. */
const figures = {
  loan_count: Count(),
  original_principal: Amount('original_principal'),
  balance: Amount('balance'),
  commitment: Amount('commitment'),
  charged_off_amount: Amount('charged_off_amount'),
  recovered_amount: Amount('recovered_amount'),
  weighted_average_rate: Figure('weighted_average_rate'),
  weighted_average_remaining_months: Figure('weighted_average_remaining_months'),
  weighted_average_age_months: Figure('weighted_average_age_months'),
  weighted_average_pd_12m: Figure('weighted_average_pd_12m'),
  weighted_average_pd_lifetime: Figure('weighted_average_pd_lifetime'),
  weighted_average_lgd: Figure('weighted_average_lgd'),
  ead: Amount('ead'),
  el_12m: Figure('el_12m'),
  el_lifetime: Figure('el_lifetime'),
  expected_loss: Figure('expected_loss'),
  expected_loss_ead_share: Figure('expected_loss_ead_share'),
  par_30: Figure('par_30'),
  par_60: Figure('par_60'),
  par_90: Figure('par_90'),
  npl_balance: Amount('npl_balance'),
  npl_ratio: Figure('npl_ratio'),
  default_rate: Type.Object({
    by_count: Share('loans in default ÷ loans'),
    by_balance: Share('balance of loans in default ÷ balance'),
    by_original_principal: Share('original principal of loans in default ÷ original principal'),
  }),
  loss_rate: Figure('loss_rate'),
  recovery_rate: Figure('recovery_rate'),
}

/** Where a delinquency bucket begins and ends. */
export const bucket = {
  name: Type.String({ description: 'such as 30-59, 90+ or unknown' }),
  from: Nullable(Type.Integer({ description: 'days past due, included; null for unknown' })),
  to: Nullable(Type.Integer({ description: 'days past due, included; null for the last and for unknown' })),
}

export const PortfolioMetrics = named(
  'PortfolioMetrics',
  Type.Object({
    ...head,
    ...provenance,
    ...figures,
    delinquency: Type.Array(
      Type.Object({ ...bucket, count: Count(), balance: Amount('balance'), share: Share('of the balance') }),
      { description: describe('delinquency') },
    ),
    by_status: Type.Record(
      Type.String(),
      Type.Object({ count: Count(), original_principal: Amount('original_principal'), balance: Amount('balance') }),
    ),
    by_stage: Type.Array(
      Type.Object({
        stage: Nullable(Type.Integer({ description: 'IFRS 9 stage as the loans state it' })),
        count: Count(),
        balance: Amount('balance'),
        ead: Amount('ead'),
        expected_loss: Figure('expected_loss'),
        coverage: Figure('coverage'),
      }),
    ),
    top_borrowers: Type.Array(
      Type.Object({
        borrower: Type.String(),
        count: Count(),
        balance: Amount('balance'),
        share: Figure('top_borrowers'),
      }),
    ),
    hhi: Type.Record(Type.String(), Figure('hhi'), {
      description: 'by borrower, and by the field that hhi_by asks for',
    }),
  }),
)
export type PortfolioMetrics = Static<typeof PortfolioMetrics>

export const MetricsQuery = Strict({
  ...bookQuery,
  top: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 10, description: 'so many largest borrowers' })),
  hhi_by: Type.Optional(SegmentField()),
})
export type MetricsQuery = Static<typeof MetricsQuery>

const Segment = () => Nullable(Type.String({ description: 'null for loans that do not state the field' }))

export const SegmentMetrics = named(
  'SegmentMetrics',
  Type.Object({
    ...head,
    ...provenance,
    by: Type.String(),
    by2: Nullable(Type.String()),
    segment_count: Type.Integer({ description: 'segments that the loans fall into' }),
    segments: Type.Array(
      Type.Object({
        segment: Segment(),
        segment_2: Segment(),
        is_other: Type.Boolean({ description: 'the segments beyond limit, together' }),
        segments: Type.Integer({ description: 'segments in this row, 1 but for the others' }),
        balance_share: Share('of the balance'),
        ...figures,
      }),
      { description: 'the largest balance first, the others last' },
    ),
  }),
)
export type SegmentMetrics = Static<typeof SegmentMetrics>

export const SegmentsQuery = Strict({
  ...bookQuery,
  by: SegmentField({ examples: ['sector'] }),
  by2: Type.Optional(SegmentField()),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: segmentsMax,
      description: `folds what comes after so many segments into one; without it more than ${segmentsMax} are refused`,
    }),
  ),
})
export type SegmentsQuery = Static<typeof SegmentsQuery>

const units = ['amount', 'share', 'rate', 'months', 'count', 'index'] as const satisfies readonly Unit[]

export const Formulas = named(
  'Formulas',
  Type.Object({
    formula_version: Type.Integer(),
    formulas: Type.Array(
      Type.Object({
        name: StringEnum(Object.keys(formulas) as FormulaName[]),
        formula: Type.String(),
        unit: StringEnum(units),
        source: Type.String(),
        note: Nullable(Type.String({ description: 'edge cases' })),
        version: Type.Integer({ description: 'the formula version that brought or last changed it' }),
      }),
    ),
  }),
)
