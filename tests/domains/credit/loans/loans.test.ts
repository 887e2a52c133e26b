import { expect } from 'vitest'
import { type Person, test } from '../../../helpers/api.ts'

const loanOf = (portfolio_id: string, more: object = {}) => ({
  portfolio_id,
  loan_number: 'L-1',
  borrower_name: 'ABC Hobbycraft',
  currency: 'USD',
  originated_on: '2020-01-31',
  original_principal: '60000.00',
  status: 'current',
  ...more,
})

const newPortfolio = async (owner: Person): Promise<string> =>
  (await owner.post('/portfolios', { name: 'Book', currency: 'USD' })).body.id

test('a loan is stored with every field, and read back as it was sent', async ({ owner }) => {
  const portfolio = await newPortfolio(owner)
  const sent = loanOf(portfolio, {
    borrower_group: 'ABC',
    product: 'term',
    sector: '451120',
    country: 'US',
    state: 'IN',
    first_payment_on: '2020-02-29',
    matures_on: '2027-01-31',
    term_months: 84,
    balance: '-12.5000',
    commitment: '1.0000',
    interest_rate: '-0.00500000',
    rate_type: 'floating',
    rate_index: 'SOFR',
    rate_margin: '0.02000000',
    amortization: 'annuity',
    payment_frequency: 'monthly',
    security_type: 'ucc',
    collateral_value: '9.0000',
    seniority: 'senior_secured',
    days_past_due: 31,
    past_due_amount: '3.0000',
    stage: 2,
    pd_12m: '0.01000000',
    pd_lifetime: '1.00000000',
    lgd: '0.45000000',
    ccf: '1.20000000',
    rating: 'BB+',
    defaulted_on: '2021-01-01',
    charged_off_on: '2021-02-01',
    charged_off_amount: '70000.0000',
    recovered_amount: '-1.0000',
    attributes: { bank: 'FIRST', jobs: 4, ok: true, none: null },
  })
  const made = await owner.post('/loans', sent)
  expect(made.status).toBe(201)
  expect(made.headers.location).toBe(`/api/v1/loans/${made.body.id}`)
  expect(made.headers.etag).toBe('"1"')
  expect(made.body).toEqual({
    ...sent,
    original_principal: '60000.0000',
    id: made.body.id,
    import_id: null,
    version: 1,
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    updated_at: made.body.created_at,
  })
  expect((await owner.get(`/loans/${made.body.id}`)).body).toEqual(made.body)
})
