import { describe, expect, test } from 'vitest'
import { assertSegments } from '../../../../src/domains/credit/book/rules.ts'
import { bucketsOf } from '../../../../src/domains/credit/metrics/rules.ts'

describe('the buckets of a portfolio', () => {
  test('begin at its edges, and are all there', () => {
    const found = [
      { bucket: 2, count: 5 },
      { bucket: null, count: 7 },
    ]
    expect(bucketsOf([1, 30], found, { count: 0 })).toEqual([
      { name: '0', from: 0, to: 0, count: 0 },
      { name: '1-29', from: 1, to: 29, count: 0 },
      { name: '30+', from: 30, to: null, count: 5 },
      { name: 'unknown', from: null, to: null, count: 7 },
    ])
    expect(bucketsOf([15], [], {}).map(({ name }) => name)).toEqual(['0-14', '15+', 'unknown'])
  })
})

test('200 segments are answered, one more is too many', () => {
  expect(() => assertSegments(200)).not.toThrow()
  expect(() => assertSegments(201)).toThrow('201 segments')
})
