import { date, foreignKey, index, integer, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { changeTracking, money, rate, tenantKey } from './columns.ts'
import { loans, portfolios, ratingScales } from './credit.ts'

/** The words that a rating's coded fields may hold. */
export const ratingTerms = {
  action: ['assign', 'upgrade', 'downgrade', 'affirm', 'withdraw'],
  outlook: ['positive', 'stable', 'negative', 'developing'],
  watch: ['positive', 'negative', 'developing'],
} as const

/** What grade a loan had on a scale from one day to another; the one that holds has no `effective_to`. */
export const ratingHistory = pgTable(
  'rating_history',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
    loan_id: uuid().notNull(),
    scale_id: uuid().notNull(),
    /** Null once the rating is withdrawn. */
    grade: text(),
    /** Null only while an import that left it out has not settled its rows yet. */
    action: text({ enum: ratingTerms.action }),
    outlook: text({ enum: ratingTerms.outlook }),
    watch: text({ enum: ratingTerms.watch }),
    effective_from: date({ mode: 'string' }).notNull(),
    /** The first day on which it holds no more. */
    effective_to: date({ mode: 'string' }),
    pd: rate(),
    reason: text(),
    actor_id: uuid(),
    import_id: uuid(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'rating_history_loan',
      columns: [table.org_id, table.loan_id],
      foreignColumns: [loans.org_id, loans.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'rating_history_scale',
      columns: [table.org_id, table.scale_id],
      foreignColumns: [ratingScales.org_id, ratingScales.id],
    }),
    // The portfolio follows from the loan; it is there for the imports, whose rows are unique in their portfolio.
    uniqueIndex('rating_history_effective').on(
      table.org_id,
      table.loan_id,
      table.scale_id,
      table.effective_from,
      table.portfolio_id,
    ),
    index('rating_history_from').on(table.org_id, table.effective_from, table.id),
    index('rating_history_portfolio').on(table.org_id, table.portfolio_id, table.effective_from, table.id),
    index('rating_history_created').on(table.org_id, table.created_at, table.id),
    index('rating_history_scale_used').on(table.org_id, table.scale_id),
  ],
)

export const defaultRateTerms = { basis: ['count', 'balance'], source: ['imported', 'computed', 'entered'] } as const

/** One period of a series of default rates; amounts are loans or money, as `basis` says. */
export const defaultRates = pgTable(
  'default_rates',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
    segment: text().notNull().default('all'),
    /** `2024`, `2024-Q1` or `2024-01`. */
    period: text().notNull(),
    basis: text({ enum: defaultRateTerms.basis }).notNull(),
    source: text({ enum: defaultRateTerms.source }).notNull(),
    opening_performing: money(),
    new_defaults: money(),
    marginal: rate(),
    cumulative: rate(),
    annualised: rate(),
    formula_version: integer(),
    import_id: uuid(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'default_rates_portfolio',
      columns: [table.org_id, table.portfolio_id],
      foreignColumns: [portfolios.org_id, portfolios.id],
    }).onDelete('cascade'),
    uniqueIndex('default_rates_period').on(
      table.org_id,
      table.portfolio_id,
      table.segment,
      table.period,
      table.basis,
      table.source,
    ),
    index('default_rates_created').on(table.org_id, table.created_at, table.id),
  ],
)
