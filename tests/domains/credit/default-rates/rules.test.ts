import { describe, expect, test } from 'vitest'
import {
  periodName,
  periodRange,
  ratesOf,
  segmentName,
} from '../../../../src/domains/credit/default-rates/computed/rules.ts'
import { inconsistency } from '../../../../src/domains/credit/default-rates/rules.ts'

const quarter = { period: '2024-Q1', basis: 'count' as const }

describe('stored figures', () => {
  // 3 ÷ 200 = 0.015; 1 − 0.985^4 = 1 − 0.941336550625 = 0.058663449375
  const good = {
    opening_performing: '200',
    new_defaults: '3',
    marginal: '0.015',
    cumulative: '0.02',
    annualised: '0.05866345',
  }

  test('that fit are taken, and so is any part of them', () => {
    expect(inconsistency({ ...quarter, ...good })).toBeUndefined()
    for (const field of Object.keys(good) as (keyof typeof good)[])
      expect(inconsistency({ ...quarter, ...good, [field]: null })).toBeUndefined()
    expect(inconsistency(quarter)).toBeUndefined()
  })

  test.for([
    [{ new_defaults: '201' }, 'new_defaults'],
    [{ new_defaults: '3.5' }, 'new_defaults'],
    [{ opening_performing: '200.1' }, 'opening_performing'],
    [{ marginal: '0.015002' }, 'marginal'],
    [{ opening_performing: '0', new_defaults: '0', marginal: '0' }, 'marginal'],
    [{ cumulative: '0.0149' }, 'cumulative'],
    [{ annualised: '0.0587' }, 'annualised'],
    [{ period: '2024' }, 'annualised'],
    [{ period: '2024-01' }, 'annualised'],
  ] as const)('with %o are refused for %s', ([change, field]) => {
    expect(inconsistency({ ...quarter, ...good, ...change })?.field).toBe(field)
  })

  test('may be off by what rounding does', () => {
    expect(inconsistency({ ...quarter, ...good, marginal: '0.0150009' })).toBeUndefined()
    expect(
      inconsistency({ ...quarter, basis: 'balance', opening_performing: '3', new_defaults: '1', marginal: '0.333333' }),
    ).toBeUndefined()
  })
})

describe('rates', () => {
  test('are what a small case by hand says', () => {
    const counted = [
      { period: '2024-01-01', opening_performing: '100.0000', new_defaults: '2.0000' },
      { period: '2024-04-01', opening_performing: '50.0000', new_defaults: '5.0000' },
      { period: '2024-07-01', opening_performing: '0.0000', new_defaults: '0.0000' },
      { period: '2024-10-01', opening_performing: '4.0000', new_defaults: '4.0000' },
    ]
    // 0.02; 1 − 0.98 × 0.9 = 0.118; 1 − 0.98^4 = 1 − 0.92236816; 1 − 0.9^4 = 0.3439
    expect(
      ratesOf(counted, 'quarter').map(({ period, marginal, cumulative, annualised }) => [
        period,
        marginal,
        cumulative,
        annualised,
      ]),
    ).toEqual([
      ['2024-Q1', '0.020000', '0.020000', '0.077632'],
      ['2024-Q2', '0.100000', '0.118000', '0.343900'],
      ['2024-Q3', null, null, null],
      ['2024-Q4', '1.000000', '1.000000', '1.000000'],
    ])
  })

  test('in the middle between two shares are rounded up, which floats miss', () => {
    const rows = [
      { period: '2023-01-01', opening_performing: '640.0000', new_defaults: '3.0000' },
      { period: '2024-01-01', opening_performing: '9999999999999999.9999', new_defaults: '4999999999999999.9999' },
    ]
    // 3 ÷ 640 = 0.0046875; a half less 5 × 10^-21; 1 − 0.9953125 × 0.5 = 0.50234375
    expect(ratesOf(rows, 'year').map(({ marginal, cumulative }) => [marginal, cumulative])).toEqual([
      ['0.004688', '0.004688'],
      ['0.500000', '0.502344'],
    ])
    expect(ratesOf(rows.slice(1), 'year', 8)[0]?.marginal).toBe('0.50000000')
  })

  test('of a month are twelve times compounded to a year, of a year once', () => {
    const one = [{ period: '2024-01-01', opening_performing: '100', new_defaults: '1' }]
    // 1 − 0.99^12 = 1 − 0.886384871716 = 0.113615128284
    expect(ratesOf(one, 'month', 8)[0]).toMatchObject({ period: '2024-01', annualised: '0.11361513' })
    expect(ratesOf(one, 'year')[0]).toMatchObject({ period: '2024', annualised: '0.010000' })
  })
})

describe('periods', () => {
  test('are those that have ended by the reporting date, ten years of them', () => {
    expect(periodRange('quarter', '2024-12-31', undefined, undefined)).toEqual({
      first: '2015-01-01',
      last: '2024-10-01',
      months: 3,
    })
    expect(periodRange('quarter', '2024-12-30', undefined, undefined)?.last).toBe('2024-07-01')
    expect(periodRange('month', '2024-02-29', undefined, undefined)).toEqual({
      first: '2014-03-01',
      last: '2024-02-01',
      months: 1,
    })
    expect(periodRange('month', '2024-02-28', undefined, undefined)?.last).toBe('2024-01-01')
    expect(periodRange('year', '2024-06-30', undefined, undefined)).toEqual({
      first: '2014-01-01',
      last: '2023-01-01',
      months: 12,
    })
  })

  test('that are asked for are those the days lie in, and no more than have ended', () => {
    expect(periodRange('quarter', '2024-12-31', '2023-05-17', '2023-11-30')).toEqual({
      first: '2023-04-01',
      last: '2023-10-01',
      months: 3,
    })
    expect(periodRange('year', '2024-06-30', '2022-01-01', '2030-01-01')?.last).toBe('2023-01-01')
    expect(periodRange('year', '2024-06-30', '2024-01-01', undefined)).toBeUndefined()
  })

  test('are 240 at most', () => {
    expect(periodRange('month', '2024-12-31', '2005-01-01', undefined)?.first).toBe('2005-01-01')
    expect(() => periodRange('month', '2024-12-31', '2004-12-31', undefined)).toThrow('240')
    expect(() => periodRange('year', '9999-12-31', '0000-01-01', undefined)).toThrow('240')
  })

  test('and segments have the names under which they are stored', () => {
    expect([
      periodName('month', '2024-04-01'),
      periodName('quarter', '2024-04-01'),
      periodName('year', '2024-01-01'),
    ]).toEqual(['2024-04', '2024-Q2', '2024'])
    expect([segmentName(undefined, null), segmentName('product', 'Term'), segmentName('product', null)]).toEqual([
      'all',
      'product=Term',
      'product=',
    ])
  })
})
