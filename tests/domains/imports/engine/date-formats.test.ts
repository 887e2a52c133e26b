import { describe, expect, test } from 'vitest'
import { findDateFormats } from '../../../../src/domains/imports/engine/date-formats.ts'

describe('the format of dates', () => {
  const cases: [string[], string][] = [
    [['2020-01-31', '2021-12-01'], 'YYYY-MM-DD'],
    [['2/28/1997', '1/2/1997'], 'M/D/YYYY'],
    [['28/2/1997', '1/2/1997'], 'D/M/YYYY'],
    [['31.12.2020', '1.2.2020'], 'D.M.YYYY'],
    [['24-Jun-91', '4-Oct-05'], 'D-MMM-YY'],
    [['20200131'], 'YYYYMMDD'],
    [['Jun 24, 1991'], 'MMM D, YYYY'],
    [['3/3/2020', '4/4/2020'], 'M/D/YYYY'],
    [['2/28/1997', 'n/a'], 'M/D/YYYY'],
  ]
  for (const [cells, format] of cases)
    test(`of ${cells.join(' and ')} is ${format}`, () => {
      expect(findDateFormats(cells)).toMatchObject({ formats: [format], isMixed: false })
    })

  test('that fits two readings is told with both', () => {
    expect(findDateFormats(['3/3/2020', '1/2/2020'])).toEqual({
      formats: ['M/D/YYYY', 'D/M/YYYY'],
      readable: 2,
      isMixed: false,
      example: { value: '1/2/2020', dates: ['2020-01-02', '2020-02-01'] },
    })
    expect(findDateFormats(['01-02-03']).formats).toEqual(['M-D-YY', 'D-M-YY'])
  })

  test('is none where some dates fit only one and some only another, and where there are none', () => {
    expect(findDateFormats(['1/31/2020', '31/1/2020'])).toMatchObject({ formats: [], readable: 2, isMixed: true })
    expect(findDateFormats(['x', 'y'])).toEqual({ formats: [], readable: 0, isMixed: false })
  })
})
