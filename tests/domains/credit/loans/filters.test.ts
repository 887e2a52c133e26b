import { expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'

test('each filter of the loans keeps the loans that it names, and no other', async ({ owner }) => {
  const [{ id: first }, { id: second }] = [await newPortfolio(owner, { currency: 'EUR' }), await newPortfolio(owner)]
  const a = await newLoan(owner, first, {
    loan_number: 'A-1',
    borrower_name: 'Ada',
    borrower_group: 'Group',
    product: 'term',
    sector: '11',
    country: 'DE',
    state: 'BY',
    currency: 'EUR',
    status: 'default',
    stage: 3,
    rating: 'CCC',
    originated_on: '2019-05-01',
    matures_on: '2025-05-01',
    original_principal: '500.25',
    balance: '-10',
    days_past_due: 91,
  })
  const b = await newLoan(owner, second, {
    loan_number: 'B-1',
    borrower_name: 'Ben',
    borrower_group: 'Other',
    product: 'line',
    sector: '21',
    country: 'FR',
    state: 'IDF',
    currency: 'USD',
    status: 'paid',
    stage: 1,
    rating: 'A',
    originated_on: '2021-05-01',
    matures_on: '2031-05-01',
    original_principal: '1000.75',
    balance: '10',
    days_past_due: 0,
  })
  const bare = await newLoan(owner, second, {
    status: 'current',
    originated_on: '2020-05-01',
    original_principal: '700',
  })
  const found = async (query: string) => {
    const { status, body } = await owner.get(`/loans?sort=loan_number&${query}`)
    expect(status, `${query} ${JSON.stringify(body.errors)}`).toBe(200)
    return body.data.map(({ id }: { id: string }) => id)
  }
  const name = new Map([
    [a.id, 'a'],
    [b.id, 'b'],
    [bare.id, 'bare'],
  ])
  for (const [query, expected] of [
    [`portfolio_id=${first}`, 'a'],
    ['loan_number=A-1', 'a'],
    ['loan_number=a-1', ''],
    ['borrower_group=Group', 'a'],
    ['product=line', 'b'],
    ['sector=11', 'a'],
    ['country=DE', 'a'],
    ['state=IDF', 'b'],
    ['currency=EUR', 'a'],
    ['status=paid', 'b'],
    ['status_in=paid,current', 'b bare'],
    ['status_in=default', 'a'],
    ['stage=3', 'a'],
    ['rating=CCC', 'a'],
    ['originated_on_gte=2020-05-01', 'b bare'],
    ['originated_on_lte=2020-05-01', 'a bare'],
    ['originated_on_gte=2019-05-02&originated_on_lte=2021-04-30', 'bare'],
    ['matures_on_gte=2025-05-01', 'a b'],
    ['matures_on_lte=2025-05-01', 'a'],
    ['original_principal_gte=700', 'b bare'],
    ['original_principal_lte=700.0000', 'a bare'],
    ['balance_gte=-10', 'a b'],
    ['balance_lte=-9.9999', 'a'],
    ['days_past_due_gte=91', 'a'],
    ['days_past_due_lte=90', 'b'],
    ['q=ADA', 'a'],
    ['q=b-1', 'b'],
    ['import_id=00000000-0000-7000-8000-000000000000', ''],
    ['status=paid&country=DE', ''],
    ['status=paid&country=FR&stage=1&q=ben', 'b'],
  ] as const)
    expect([query, (await found(query)).map((id: string) => name.get(id)).join(' ')]).toEqual([query, expected])
  expect((await found('')).length).toBe(3)
})
