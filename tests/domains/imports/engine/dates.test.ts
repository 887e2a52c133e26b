import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileDateFormat } from '../../../../src/domains/imports/engine/dates.ts'

const read = (format: string, text: string) => compileDateFormat(format)?.(text)

describe('a date format', () => {
  test('reads the dates that are written in it', () => {
    for (const [format, text, date] of [
      ['M/D/YYYY', '2/28/1999', '1999-02-28'],
      ['M/D/YYYY', '12/01/1999', '1999-12-01'],
      ['MM/DD/YYYY', '02/28/1999', '1999-02-28'],
      ['D-MMM-YY', '24-Jun-91', '1991-06-24'],
      ['D-MMM-YY', '4-JUL-70', '1970-07-04'],
      ['D-MMM-YY', '4-jul-69', '2069-07-04'],
      ['YYYYMMDD', '20240229', '2024-02-29'],
      ['DMMMYYYY', '4Jul1999', '1999-07-04'],
      ['MMM D, YYYY', 'Dec 31, 1999', '1999-12-31'],
    ] as const)
      expect(read(format, text), `${text} as ${format}`).toBe(date)
  })

  test('refuses what is written otherwise, and days no calendar has', () => {
    for (const [format, text] of [
      ['M/D/YYYY', '2/29/1999'],
      ['M/D/YYYY', '13/1/1999'],
      ['M/D/YYYY', '0/1/1999'],
      ['M/D/YYYY', '1/1/99'],
      ['M/D/YYYY', '1/1/1999 0:00'],
      ['M/D/YYYY', '1-1-1999'],
      ['MM/DD/YYYY', '2/28/1999'],
      ['D-MMM-YY', '24-Juni-91'],
      ['D-MMM-YY', '-Jun-91'],
      ['YYYY-MM-DD', '0000-01-01'],
      ['YYYY-MM-DD', '2100-02-29'],
      ['YYYY-MM-DD', ''],
    ] as const)
      expect(read(format, text), `${text} as ${format}`).toBeUndefined()
  })

  test('is refused when it lacks a part, has one twice, is ambiguous or holds other letters', () => {
    for (const format of [
      '',
      'YYYY',
      'D/M',
      'YYYY-MM-DD-DD',
      'MD/YYYY',
      'DMYYYY',
      'YYY-MM-DD',
      'D.MMMM.YY',
      'YYYY-MM-DDTHH',
    ])
      expect(compileDateFormat(format), format).toBeUndefined()
  })

  test('agrees with the calendar for every day', () => {
    const noon = fc.date({
      min: new Date('0001-01-01T12:00Z'),
      max: new Date('9999-12-31T12:00Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(noon, (date) => {
        const iso = date.toISOString().slice(0, 10)
        const [year, month, day] = iso.split('-')
        expect(read('YYYY-MM-DD', iso)).toBe(iso)
        expect(read('D.M.YYYY', `${Number(day)}.${Number(month)}.${year}`)).toBe(iso)
      }),
    )
  })

  test('takes no time over long text', () => {
    const started = performance.now()
    for (const text of ['1'.repeat(50_000), '/'.repeat(50_000), `1/${'1'.repeat(50_000)}`]) read('M/D/YYYY', text)
    expect(performance.now() - started).toBeLessThan(50)
  })
})
