import type { RowFault } from '../../../db/import-target.ts'

/**
 * The maturity date that follows from origination and term: the same day `term_months` later, or the
 * last day of that month where it is shorter, as loan calendars and Postgres's `date + interval` count.
 * @param originatedOn `YYYY-MM-DD`
 * @returns `YYYY-MM-DD`, or null when the year would pass 9999
 */
export function maturityOf(originatedOn: string, termMonths: number): string | null {
  const year = Number(originatedOn.slice(0, 4))
  const months = Number(originatedOn.slice(5, 7)) - 1 + termMonths
  const inYear = year + Math.floor(months / 12)
  if (inYear > 9999) return null
  const month = (months % 12) + 1
  const day = Math.min(Number(originatedOn.slice(8, 10)), daysIn(inYear, month))
  return `${String(inYear).padStart(4, '0')}-${pad(month)}-${pad(day)}`
}

const pad = (value: number) => (value < 10 ? `0${value}` : String(value))

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

type Dated = { originated_on: string; term_months?: number | null; matures_on?: string | null }

/** Fills what a loan leaves out but implies. */
export function derive<T extends Dated>(loan: T): T {
  if (loan.matures_on == null && loan.term_months != null)
    loan.matures_on = maturityOf(loan.originated_on, loan.term_months)
  return loan
}

/** A loan is in its portfolio's currency: amounts of several cannot be added up. */
export const currencyFault = (currency: unknown, ofPortfolio: string): RowFault | undefined =>
  currency === ofPortfolio
    ? undefined
    : { field: 'currency', code: 'currency_mismatch', message: `must be ${ofPortfolio}, as its portfolio is` }

/** A rating is a grade of the portfolio's scale. @param grades null where the portfolio has no scale */
export function gradeFault(rating: unknown, grades: readonly string[] | null): RowFault | undefined {
  if (rating == null || grades === null || grades.includes(rating as string)) return undefined
  return { field: 'rating', code: 'unknown_grade', message: `must be one of ${grades.join(', ')}` }
}

/** What a portfolio has against a loan, or against a patch of one: what is left out is not judged. */
export function termsFault(
  { currency, rating }: { currency?: unknown; rating?: unknown },
  terms: { currency: string; grades: readonly string[] | null },
): RowFault | undefined {
  const wrong = currency === undefined ? undefined : currencyFault(currency, terms.currency)
  return wrong ?? gradeFault(rating, terms.grades)
}

/** Nothing can be reported of a loan for a day before it was there; both are `YYYY-MM-DD`. */
export const originationFault = (originatedOn: string, asOf: string): RowFault | undefined =>
  asOf >= originatedOn
    ? undefined
    : {
        field: 'originated_on',
        code: 'snapshot_before_origination',
        message: `is ${originatedOn}, after the reporting date ${asOf}`,
      }
