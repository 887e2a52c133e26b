import { type SchemaOptions, type Static, type TSchema, Type } from '@sinclair/typebox'
import { loanTerms } from '../../../db/tables/credit.ts'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import {
  CalendarDate,
  Currency,
  Decimal,
  Money,
  Nullable,
  named,
  Pattern,
  Rate,
  ref,
  Strict,
  StringEnum,
  Text,
  Timestamp,
  Uuid,
} from '../../../lib/schema.ts'

const { status: loanStatuses } = loanTerms
const statusChoice = loanStatuses.join('|')

/** A probability: a share of one, 0 to 1. */
export const Probability = (options: SchemaOptions = {}) =>
  Pattern('^(0(\\.[0-9]{1,8})?|1(\\.0{1,8})?)$', 'a share from 0 to 1 with at most 8 places, such as 0.025', {
    maxLength: 14,
    description: 'share of one, 0 to 1',
    ...options,
  })
const optional = <T extends TSchema>(schema: T) => Type.Optional(Nullable(schema))
const Days = () => Type.Integer({ minimum: 0, maximum: 100_000 })

const Scalar = Type.Unsafe<string | number | boolean | null>({
  type: ['string', 'number', 'boolean', 'null'],
  maxLength: 2_000,
})

/** Whatever else the tape says of a loan: a flat object of scalars. */
const Attributes = Type.Unsafe<Record<string, string | number | boolean | null>>({
  type: 'object',
  additionalProperties: Scalar,
  propertyNames: { minLength: 1, maxLength: 100 },
  maxProperties: 64,
  description: 'flat object of scalars, at most 64 keys',
})

/** The fields a loan must have. */
const required = {
  loan_number: Text(100, { description: 'unique in its portfolio', examples: ['1000014003'] }),
  borrower_name: Text(300, { examples: ['ABC HOBBYCRAFT'] }),
  currency: Currency({ examples: ['USD'] }),
  originated_on: CalendarDate({ examples: ['1999-02-28'] }),
  original_principal: Money({ examples: ['60000.00'] }),
  status: StringEnum(loanStatuses, { examples: ['current'] }),
}

/** The fields a loan may have; null is the same as leaving one out. */
const optionals = {
  borrower_group: optional(Text(300)),
  product: optional(Text(100)),
  sector: optional(Text(100, { description: 'industry, such as a NAICS or NACE code' })),
  country: optional(
    Pattern('^[A-Z]{2}$', 'a country code of ISO 3166-1, such as DE', {
      maxLength: 2,
      description: 'ISO 3166-1 alpha-2',
    }),
  ),
  state: optional(Text(100)),
  first_payment_on: optional(CalendarDate()),
  matures_on: optional(CalendarDate({ description: 'originated_on + term_months where left out' })),
  term_months: optional(Type.Integer({ minimum: 0, maximum: 1_200 })),
  balance: optional(Money({ signed: true })),
  commitment: optional(Money()),
  interest_rate: optional(Rate({ signed: true, description: 'share of one a year: 0.0525 is 5.25%' })),
  rate_type: optional(StringEnum(loanTerms.rate_type)),
  rate_index: optional(Text(50)),
  rate_margin: optional(Rate({ signed: true })),
  amortization: optional(StringEnum(loanTerms.amortization)),
  payment_frequency: optional(StringEnum(loanTerms.payment_frequency)),
  security_type: optional(Text(100)),
  collateral_value: optional(Money()),
  seniority: optional(StringEnum(loanTerms.seniority)),
  days_past_due: optional(Days()),
  past_due_amount: optional(Money({ signed: true })),
  stage: optional(Type.Integer({ minimum: 1, maximum: 3, description: 'IFRS 9 stage' })),
  pd_12m: optional(Probability()),
  pd_lifetime: optional(Probability()),
  lgd: optional(Rate()),
  ccf: optional(Rate()),
  rating: optional(Text(20)),
  defaulted_on: optional(CalendarDate()),
  charged_off_on: optional(CalendarDate()),
  charged_off_amount: optional(Money({ signed: true })),
  recovered_amount: optional(Money({ signed: true })),
  attributes: Type.Optional(Attributes),
}

/** What a tape row and `POST /loans` share: every field of a loan but its portfolio. */
export const LoanFields = Strict({ ...required, ...optionals })
export type LoanFields = Static<typeof LoanFields>

export const LoanCreate = named('LoanCreate', Strict({ portfolio_id: Uuid(), ...required, ...optionals }))
export type LoanCreate = Static<typeof LoanCreate>

export const LoanUpdate = named('LoanUpdate', Type.Partial(LoanFields, { additionalProperties: false }))
export type LoanUpdate = Static<typeof LoanUpdate>

export const Loan = named(
  'Loan',
  Type.Object({
    id: Uuid(),
    portfolio_id: Uuid(),
    ...required,
    ...Type.Required(Type.Object(optionals)).properties,
    import_id: Nullable(Uuid({ description: 'the import that last wrote this loan' })),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)

export const LoanPage = pageOf('LoanPage', ref(Loan))

const Bound = () => Decimal(16, 4, { signed: true })

/** The filters of the loan list. */
export const LoanFilters = {
  portfolio_id: Type.Optional(Uuid()),
  loan_number: Type.Optional(Text(100)),
  borrower_group: Type.Optional(Text(300)),
  product: Type.Optional(Text(100)),
  sector: Type.Optional(Text(100)),
  country: Type.Optional(Text(2)),
  state: Type.Optional(Text(100)),
  currency: Type.Optional(Currency()),
  status: Type.Optional(StringEnum(loanStatuses)),
  status_in: Type.Optional(
    Pattern(`^(${statusChoice})(,(${statusChoice})){0,9}$`, `one or more of ${loanStatuses.join(', ')}, with commas`, {
      maxLength: 100,
      description: 'statuses, separated by commas',
    }),
  ),
  stage: Type.Optional(Type.Integer({ minimum: 1, maximum: 3 })),
  rating: Type.Optional(Text(20)),
  originated_on_gte: Type.Optional(CalendarDate()),
  originated_on_lte: Type.Optional(CalendarDate()),
  matures_on_gte: Type.Optional(CalendarDate()),
  matures_on_lte: Type.Optional(CalendarDate()),
  original_principal_gte: Type.Optional(Bound()),
  original_principal_lte: Type.Optional(Bound()),
  balance_gte: Type.Optional(Bound()),
  balance_lte: Type.Optional(Bound()),
  days_past_due_gte: Type.Optional(Days()),
  days_past_due_lte: Type.Optional(Days()),
  import_id: Type.Optional(Uuid()),
  q: Type.Optional(Text(100, { description: 'part of the loan number or the borrower name' })),
}

/** Which state of a loan is meant; both together: what was known at one time of another. */
export const loanTime = {
  as_of: Type.Optional(CalendarDate({ description: 'as reported for this date; today’s state without it' })),
  known_at: Type.Optional(Timestamp({ description: 'as the database knew it at this moment' })),
}
export const LoanTime = Strict(loanTime)
export type LoanTime = Static<typeof LoanTime>

export const LoanQuery = pageQuery(
  [
    'created_at',
    'loan_number',
    'borrower_name',
    'originated_on',
    'matures_on',
    'original_principal',
    'balance',
    'days_past_due',
  ],
  { ...loanTime, ...LoanFilters },
)
export type LoanQuery = Static<typeof LoanQuery>
