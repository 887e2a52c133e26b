import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import {
  CalendarDate,
  Currency,
  Decimal,
  Nullable,
  named,
  Pattern,
  ref,
  Strict,
  Text,
  Timestamp,
  Uuid,
  uuidPattern,
} from '../../../lib/schema.ts'
import { bookQuery, provenance } from '../book/schemas.ts'

const Multiplier = (of: string) => Decimal(3, 6, { description: `${of} is multiplied by it, 0 to 999.999999` })
const Shift = (of: string) =>
  Pattern('^-?(0(\\.[0-9]{1,8})?|1(\\.0{1,8})?)$', 'a share from -1 to 1 with at most 8 places, such as 0.1', {
    maxLength: 11,
    description: `is then added to ${of}: share of one, -1 to 1`,
  })

const shocks = {
  pd_multiplier: Multiplier('each PD'),
  pd_shift: Shift('each PD'),
  lgd_multiplier: Multiplier('each LGD'),
  lgd_shift: Shift('each LGD'),
  rate_shift: Shift('the interest rate of loans at a floating rate'),
}

export const Shocks = named('Shocks', Type.Object(shocks))
export type Shocks = Static<typeof Shocks>

/** Shocks as they are asked for: what is left out changes nothing. */
export const ShocksInput = named(
  'ShocksInput',
  Type.Partial(Strict(shocks), {
    additionalProperties: false,
    minProperties: 1,
    examples: [{ pd_multiplier: '2', lgd_shift: '0.1', rate_shift: '0.02' }],
  }),
)
export type ShocksInput = Static<typeof ShocksInput>

const Name = () => Text(200, { description: 'unique in the organisation', examples: ['Severe recession'] })
const description = Type.Optional(Nullable(Text(2_000)))

export const StressScenarioCreate = named(
  'StressScenarioCreate',
  Strict({ name: Name(), description, shocks: ref(ShocksInput) }),
)
export type StressScenarioCreate = Static<typeof StressScenarioCreate>

export const StressScenarioUpdate = named(
  'StressScenarioUpdate',
  Strict({ name: Type.Optional(Name()), description, shocks: Type.Optional(ref(ShocksInput)) }),
)
export type StressScenarioUpdate = Static<typeof StressScenarioUpdate>

export const StressScenario = named(
  'StressScenario',
  Type.Object({
    id: Uuid(),
    name: Type.String(),
    description: Nullable(Type.String()),
    shocks: ref(Shocks),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export const StressScenarioPage = pageOf('StressScenarioPage', ref(StressScenario))

export const StressScenarioQuery = pageQuery(['created_at', 'name'], {
  name: Type.Optional(Text(200)),
  q: Type.Optional(Text(100, { description: 'part of the name or the description' })),
})
export type StressScenarioQuery = Static<typeof StressScenarioQuery>

const { as_of, known_at, ...filters } = bookQuery

export const StressCreate = named(
  'StressCreate',
  Strict({
    name: Type.Optional(
      Text(200, { description: 'of the run; the scenario’s without it', examples: ['Year-end stress'] }),
    ),
    scenario_id: Type.Optional(Uuid({ description: 'the scenario whose shocks apply' })),
    shocks: Type.Optional(
      Type.Unsafe<ShocksInput>({
        ...ref(ShocksInput),
        description: 'without a scenario, or in place of some of its own',
        examples: [{ pd_multiplier: '2' }],
      }),
    ),
    as_of,
    known_at,
    filter: Type.Optional(Strict(filters, { description: 'filters of the loan list' })),
  }),
)
export type StressCreate = Static<typeof StressCreate>

const Amount = (description: string) => Type.String({ description: `${description}; decimal with 4 places` })
const Loss = (pd: string) => Nullable(Amount(`Σ ${pd} × LGD × EAD over the loans that state them, null without any`))
const Average = (of: string) =>
  Nullable(Type.String({ description: `Σ balance × ${of} ÷ Σ balance over the loans that state it; 6 places` }))

const figures = {
  ead: Amount('Σ drawn + CCF × undrawn'),
  el_12m: Loss('PD of 12 months'),
  el_lifetime: Loss('lifetime PD'),
  expected_loss: Loss('PD of the IFRS 9 stage'),
  weighted_average_pd_12m: Average('PD of 12 months'),
  weighted_average_pd_lifetime: Average('lifetime PD'),
  weighted_average_lgd: Average('LGD'),
  interest_income: Amount('Σ balance × interest rate, of one year'),
}

/** The figures of a stress test before it, after it, or the difference. */
export const StressFigures = named('StressFigures', Type.Object(figures))
export type StressFigures = Static<typeof StressFigures>

export const StressResult = named(
  'StressResult',
  Type.Object({
    currency: Currency(),
    baseline: ref(StressFigures),
    stressed: ref(StressFigures),
    change: ref(StressFigures),
    without_parameters: Type.Integer({
      description: 'loans of which no PD or LGD is known, so that expected_loss leaves them out',
    }),
    floating_count: Type.Integer({ description: 'loans whose rate was shifted' }),
    capped_count: Type.Integer({
      description: 'loans of which a shocked PD or LGD was cut to 0, to 1, or to an LGD above it',
    }),
  }),
)
export type StressResult = Static<typeof StressResult>

export const StressRun = named(
  'StressRun',
  Type.Object({
    id: Uuid(),
    portfolio_id: Uuid(),
    scenario_id: Nullable(Uuid()),
    name: Type.String(),
    shocks: ref(Shocks),
    ...provenance,
    result: ref(StressResult),
    created_by: Nullable(Uuid()),
    version: Type.Integer(),
    created_at: Timestamp(),
  }),
)
export type StressRun = Static<typeof StressRun>
export const StressRunPage = pageOf('StressRunPage', ref(StressRun))

export const StressRunQuery = pageQuery(['created_at', 'name'], {
  portfolio_id: Type.Optional(Uuid()),
  scenario_id: Type.Optional(Uuid()),
  as_of: Type.Optional(CalendarDate()),
  q: Type.Optional(Text(100, { description: 'part of the name' })),
})
export type StressRunQuery = Static<typeof StressRunQuery>

export const comparedMax = 10

export const StressComparisonQuery = Strict({
  ids: Type.Optional(
    Pattern(`^${uuidPattern}(,${uuidPattern}){0,${comparedMax - 1}}$`, `1 to ${comparedMax} UUIDs with commas`, {
      maxLength: 37 * comparedMax,
      description: `runs in the order in which to show them, at most ${comparedMax}; the newest ${comparedMax} without it`,
    }),
  ),
  portfolio_id: Type.Optional(Uuid({ description: 'only runs of this portfolio' })),
})
export type StressComparisonQuery = Static<typeof StressComparisonQuery>

export const StressComparison = named(
  'StressComparison',
  Type.Object({
    runs: Type.Array(
      Type.Object({
        run: ref(StressRun),
        from_first: Nullable(ref(StressFigures)),
      }),
      {
        description:
          'each with its change from its own baseline (`result.change`) and how its stressed figures differ from those of the first; null for another currency',
      },
    ),
  }),
)
export type StressComparison = Static<typeof StressComparison>
