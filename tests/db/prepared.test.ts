import { expect, test } from 'vitest'
import type { Db } from '../../src/db/client.ts'
import { prepared } from '../../src/db/prepared.ts'

test('one list in ever other shapes stays within its share, and leaves others theirs', () => {
  const db = {} as Db
  const name = (statement: string, shape?: string) => prepared(db, statement, (_, name) => ({ name }), shape).name
  const names = Array.from({ length: 1_000 }, (_, index) => name('list_loans', `filter_${index}`))
  expect(new Set(names.filter((one) => one !== undefined)).size).toBe(30)
  expect(name('list_loans', 'filter_0')).toBe('list_loans filter_0')
  expect([name('list_portfolios', 'name'), name('get_loans')]).toEqual(['list_portfolios name', 'get_loans'])
})
