import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { derive, maturityOf } from '../../../../src/domains/credit/loans/rules.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test } from '../../../helpers/sql.ts'

describe('the maturity of a loan', () => {
  test('is the same day so many months later, or the last of a shorter month', () => {
    for (const [originated, months, matures] of [
      ['2020-01-15', 0, '2020-01-15'],
      ['2020-01-15', 12, '2021-01-15'],
      ['2020-01-31', 1, '2020-02-29'],
      ['2021-01-31', 1, '2021-02-28'],
      ['2020-02-29', 12, '2021-02-28'],
      ['2020-02-29', 48, '2024-02-29'],
      ['1896-02-29', 48, '1900-02-28'],
      ['1996-02-29', 48, '2000-02-29'],
      ['2020-03-31', 1, '2020-04-30'],
      ['2020-12-31', 2, '2021-02-28'],
      ['2020-11-30', 1200, '2120-11-30'],
      ['9999-12-31', 0, '9999-12-31'],
      ['9999-12-31', 1, null],
    ] as const)
      expect([originated, months, maturityOf(originated, months)]).toEqual([originated, months, matures])
  })

  test('is what Postgres counts, for any date and term', async ({ sql }) => {
    const date = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    const cases = fc.sample(fc.tuple(date, fc.integer({ min: 0, max: 1_200 })), 3_000)
    const days = cases.map(([day]) => day.toISOString().slice(0, 10))
    const months = cases.map(([, term]) => term)
    const rows = await sql<{ matures: string }[]>`
      select to_char(day + make_interval(months => term), 'YYYY-MM-DD') as matures
      from unnest(${days}::text[]::date[], ${months}::int[]) with ordinality as cases (day, term, n) order by n`
    const expected = rows.map(({ matures }) => (matures.length > 10 ? null : matures))
    expect(cases.map((_, n) => maturityOf(days[n]!, months[n]!))).toEqual(expected)
  })

  test('is derived where it is left out, and only there', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const matures = async (more: object) =>
      (await newLoan(owner, id, { originated_on: '2020-08-31', ...more })).matures_on
    expect(await matures({ term_months: 18 })).toBe('2022-02-28')
    expect(await matures({ term_months: 18, matures_on: null })).toBe('2022-02-28')
    expect(await matures({ term_months: 18, matures_on: '2030-01-01' })).toBe('2030-01-01')
    expect(await matures({})).toBeNull()
    expect(derive({ originated_on: '2020-08-31', term_months: null })).toEqual({
      originated_on: '2020-08-31',
      term_months: null,
    })
  })
})
