import { expect } from 'vitest'
import type { Client } from './api.ts'

let numbers = 0

/** A loan that lacks nothing; its number is new each time. */
export const loanOf = (portfolio_id: string, more: object = {}) => ({
  portfolio_id,
  loan_number: `L-${++numbers}`,
  borrower_name: 'ABC Hobbycraft',
  currency: 'USD',
  originated_on: '2020-01-31',
  original_principal: '60000.0000',
  status: 'current',
  ...more,
})

/** @returns the portfolio as the API answered it */
export async function newPortfolio(owner: Client, more: object = {}) {
  const { status, body } = await owner.post('/portfolios', { name: 'Book', currency: 'USD', ...more })
  expect(status, JSON.stringify(body)).toBe(201)
  return body
}

/** @returns the loan as the API answered it */
export async function newLoan(owner: Client, portfolioId: string, more: object = {}) {
  const { status, body } = await owner.post('/loans', loanOf(portfolioId, more))
  expect(status, JSON.stringify(body)).toBe(201)
  return body
}

/** The grades of {@link newScale}, from the least to the most risky. */
export const gradesOf = [
  { grade: 'A', ordinal: 1, pd: '0.001', is_default: false },
  { grade: 'B', ordinal: 2, pd: '0.02', is_default: false },
  { grade: 'C', ordinal: 3, pd: null, is_default: false },
  { grade: 'D', ordinal: 4, pd: '1', is_default: true },
]

/** @returns the rating scale as the API answered it: A, B, C and D, which means default */
export async function newScale(owner: Client, more: object = {}) {
  const { status, body } = await owner.post('/rating-scales', { name: `Scale ${++numbers}`, grades: gradesOf, ...more })
  expect(status, JSON.stringify(body)).toBe(201)
  return body
}
