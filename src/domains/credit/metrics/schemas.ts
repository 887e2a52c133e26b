import { type Static, Type } from '@sinclair/typebox'
import { Currency, Nullable, named, Timestamp, Uuid } from '../../../lib/schema.ts'

const Amount = (description?: string) => Type.String({ description: description ?? 'decimal with 4 places' })
const Share = (description: string) =>
  Nullable(Type.String({ description: `${description}; decimal with 6 places, null where the denominator is 0` }))

export const PortfolioMetrics = named(
  'PortfolioMetrics',
  Type.Object({
    portfolio_id: Uuid(),
    currency: Currency(),
    formula_version: Type.Integer({ description: 'raised when a formula changes' }),
    computed_at: Timestamp(),
    loan_count: Type.Integer(),
    original_principal: Amount(),
    balance: Amount(),
    charged_off_amount: Amount(),
    recovered_amount: Amount(),
    by_status: Type.Record(
      Type.String(),
      Type.Object({ count: Type.Integer(), original_principal: Amount(), balance: Amount() }),
    ),
    default_rate: Type.Object({
      by_count: Share('loans in default ÷ loans'),
      by_original_principal: Share('original principal of loans in default ÷ original principal'),
    }),
    loss_rate: Share('(charged off − recovered) ÷ original principal'),
    weighted_average_rate: Share('interest rate weighted by balance'),
    weighted_average_remaining_months: Share('months to maturity weighted by balance, 0 for a loan past it'),
  }),
)
export type PortfolioMetrics = Static<typeof PortfolioMetrics>
