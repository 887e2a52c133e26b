import type postgres from 'postgres'
import { bookColumns } from '../../src/db/book.ts'
import type { Client } from './api.ts'
import { newLoan, newPortfolio } from './credit.ts'

/** Eight loans whose figures a reader can compute by hand, with every gap and excess that tapes have. */
const eightLoans = {
  // 12 months old, 12 to go
  A: {
    ...{
      borrower_name: 'A1',
      borrower_group: 'Group',
      sector: '11',
      originated_on: '2023-01-31',
      matures_on: '2025-01-31',
    },
    ...{ original_principal: '1000', balance: '800', interest_rate: '0.05', days_past_due: 0 },
    ...{ stage: 1, pd_12m: '0.01', pd_lifetime: '0.03', lgd: '0.4' },
  },
  // revolving, half of what is undrawn counts; no maturity
  B: {
    ...{ borrower_name: 'B Ltd', sector: '11', originated_on: '2023-07-31', commitment: '1000', ccf: '0.5' },
    ...{ original_principal: '500', balance: '400', interest_rate: '0.1', days_past_due: 10 },
    ...{ stage: 1, pd_12m: '0.02', pd_lifetime: '0.05', lgd: '0.5' },
  },
  // no principal, no balance, no CCF, no stage
  C: {
    ...{ borrower_name: 'C SA', originated_on: '2024-01-31', commitment: '300', original_principal: '0' },
    ...{ pd_12m: '0.1', lgd: '1' },
  },
  // stage 2 without a 12-month PD
  D: {
    ...{
      borrower_name: 'D1',
      borrower_group: 'Group',
      sector: '22',
      originated_on: '2022-01-31',
      matures_on: '2024-03-15',
    },
    ...{ original_principal: '500', balance: '200', status: 'delinquent', days_past_due: 45 },
    ...{ stage: 2, pd_lifetime: '0.2', lgd: '0.5' },
  },
  // exactly 90 days, so in default but not in PAR90; past its maturity; no stage, no lifetime PD
  E: {
    ...{ borrower_name: 'E Inc', originated_on: '2020-01-31', matures_on: '2023-06-30', original_principal: '3000' },
    ...{ balance: '300', status: 'delinquent', days_past_due: 90, pd_12m: '0.5', lgd: '0.6' },
  },
  // charged off above its principal; the commitment is over
  F: {
    ...{
      borrower_name: 'F Ltd',
      originated_on: '2019-01-31',
      commitment: '500',
      original_principal: '1000',
      balance: '0',
    },
    ...{ status: 'charged_off', charged_off_amount: '1200', recovered_amount: '300', stage: 3 },
  },
  // exactly 30 days, so in no PAR; no PD at all
  G: {
    ...{ borrower_name: 'G Co', originated_on: '2023-12-31', original_principal: '100', balance: '100' },
    ...{ days_past_due: 30, stage: 2, lgd: '0.5' },
  },
  // paid; the commitment is over
  H: {
    ...{ borrower_name: 'H', originated_on: '2018-01-31', commitment: '1000', original_principal: '400' },
    ...{ status: 'paid', days_past_due: 0 },
  },
}
type LoanName = keyof typeof eightLoans

/** @returns the portfolio's id, whose `as_of` is 2024-01-31, and the loans' ids by their letter */
export async function newBook(owner: Client, more: object = {}) {
  const { id } = await newPortfolio(owner, { as_of: '2024-01-31', ...more })
  const loans = {} as Record<LoanName, string>
  for (const [name, loan] of Object.entries(eightLoans))
    loans[name as LoanName] = (await newLoan(owner, id, { loan_number: name, ...loan })).id
  return { id: id as string, loans }
}

/**
 * Reports the loans of a portfolio, as they are but for `changes`, for a date.
 * @param known when that was known: from, and to where it was corrected later
 */
export async function report(
  sql: postgres.Sql,
  portfolioId: string,
  asOf: string,
  changes: Record<string, string | number | null> = {},
  known: { from?: string; to?: string; only?: string } = {},
) {
  const columns = ['org_id', ...bookColumns.filter((name) => name !== 'org_id')]
  const values = columns.map((name) => (name in changes ? `$${6 + Object.keys(changes).indexOf(name)}` : `"${name}"`))
  await sql.unsafe(
    `insert into loan_versions (id, loan_id, as_of, known_from, known_to, ${columns.map((name) => `"${name}"`).join(', ')})
     select gen_random_uuid(), id, $2, coalesce($3, now()), $4::timestamptz, ${values.join(', ')}
     from loans where portfolio_id = $1 and loan_number = any(string_to_array(coalesce($5, 'ABCDEFGH'), null))`,
    [portfolioId, asOf, known.from ?? null, known.to ?? null, known.only ?? null, ...Object.values(changes)],
  )
}
