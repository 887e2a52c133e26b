import { describe, expect, test } from 'vitest'
import { cut, distinct, percent, plain, unitOf, widthOf, wrap } from '../../../../src/domains/credit/charts/text.ts'

describe('text of a chart', () => {
  test.each([
    ['one line\nand\u0000 another', 'one line and another'],
    ['\u202Eevil\u2066', 'evil'],
    ['soft\u00ADly', 'softly'],
    ['half a pair \ud800', 'half a pair \ufffd'],
    ['no character \uffff', 'no character'],
    ['می\u200Cشود 👩\u200D🌾', 'می\u200Cشود 👩\u200D🌾'],
    [`e${'\u0301'.repeat(50)}`, `e${'\u0301'.repeat(4)}`],
  ])('%j is one line of characters that XML can hold', (given, shown) => {
    expect(plain(given)).toBe(shown)
  })

  test('is cut between characters to the width it may have, and wrapped between words', () => {
    expect(cut('abcdef', widthOf('abcdef'))).toBe('abcdef')
    expect(cut('abcdef', widthOf('abcdef') - 1)).toBe('abc…')
    const farmer = '👩\u200D🌾'
    expect(cut(farmer.repeat(4), 3 * widthOf(farmer))).toBe(`${farmer.repeat(2)}…`)
    expect(wrap('one two three', widthOf('one two', 12), 12)).toEqual(['one two', 'three'])
    expect(wrap(`a ${'W'.repeat(99)}`, 100, 12)).toEqual(['a', cut('W'.repeat(99), 100, 12)])
  })

  test('of shares says that some are less than the least written, and that not all is all', () => {
    expect([0, 0.0004, 0.0005, 0.123, 0.9995, 1, 1.2, -0.00001, -0.0015, null].map(percent)).toEqual([
      ...['0.0%', '<0.1%', '0.1%', '12.3%', '>99.9%', '100.0%', '120.0%', '>−0.1%', '−0.2%', '–'],
    ])
  })

  test('that is equal in two rows is told apart, so that no row is lost', () => {
    expect(distinct(['A', 'B', 'A', 'A', 'A (2)'])).toEqual(['A', 'B', 'A (2)', 'A (3)', 'A (2) (2)'])
  })

  test('writes amounts in a unit in which the largest has two to five digits', () => {
    const written = (max: number) => {
      const unit = unitOf(max, 'USD')
      return [unit.name, unit.text(max)]
    }
    expect(written(9_999)).toEqual(['USD', '9,999'])
    expect(written(10_000)).toEqual(['USD thousand', '10.0'])
    expect(written(9_940_000)).toEqual(['USD thousand', '9,940.0'])
    expect(written(48_120_400)).toEqual(['USD million', '48.1'])
    expect(written(0)).toEqual(['USD', '0'])
    expect([0.2, -0.2, -1_234.5].map(unitOf(1, 'USD').text)).toEqual(['<1', '>−1', '−1,235'])
    expect([40, -12_345].map(unitOf(10_000, 'USD').text)).toEqual(['<0.1', '−12.3'])
  })
})
