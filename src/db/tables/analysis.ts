import {
  date,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { changeTracking, instant, tenantKey } from './columns.ts'
import { loans, portfolios } from './credit.ts'

/** Shocks to every loan: PD and LGD × multiplier + shift, interest rate + shift; shares of one, as decimals. */
export type Shocks = {
  pd_multiplier: string
  pd_shift: string
  lgd_multiplier: string
  lgd_shift: string
  rate_shift: string
}

export const stressScenarios = pgTable(
  'stress_scenarios',
  {
    ...tenantKey(),
    name: text().notNull(),
    description: text(),
    shocks: jsonb().$type<Shocks>().notNull(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('stress_scenarios_name').on(table.org_id, table.name),
    index('stress_scenarios_created').on(table.org_id, table.created_at, table.id),
  ],
)

/** What a scenario did to a portfolio: the shocks, the loans and the figures as they were then. */
export const stressRuns = pgTable(
  'stress_runs',
  {
    ...tenantKey(),
    portfolio_id: uuid().notNull(),
    scenario_id: uuid(),
    name: text().notNull(),
    shocks: jsonb().$type<Shocks>().notNull(),
    as_of: date({ mode: 'string' }),
    known_at: instant(),
    filter: jsonb().$type<Record<string, string | number>>().notNull(),
    result: jsonb().$type<Record<string, unknown>>().notNull(),
    loan_count: integer().notNull(),
    formula_version: integer().notNull(),
    created_by: uuid(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'stress_runs_portfolio',
      columns: [table.org_id, table.portfolio_id],
      foreignColumns: [portfolios.org_id, portfolios.id],
    }).onDelete('cascade'),
    index('stress_runs_created').on(table.org_id, table.created_at, table.id),
    index('stress_runs_portfolio_created').on(table.org_id, table.portfolio_id, table.created_at, table.id),
  ],
)

/** Loans to keep an eye on: those entered by hand, and those that meet the criteria, which are filters of the loan list. */
export const watchLists = pgTable(
  'watch_lists',
  {
    ...tenantKey(),
    name: text().notNull(),
    description: text(),
    criteria: jsonb().$type<Record<string, string | number>>(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    uniqueIndex('watch_lists_name').on(table.org_id, table.name),
    index('watch_lists_created').on(table.org_id, table.created_at, table.id),
  ],
)

export const watchListEntries = pgTable(
  'watch_list_entries',
  {
    ...tenantKey(),
    watch_list_id: uuid().notNull(),
    loan_id: uuid().notNull(),
    reason: text(),
    added_by: uuid(),
    ...changeTracking(),
  },
  (table) => [
    primaryKey({ columns: [table.org_id, table.id] }),
    foreignKey({
      name: 'watch_list_entries_list',
      columns: [table.org_id, table.watch_list_id],
      foreignColumns: [watchLists.org_id, watchLists.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'watch_list_entries_loan',
      columns: [table.org_id, table.loan_id],
      foreignColumns: [loans.org_id, loans.id],
    }).onDelete('cascade'),
    uniqueIndex('watch_list_entries_once').on(table.org_id, table.watch_list_id, table.loan_id),
    index('watch_list_entries_loan').on(table.org_id, table.loan_id),
  ],
)
