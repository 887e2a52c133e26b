import { describe, expect, test } from 'vitest'
import { detectDelimiter, Head, readSample } from '../../../../src/domains/imports/engine/head.ts'

async function* pieces(text: string, size: number) {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
}

describe('the delimiter of a file', () => {
  const cases: [string, string, string][] = [
    ['one that makes as many cells of each row as of the header', 'Loan, number;Amount\n1;2,5\n2;3,5\n', ';'],
    ['not one that stands in quotes, over several lines', '"a,b,\nc,d"\t"e;f"\tg,h\n1\t2\t3\n4\t5\t6\n', '\t'],
    ['the one of most columns where several fit', 'a,b|c|d\n1,2|3|4\n', '|'],
    ['a comma where there is none', 'alone\n1;2\n', ','],
  ]
  for (const [title, text, delimiter] of cases)
    test(`is ${title}, however the file arrives`, async () => {
      for (const size of [1, 7, 1_000]) expect(await new Head(pieces(text, size)).delimiter()).toBe(delimiter)
    })

  test('is found from the header line alone where only one stands in it: nothing more is waited for', async () => {
    async function* stuck() {
      yield 'a;b\n'
      await new Promise(() => undefined)
    }
    expect(await new Head(stuck()).delimiter()).toBe(';')
  })

  test('is found in a text of quotes in no time', () => {
    const started = performance.now()
    detectDelimiter(`a,b;c\n${'"'.repeat(50_001)}`)
    expect(performance.now() - started).toBeLessThan(50)
  })
})

test('a sample leaves out the record that the cut went through, and keeps the last of a whole file', () => {
  const text = 'a,b\n1,"x\ny"\n2,zz'
  expect(readSample(text, ',', false).records).toEqual([['1', 'x\ny']])
  expect(readSample(text, ',', true).records).toEqual([
    ['1', 'x\ny'],
    ['2', 'zz'],
  ])
  expect(() => readSample('', ',', true)).toThrow('empty')
})
