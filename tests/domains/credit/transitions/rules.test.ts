import { describe, expect, test } from 'vitest'
import { bucketNames } from '../../../../src/domains/credit/book/rules.ts'
import { consecutive, periodsOf } from '../../../../src/domains/credit/transitions/rules.ts'

describe('periods', () => {
  test('follow each other, and what is left over is in none', () => {
    expect(periodsOf('2020-06-15', '2022-07-01', 12)).toEqual([
      { from: '2020-06-15', to: '2021-06-15' },
      { from: '2021-06-15', to: '2022-06-15' },
    ])
    expect(periodsOf('2020-06-15', '2022-07-01')).toEqual([{ from: '2020-06-15', to: '2022-07-01' }])
  })

  test('lead from the last day of a month to last days', () => {
    const ends = periodsOf('2023-11-30', '2024-03-31', 1).map(({ to }) => to)
    expect(ends).toEqual(['2023-12-31', '2024-01-31', '2024-02-29', '2024-03-31'])
    expect(periodsOf('2023-01-30', '2023-03-31', 1).map(({ to }) => to)).toEqual(['2023-02-28', '2023-03-30'])
  })

  test('are refused backwards, where none fits and where too many do', () => {
    for (const [from, to, months] of [
      ['2024-01-01', '2024-01-01', undefined],
      ['2024-01-02', '2024-01-01', 1],
      ['2024-01-01', '2024-12-31', 12],
      ['2000-01-01', '2010-01-01', 1],
    ] as const)
      expect(() => periodsOf(from, to, months)).toThrow(expect.objectContaining({ code: 'invalid_period' }))
    expect(() => consecutive(['2024-01-01'])).toThrow(expect.objectContaining({ code: 'invalid_period' }))
    expect(periodsOf('9999-01-31', '9999-12-31', 6)).toHaveLength(1)
  })
})

test('buckets begin at their edges', () => {
  expect(bucketNames([1, 30, 60, 90])).toEqual(['0', '1-29', '30-59', '60-89', '90+'])
  expect(bucketNames([30, 31, 90])).toEqual(['0-29', '30', '31-89', '90+'])
  expect(bucketNames([2])).toEqual(['0-1', '2+'])
})
