import type postgres from 'postgres'
import type { Person } from './api.ts'
import { newPortfolio } from './credit.ts'

/** Where each of 100 loans stood on three reporting dates: so many in each place, in the order of their numbers. */
const months = [
  { as_of: '2024-01-31', places: { 0: 80, 15: 8, 45: 5, 75: 3, 120: 2, default: 2 } },
  { as_of: '2024-02-29', places: { 0: 76, 15: 9, 45: 5, 75: 4, 120: 3, default: 3 } },
  { as_of: '2024-03-31', places: { 0: 70, 15: 11, 45: 6, 75: 5, 120: 3, default: 4, charged_off: 1 } },
] as const
const grades = ['A', 'BBB', 'BB', 'B', 'D'].map((grade, at) => ({
  grade,
  ordinal: at + 1,
  pd: null,
  is_default: grade === 'D',
}))

/**
 * A hundred loans of 1,000.00 each that fall behind from month to month, reported for three dates, in eight sectors and on
 * a rating scale of five grades; ten are not rated and two have a grade of another scale.
 * @returns the portfolio's id
 */
export async function newDelinquentBook(sql: postgres.Sql, owner: Person, more: object = {}): Promise<string> {
  const { id } = await newPortfolio(owner, { name: 'Trade finance', currency: 'EUR', as_of: '2024-03-31', ...more })
  const scale = crypto.randomUUID()
  await sql`insert into rating_scales ${sql({ org_id: owner.orgId, id: scale, name: 'Master', grades: sql.json(grades) })}`
  await sql`update portfolios set rating_scale_id = ${scale} where id = ${id}`
  for (const { as_of, places } of months) {
    const place = Object.entries(places).flatMap(([name, loans]) => Array<string>(loans).fill(name))
    const days = place.map((name) => (Number.isNaN(Number(name)) ? 200 : Number(name)))
    const status = days.map((due, at) => (due === 200 ? (place[at] as string) : due > 0 ? 'delinquent' : 'current'))
    await sql`
      insert into loan_versions (org_id, id, loan_id, portfolio_id, as_of, loan_number, borrower_name, sector, currency,
        originated_on, original_principal, balance, status, days_past_due, rating, defaulted_on)
      select ${owner.orgId}, gen_random_uuid(), md5(${id} || n)::uuid, ${id}, ${as_of}, 'L-' || n, 'Borrower ' || n,
        'Sector ' || n % 8, 'EUR', make_date(2020 + n::int % 3, 1 + n::int % 12, 15), 1000, 1000, status, days,
        case when n > 98 then 'Baa1' when n > 88 then null else (array['A', 'BBB', 'BB', 'B', 'D'])[1 + n::int / 20] end,
        case when days = 200 then date '2024-01-15' end
      from unnest(${days}::int[], ${status}::text[]) with ordinality as given(days, status, n)`
  }
  await sql`
    insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, sector, currency, originated_on,
      original_principal, balance, status, days_past_due, rating, defaulted_on)
    select org_id, loan_id, portfolio_id, loan_number, borrower_name, sector, currency, originated_on, original_principal,
      balance, status, days_past_due, rating, defaulted_on
    from loan_versions where portfolio_id = ${id} and as_of = '2024-03-31'`
  return id
}
