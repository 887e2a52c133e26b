import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import type { Person } from './api.ts'

/** What a tape said of a loan at a date; every call is a loan of its own unless `loan_id` is given. */
export type Report = { as_of: string; loan_id?: string } & Record<string, unknown>

/** Writes snapshots of a portfolio as they are. @returns their loans' ids */
export async function report(sql: postgres.Sql, { orgId }: Person, portfolioId: string, reports: Report[]) {
  const rows = reports.map((given) => ({
    org_id: orgId,
    id: randomUUID(),
    loan_id: randomUUID(),
    portfolio_id: portfolioId,
    loan_number: randomUUID(),
    borrower_name: 'ABC Hobbycraft',
    currency: 'USD',
    originated_on: '2020-01-31',
    original_principal: '60000',
    status: 'current',
    known_from: '2020-01-01T00:00:00Z',
    ...given,
  }))
  for (const row of rows) await sql`insert into loan_versions ${sql(row)}`
  return rows.map(({ loan_id }) => loan_id)
}
