import { type Static, Type } from '@sinclair/typebox'
import { loanTerms } from '../../../db/tables/credit.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import {
  CalendarDate,
  Currency,
  Nullable,
  named,
  Pattern,
  ref,
  Strict,
  StringEnum,
  Text,
  Timestamp,
  Uuid,
  uuidPattern,
} from '../../../lib/schema.ts'

export const DefaultDefinition = named(
  'DefaultDefinition',
  Strict(
    {
      statuses: Type.Array(StringEnum(loanTerms.status), { maxItems: loanTerms.status.length, uniqueItems: true }),
      days_past_due_min: Nullable(Type.Integer({ minimum: 1, maximum: 10_000 })),
    },
    { description: 'a loan is in default when its status is one of these, or it is at least so many days past due' },
  ),
)

const Code = () =>
  Pattern(
    '^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$',
    'up to 50 letters, digits, _ . -, of which the first is a letter or a digit',
    {
      maxLength: 50,
      description: 'unique in the organisation',
    },
  )
const BucketEdges = () =>
  Type.Array(Type.Integer({ minimum: 1, maximum: 10_000 }), {
    minItems: 1,
    maxItems: 20,
    uniqueItems: true,
    description: 'days past due at which a delinquency bucket begins, ascending',
  })

const writable = {
  code: Type.Optional(Nullable(Code())),
  description: Type.Optional(Nullable(Text(2_000))),
  asset_class: Type.Optional(Nullable(Text(100))),
  as_of: Type.Optional(Nullable(CalendarDate({ description: 'reporting date of the newest tape' }))),
  default_definition: Type.Optional(ref(DefaultDefinition)),
  bucket_edges: Type.Optional(BucketEdges()),
  rating_scale_id: Type.Optional(
    Nullable(Uuid({ description: 'the scale whose grades its loans may have; without one, any rating is taken' })),
  ),
  manager_id: Type.Optional(Nullable(Uuid({ description: 'a user of the organisation' }))),
}
const Name = () => Text(200, { examples: ['SBA 7(a) loans'] })

export const PortfolioCreate = named(
  'PortfolioCreate',
  Strict({ name: Name(), currency: Currency({ examples: ['USD'] }), ...writable }),
)
export type PortfolioCreate = Static<typeof PortfolioCreate>

export const PortfolioUpdate = named(
  'PortfolioUpdate',
  Strict({
    name: Type.Optional(Name()),
    currency: Type.Optional(Currency({ description: 'ISO 4217; while the portfolio holds no loans' })),
    ...writable,
  }),
)
export type PortfolioUpdate = Static<typeof PortfolioUpdate>

export const PortfolioStatistics = named(
  'PortfolioStatistics',
  Type.Object(
    {
      loan_count: Type.Integer(),
      balance: Type.String({ description: 'sum of the balances; decimal with 4 places' }),
      reported_on: Nullable(CalendarDate({ description: 'the newest date for which loans were reported' })),
    },
    { description: 'only in lists with include=statistics' },
  ),
)
export type PortfolioStatistics = Static<typeof PortfolioStatistics>

export const PortfolioDuplicate = named(
  'PortfolioDuplicate',
  Strict({
    name: Name(),
    code: Type.Optional(Nullable(Code())),
    with_loans: Type.Optional(Type.Boolean({ default: true, description: 'copy the loans as they are, too' })),
  }),
)
export type PortfolioDuplicate = Static<typeof PortfolioDuplicate>

export const Portfolio = named(
  'Portfolio',
  Type.Object({
    id: Uuid(),
    code: Nullable(Type.String()),
    name: Type.String(),
    description: Nullable(Type.String()),
    asset_class: Nullable(Type.String()),
    currency: Currency(),
    as_of: Nullable(CalendarDate()),
    default_definition: ref(DefaultDefinition),
    bucket_edges: Type.Array(Type.Integer()),
    rating_scale_id: Nullable(Uuid()),
    manager_id: Nullable(Uuid()),
    archived_at: Nullable(Timestamp({ description: 'since when it takes no changes of its loans' })),
    statistics: Type.Optional(ref(PortfolioStatistics)),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)
export type Portfolio = Static<typeof Portfolio>

export const PortfolioPage = pageOf('PortfolioPage', ref(Portfolio))

export const PortfolioQuery = pageQuery(['created_at', 'name', 'as_of'], {
  code: Type.Optional(Text(50)),
  currency: Type.Optional(Currency()),
  asset_class: Type.Optional(Text(100)),
  manager_id: Type.Optional(
    Pattern(`^(me|${uuidPattern})$`, 'the UUID of a user, or me', {
      maxLength: 36,
      description: 'UUID of a user, or `me`',
    }),
  ),
  archived: Type.Optional(
    StringEnum(['false', 'true', 'all'], { default: 'false', description: 'those in use, those archived, or both' }),
  ),
  created_at_gte: Type.Optional(Timestamp()),
  created_at_lte: Type.Optional(Timestamp()),
  include: Type.Optional(StringEnum(['statistics'], { description: 'adds the number of loans and their balance' })),
  q: Type.Optional(Text(100, { description: 'part of the name or the code' })),
})
export type PortfolioQuery = Static<typeof PortfolioQuery>

export const PortfolioDeletion = Strict({
  cascade: Type.Optional(Type.Boolean({ default: false, description: 'delete its loans and imports too' })),
})
