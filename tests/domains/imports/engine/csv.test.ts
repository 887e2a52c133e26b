import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CsvReader, parseRecord } from '../../../../src/domains/imports/engine/csv.ts'
import { detectDelimiter } from '../../../../src/domains/imports/engine/head.ts'
import { csvRecord, unescapeFormula } from '../../../../src/lib/csv.ts'
import { readCsv } from '../../../helpers/csv.ts'

type Found = { cells: string[]; line: number; raw: string }

/** Reads the text in pieces of so many characters. */
function readAll(text: string, pieceSize: number, delimiter = ','): Found[] {
  const reader = new CsvReader(delimiter, 1_000)
  const found: Found[] = []
  const take = () => {
    for (let cells = reader.next(); cells !== undefined; cells = reader.next())
      found.push({ cells, line: reader.line, raw: reader.raw })
  }
  for (let at = 0; at < text.length; at += pieceSize) {
    reader.push(text.slice(at, at + pieceSize))
    take()
  }
  reader.end()
  take()
  return found
}

const cell = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', ' ', ',', ';', '"', '\n', '\r\n', '=', "'"),
  maxLength: 6,
})
const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
  fc.array(
    fc.array(cell, { minLength: width, maxLength: width }).filter((cells) => cells.length > 1 || cells[0] !== ''),
    { maxLength: 6 },
  ),
)
const lineEnd = fc.constantFrom('\n', '\r\n', '\r')

/** Quotes what must be quoted, and by the whim of `all` the rest. */
const write = (records: string[][], end: string, all: boolean) =>
  records
    .map((cells) =>
      cells.map((text) => (all || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(','),
    )
    .join(end)

describe('the CSV reader', () => {
  test('gives back every table that was written, however the text is cut and its lines end', () => {
    fc.assert(
      fc.property(
        table,
        lineEnd,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 20 }),
        (records, end, all, last, size) => {
          const text = write(records, end, all) + (last && records.length > 0 ? end : '')
          const found = readAll(text, size)
          expect(found.map(({ cells }) => cells)).toEqual(records)
          expect(found.map(({ raw }) => parseRecord(raw, ','))).toEqual(records)
          if (end !== '\r') expect(readCsv(text)).toEqual(records)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('counts lines as an editor does: where each record begins', () => {
    const text = 'a,b\r\n\r\n"1\r\n2\n3",x\n"y",z\rlast,line'
    expect(readAll(text, 3).map(({ line }) => line)).toEqual([1, 3, 6, 7])
  })

  test('takes a quote inside an unquoted cell as text, and a doubled one inside a quoted cell as one', () => {
    expect(readAll('a "b" c,""\n"d ""e""",f"\n', 4).map(({ cells }) => cells)).toEqual([
      ['a "b" c', ''],
      ['d "e"', 'f"'],
    ])
  })

  test('ends a file that ends with a delimiter with an empty cell', () => {
    expect(readAll('a,b,', 2).map(({ cells }) => cells)).toEqual([['a', 'b', '']])
  })

  test('counts the cells of a record that has too many, and keeps only so many', () => {
    const reader = new CsvReader(',', 3)
    reader.push(`${','.repeat(999_999)}\n`)
    expect(reader.next()).toEqual(['', '', ''])
    expect(reader.width).toBe(1_000_000)
  })

  test('reads a long record that comes in crumbs in linear time', () => {
    const reader = new CsvReader(',', 10)
    const started = performance.now()
    reader.push('"')
    for (let at = 0; at < 400_000; at++) {
      reader.push('12345678')
      reader.next()
    }
    expect(performance.now() - started).toBeLessThan(2_000)
    reader.push('"')
    reader.end()
    expect(reader.next()?.[0]).toHaveLength(3_200_000)
  })
})

describe('the delimiter', () => {
  test('is what the first line has most of, outside quotes', () => {
    for (const [line, delimiter] of [
      ['a,b;c,d', ','],
      ['a;b;"x,y,z"', ';'],
      ['a\tb', '\t'],
      ['a|b|c', '|'],
      ['alone', ','],
    ] as const)
      expect(detectDelimiter(line)).toBe(delimiter)
    const started = performance.now()
    detectDelimiter('"'.repeat(50_001))
    expect(performance.now() - started).toBeLessThan(50)
  })
})

describe('a formula', () => {
  test('is escaped on the way out and restored on the way in, and other cells pass', () => {
    fc.assert(
      fc.property(fc.array(cell, { minLength: 2, maxLength: 3 }), (cells) => {
        const text = csvRecord(cells.map((one) => (one.startsWith("'") ? `x${one}` : one)))
        for (const one of parseRecord(text.slice(0, -2), ',')) expect(one).not.toMatch(/^\s*[=+@]|^[\t\r\n]/)
        expect(parseRecord(text.slice(0, -2), ',').map(unescapeFormula)).toEqual(
          cells.map((one) => (one.startsWith("'") ? `x${one}` : one)),
        )
      }),
    )
    expect(csvRecord(['-1.5', '-1+1', '+1', "'=x"])).toBe("-1.5,'-1+1,'+1,'=x\r\n")
    for (const cell of [' =1', '\u00a0@a', '\n1', '\n=1', '\uff1d1', '\uff0b1', '\u3000\uff0d1', '\uff201']) {
      const [read = ''] = parseRecord(csvRecord([cell, 'x']).slice(0, -2), ',')
      expect([read, unescapeFormula(read)]).toEqual([`'${cell}`, cell])
    }
  })
})
