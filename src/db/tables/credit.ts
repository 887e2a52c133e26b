import { sql } from 'drizzle-orm'
import {
  date,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { changeTracking, instant, money, rate, tenantKey } from './columns.ts'
import { members } from './organizations.ts'

/** The words that a loan's coded fields may hold. */
export const loanTerms = {
  status: ['current', 'delinquent', 'default', 'charged_off', 'paid', 'prepaid', 'sold'],
  rate_type: ['fixed', 'floating', 'mixed'],
  amortization: ['annuity', 'linear', 'bullet', 'interest_only', 'revolving', 'other'],
  payment_frequency: ['weekly', 'biweekly', 'monthly', 'quarterly', 'semiannual', 'annual', 'at_maturity', 'other'],
  seniority: ['senior_secured', 'senior_unsecured', 'subordinated', 'junior', 'other'],
} as const

export type LoanStatus = (typeof loanTerms.status)[number]

/** When a loan counts as defaulted: its status is one of these, or it is this many days past due. */
export type DefaultDefinition = { statuses: LoanStatus[]; days_past_due_min: number | null }

/** A grade of a rating scale; ordinals ascend with risk, and exactly one grade may mean default. */
export type Grade = { grade: string; ordinal: number; pd: string | null; is_default: boolean }

export const ratingScales = pgTable(
  'rating_scales',
  {
    ...tenantKey(),
    name: text().notNull(),
    agency: text(),
    description: text(),
    grades: jsonb().$type<Grade[]>().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('rating_scales_name').on(table.org_id, table.name),
    index('rating_scales_created').on(table.org_id, table.created_at, table.id),
  ],
)

export const portfolios = pgTable(
  'portfolios',
  {
    ...tenantKey(),
    code: text(),
    name: text().notNull(),
    description: text(),
    asset_class: text(),
    currency: text().notNull(),
    as_of: date({ mode: 'string' }),
    default_definition: jsonb().$type<DefaultDefinition>().notNull(),
    bucket_edges: integer().array().notNull(),
    rating_scale_id: uuid(),
    manager_id: uuid(),
    archived_at: instant(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('portfolios_code').on(table.org_id, table.code),
    index('portfolios_created').on(table.org_id, table.created_at, table.id),
    index('portfolios_name').on(table.org_id, table.name, table.id),
    foreignKey({
      name: 'portfolios_manager',
      columns: [table.org_id, table.manager_id],
      foreignColumns: [members.org_id, members.user_id],
    }),
    foreignKey({
      name: 'portfolios_rating_scale',
      columns: [table.org_id, table.rating_scale_id],
      foreignColumns: [ratingScales.org_id, ratingScales.id],
    }),
  ],
)

/** The fields of a loan. Amounts are in `currency`; rates are shares of one. */
const loanFields = () => ({
  loan_number: text().notNull(),
  borrower_name: text().notNull(),
  borrower_group: text(),
  product: text(),
  sector: text(),
  country: text(),
  state: text(),
  currency: text().notNull(),
  originated_on: date({ mode: 'string' }).notNull(),
  first_payment_on: date({ mode: 'string' }),
  matures_on: date({ mode: 'string' }),
  term_months: integer(),
  original_principal: money().notNull(),
  balance: money(),
  commitment: money(),
  interest_rate: rate(),
  rate_type: text({ enum: loanTerms.rate_type }),
  rate_index: text(),
  rate_margin: rate(),
  amortization: text({ enum: loanTerms.amortization }),
  payment_frequency: text({ enum: loanTerms.payment_frequency }),
  security_type: text(),
  collateral_value: money(),
  seniority: text({ enum: loanTerms.seniority }),
  status: text({ enum: loanTerms.status }).notNull(),
  days_past_due: integer(),
  past_due_amount: money(),
  stage: smallint(),
  pd_12m: rate(),
  pd_lifetime: rate(),
  lgd: rate(),
  ccf: rate(),
  rating: text(),
  defaulted_on: date({ mode: 'string' }),
  charged_off_on: date({ mode: 'string' }),
  charged_off_amount: money(),
  recovered_amount: money(),
  attributes: jsonb().$type<Record<string, string | number | boolean | null>>().notNull().default({}),
})

/** A loan as the last tape or edit left it. */
export const loans = pgTable(
  'loans',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
    ...loanFields(),
    import_id: uuid(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'loans_portfolio',
      columns: [table.org_id, table.portfolio_id],
      foreignColumns: [portfolios.org_id, portfolios.id],
    }),
    uniqueIndex('loans_number').on(table.org_id, table.portfolio_id, table.loan_number),
    index('loans_created').on(table.org_id, table.created_at, table.id),
    index('loans_portfolio_created').on(table.org_id, table.portfolio_id, table.created_at, table.id),
  ],
)

/**
 * What a loan was: at a reporting date (`as_of`, a snapshot), or, without one, between two edits of the row in `loans`.
 * A snapshot that was corrected stays, known from one time to another; what is known still has no `known_to`.
 */
export const loanVersions = pgTable(
  'loan_versions',
  {
    ...tenantKey(),
    loan_id: uuid().notNull(),
    portfolio_id: uuid().notNull(),
    as_of: date({ mode: 'string' }),
    ...loanFields(),
    /** The import that wrote this state. */
    import_id: uuid(),
    /** Of the loan's row; of a snapshot, how often the same date was corrected. */
    version: integer().notNull().default(1),
    /** Of the loan. */
    created_at: instant().notNull().defaultNow(),
    known_from: instant().notNull().defaultNow(),
    known_to: instant(),
    /** Who or which import knew better. */
    superseded_by_import: uuid(),
    superseded_by_user: uuid(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'loan_versions_portfolio',
      columns: [table.org_id, table.portfolio_id],
      foreignColumns: [portfolios.org_id, portfolios.id],
    }).onDelete('cascade'),
    uniqueIndex('loan_versions_snapshot')
      .on(table.org_id, table.portfolio_id, table.as_of, table.loan_id)
      .where(sql`as_of is not null and known_to is null`),
    index('loan_versions_listed')
      .on(table.org_id, table.portfolio_id, table.as_of, table.created_at, table.loan_id)
      .where(sql`as_of is not null`),
    index('loan_versions_loan').on(table.org_id, table.loan_id, table.known_from),
    index('loan_versions_superseded')
      .on(table.org_id, table.superseded_by_import)
      .where(sql`superseded_by_import is not null`),
  ],
)
