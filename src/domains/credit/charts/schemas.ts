import { type Static, Type } from '@sinclair/typebox'
import { CalendarDate, named, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { bookQuery, SegmentField } from '../book/schemas.ts'

const chartNames = ['delinquency', 'vintage', 'roll-rate', 'concentration', 'rating'] as const
export type ChartName = (typeof chartNames)[number]

export const ChartParams = Strict({ id: Uuid(), name: StringEnum(chartNames) })

/** What a chart can be asked beside the loans it is made of, by chart. */
const parameters = {
  cohort: StringEnum(['year', 'quarter', 'month'], { description: 'vintage: length of a cohort, year without it' }),
  measure: StringEnum(['default', 'loss', 'prepayment'], { description: 'vintage: default without it' }),
  months_max: Type.Integer({ minimum: 1, maximum: 600, description: 'vintage: the last age, 120 without it' }),
  basis: StringEnum(['count', 'balance'], {
    description:
      'vintage, roll-rate: shares of loans or of amounts; without it balance for losses, and for roll-rate where any is known',
  }),
  from: CalendarDate({ description: 'roll-rate: a reporting date, the last but one without it' }),
  to: CalendarDate({ description: 'roll-rate: a later reporting date, the last without it' }),
  by: SegmentField(),
  top: Type.Integer({ minimum: 1, maximum: 50, description: 'concentration: so many segments, 10 without it' }),
}

const { as_of, ...filters } = bookQuery
const common = Object.keys(filters)
/** The parameters that each chart takes. */
export const takenBy: Record<ChartName, readonly string[]> = {
  delinquency: ['as_of', ...common],
  vintage: ['as_of', 'cohort', 'measure', 'months_max', 'basis', ...common],
  'roll-rate': ['from', 'to', 'basis', ...common],
  concentration: ['as_of', 'by', 'top', ...common],
  rating: ['as_of', ...common],
}

export const ChartQuery = Strict({ as_of, ...Type.Partial(Type.Object(parameters)).properties, ...filters })
export type ChartQuery = Static<typeof ChartQuery>

export const ChartSpec = named(
  'ChartSpec',
  Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description: 'a Vega-Lite specification with its data inside',
  }),
)
