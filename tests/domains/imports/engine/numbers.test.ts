import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileNumberFormat, type NumberFormat } from '../../../../src/domains/imports/engine/numbers.ts'

describe('a number', () => {
  const cases: [NumberFormat, Record<string, string | undefined>][] = [
    [{}, { '60000': '60000', '-1.50': '-1.50', '.5': '0.5', '1,234': undefined, '1.': undefined, '1.2.3': undefined }],
    [{}, { '': undefined, '-': undefined, '--1': undefined, '1e5': undefined, '+1': undefined, '-0.00': '0.00' }],
    [
      { thousands: ',' },
      { '1,234,567.89': '1234567.89', '12,34,567': '1234567', '1234': '1234', '1,23': undefined, ',123': undefined },
    ],
    [{ thousands: ',' }, { '1234,567': undefined, '1,234,56': undefined, '-1,000': '-1000' }],
    [
      { decimal: ',', thousands: '.' },
      { '1.234.567,89': '1234567.89', '5,25': '5.25', '1.5': undefined },
    ],
    [
      { decimal: ',', thousands: ' ' },
      { '1\u00a0234,5': '1234.5', '1\u202f234': '1234', '1 234 567': '1234567' },
    ],
    [{ thousands: "'" }, { "1'234.50": '1234.50', '1\u2019234': '1234' }],
    [{ currency_signs: true }, { '$5.00': '5.00', '5 €': '5', 'EUR 5': '5', '-$5': '-5', '$-5': '-5', US$5: '5' }],
    [{ currency_signs: true }, { '5 dollars': undefined, $: undefined }],
    [{}, { $5: undefined, '(5)': undefined, '5%': undefined }],
    [{ parentheses: true }, { '(5.00)': '-5.00', '5': '5', '(-5)': undefined, '(5': undefined, '(0.00)': '0.00' }],
    [
      { parentheses: true, currency_signs: true, thousands: ',' },
      { '($1,234.50)': '-1234.50', '$(1,234.50)': '-1234.50' },
    ],
    [
      { percent: true },
      {
        '5.25': '0.0525',
        '5.25%': '0.0525',
        '100 %': '1',
        '0': '0',
        '-12.5': '-0.125',
        '1234': '12.34',
        '0.1': '0.001',
      },
    ],
    [
      { percent: true, decimal: ',' },
      { '5,2500': '0.0525', '7': '0.07' },
    ],
  ]
  for (const [format, readings] of cases)
    test(`is read as ${JSON.stringify(format)} says, and not otherwise: ${Object.keys(readings).join(' ; ')}`, () => {
      const read = compileNumberFormat(format)
      expect(Object.fromEntries(Object.keys(readings).map((text) => [text, read(text)]))).toEqual(readings)
    })

  test('keeps every digit, however many there are: no float is in between', () => {
    const read = compileNumberFormat({ thousands: ',', percent: true })
    expect(read('9,007,199,254,740,993.123456789')).toBe('90071992547409.93123456789')
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), fc.integer({ min: 0, max: 999_999 }), (whole, part) => {
        const fraction = String(part).padStart(6, '0')
        const grouped = whole.toLocaleString('en-US')
        expect(compileNumberFormat({ thousands: ',' })(`${grouped}.${fraction}`)).toBe(`${whole}.${fraction}`)
        const digits = `${whole}${fraction}`.padStart(9, '0')
        const shifted = `${BigInt(digits.slice(0, -8))}.${digits.slice(-8)}`
        expect(read(`${grouped}.${fraction}`)).toBe(shifted.replace(/\.?0+$/, '') || '0')
      }),
    )
  })
})
