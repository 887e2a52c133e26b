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
  ],
)

/** A loan as the last tape or edit left it. Amounts are in `currency`; rates are shares of one. */
export const loans = pgTable(
  'loans',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
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
