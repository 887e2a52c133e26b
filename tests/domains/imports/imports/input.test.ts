import { describe, expect } from 'vitest'
import { type Client, test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { countLoans, type Fields, header, importCsv, rowsOf, tapeOf } from '../../../helpers/imports.ts'

const good = rowsOf(1)
const names = header.split(',')

/** Imports into a portfolio of its own and asserts that nothing was loaded; the import, where there is one, says why. */
async function refusal(owner: Client, file: string | Buffer, fields = {}) {
  const { id } = await newPortfolio(owner)
  const { status, body } = await importCsv(owner, id, file, fields)
  expect(await countLoans(owner, id)).toBe(0)
  if (body.import_id !== undefined) {
    const { body: told } = await owner.get(`/imports/${body.import_id}`)
    expect(told).toMatchObject({ status: 'failed', inserted: 0, failure: { code: body.code, detail: body.detail } })
  }
  return { status, code: body.code, detail: body.detail, errors: body.errors }
}

/** Imports with `on_error=skip` and gives the errors of the rows. */
async function rowErrors(owner: Client, file: string | Buffer, fields = {}) {
  const { id } = await newPortfolio(owner)
  const { status, body } = await importCsv(owner, id, file, { on_error: 'skip', ...fields })
  expect(status, JSON.stringify(body)).toBe(201)
  expect(body.received).toBe(body.inserted + body.rejected)
  expect(await countLoans(owner, id)).toBe(body.inserted)
  return body
}

describe('a file that cannot be read as CSV', () => {
  const mapping = { fields: Object.fromEntries(names.map((name) => [name, { column: name }])) }
  const cases: [string, string | Buffer, string, string][] = [
    ['an empty file', '', 'csv_empty', 'empty'],
    ['one of blank lines', '\r\n\n\r\n', 'csv_empty', 'empty'],
    ['one without a header', good, 'mapping_column_missing', 'loan_number'],
    ['a header that names a column twice', `${header},status\n${good}`, 'csv_header_invalid', '"status" twice'],
    ['a header of two names for one field', `${header},Status\n${good}`, 'csv_header_invalid', 'same field'],
    [
      'a header of 2,001 columns',
      Array.from({ length: 2_001 }, (_, at) => `c${at}`).join(),
      'csv_header_invalid',
      '2001',
    ],
    ['a header of a million columns', `a${',b'.repeat(999_999)}`, 'csv_header_invalid', ''],
    ['a header that names a column with a NUL twice', 'a\u0000,a\u0000\n', 'csv_header_invalid', 'twice'],
    ['a header with a NUL', `${header},a\u0000b\n`, 'csv_header_invalid', 'character'],
    ['a quote that is never closed', `${header}\n${good}L-2,"ABC,USD\n${rowsOf(9, 3)}`, 'csv_malformed', 'line 3'],
    ['text after a closing quote', `${header}\nL-1,"ABC" & Co,USD,2020-01-31,1,paid\n`, 'csv_malformed', 'line 2'],
    ['a record over 4 MiB', `${header}\n${good}L-2,"${'x'.repeat(4_500_000)}",USD\n`, 'csv_record_too_large', 'line 3'],
    [
      'a required column that is not there',
      `${header.replace('status', 'state')}\n${good}`,
      'mapping_column_missing',
      'status',
    ],
  ]
  for (const [title, file, code, detail] of cases)
    test(`such as ${title} is refused as ${code}`, async ({ owner }) => {
      const answer = await refusal(owner, file)
      expect(answer).toMatchObject({ status: 422, code, detail: expect.stringContaining(detail) })
    })

  test('lacking a mapped column is refused by the name of the column', async ({ owner }) => {
    const answer = await refusal(owner, tapeOf(1).replace('borrower_name', 'Name'), { mapping })
    expect(answer).toMatchObject({
      status: 422,
      code: 'mapping_column_missing',
      detail: expect.stringContaining('"borrower_name"'),
    })
  })

  test('with more than 64 columns that would be attributes is refused', async ({ owner }) => {
    const extra = Array.from({ length: 65 }, (_, at) => `extra ${at}`)
    const answer = await refusal(owner, `${header},${extra}\n`)
    expect(answer).toMatchObject({ status: 422, code: 'csv_header_invalid', detail: expect.stringContaining('65') })
  })
})

describe('a file with nothing but its header', () => {
  for (const end of ['', '\n', '\r\n\r\n'])
    test(`and ${JSON.stringify(end)} after it is an import of no rows`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const { status, body } = await importCsv(owner, id, header + end)
      expect(status).toBe(201)
      expect(body).toMatchObject({ status: 'completed', received: 0, inserted: 0, rejected: 0 })
    })
})

describe('a bad row', () => {
  const row = (values: object) =>
    names
      .map(
        (name) =>
          ({
            loan_number: 'B',
            borrower_name: 'B',
            currency: 'USD',
            originated_on: '2020-01-31',
            original_principal: '1',
            status: 'paid',
            ...values,
          })[name],
      )
      .join()
  const cases: [string, string, object][] = [
    ['too few cells', 'B,B,USD', { column: null, code: 'ragged_row' }],
    ['too many cells', `${row({})},mo\u0000re`, { column: null, code: 'ragged_row' }],
    ['a million cells', `${row({})}${','.repeat(1_000_000)}`, { column: null, code: 'ragged_row' }],
    [
      'an empty required cell',
      row({ borrower_name: '  ' }),
      { column: 'borrower_name', code: 'required', value: null },
    ],
    ['a word that is none of the field', row({ status: 'open' }), { column: 'status', code: 'enum', value: 'open' }],
    [
      'a date no calendar has',
      row({ originated_on: '2021-02-29' }),
      { column: 'originated_on', code: 'date', value: '2021-02-29' },
    ],
    ['a date written otherwise', row({ originated_on: '1/31/2020' }), { column: 'originated_on', code: 'date' }],
    [
      'a number with thousands marks',
      row({ original_principal: '"1,000.00"' }),
      { column: 'original_principal', code: 'pattern', value: '1,000.00' },
    ],
    [
      'a negative principal',
      row({ original_principal: '-1' }),
      { column: 'original_principal', code: 'negative', value: '-1' },
    ],
    ['too many digits', row({ original_principal: '9'.repeat(17) }), { column: 'original_principal' }],
    [
      'a currency other than the portfolio’s',
      row({ currency: 'EUR' }),
      { column: 'currency', code: 'currency_mismatch', value: 'EUR', message: expect.stringContaining('USD') },
    ],
    ['a currency that is none', row({ currency: 'usd' }), { column: 'currency', code: 'pattern', value: 'usd' }],
    [
      'a cell of 1 MB',
      row({ borrower_name: 'x'.repeat(1_000_000) }),
      { column: 'borrower_name', code: 'max_length', value: 'x'.repeat(200) },
    ],
    [
      'a NUL character',
      row({ borrower_name: 'A\u0000B' }),
      { column: 'borrower_name', code: 'invalid_character', value: 'A\uFFFDB' },
    ],
  ]
  for (const [title, line, error] of cases)
    test(`with ${title} is rejected with line, column, code, value and message; the others are loaded`, async ({
      owner,
    }) => {
      const body = await rowErrors(owner, `${header}\n${good}${line}\n${rowsOf(1, 2)}`)
      expect(body).toMatchObject({ received: 3, inserted: 2, rejected: 1 })
      expect(body.errors).toEqual([
        { line: 3, column: null, code: '', value: null, message: expect.any(String), ...body.errors[0], ...error },
      ])
    })

  test('tells all that is wrong with it', async ({ owner }) => {
    const body = await rowErrors(owner, `${header}\n${row({ status: 'x', originated_on: 'y', currency: '' })}\n`)
    expect(body.errors.map(({ column, code }: { column: string; code: string }) => [column, code]).sort()).toEqual([
      ['currency', 'required'],
      ['originated_on', 'date'],
      ['status', 'enum'],
    ])
  })

  test('with bytes that are no UTF-8 is rejected where the file is UTF-8, because it says so or begins so', async ({
    owner,
  }) => {
    const bad = Buffer.from(`${row({ borrower_name: 'Société' })}\n`, 'latin1')
    const error = { column: 'borrower_name', code: 'invalid_encoding', value: 'Soci\uFFFDt\uFFFD' }
    const told = await rowErrors(owner, Buffer.concat([Buffer.from(`${header}\n`), bad]), { encoding: 'utf-8' })
    expect(told.errors).toMatchObject([{ line: 2, ...error }])
    const begun = Buffer.from(`${header}\n${row({ borrower_name: 'Müller' })}\n`)
    const found = await rowErrors(owner, Buffer.concat([begun, bad]))
    expect(found).toMatchObject({ encoding: 'utf-8', inserted: 1, errors: [{ line: 3, ...error }] })
  })

  test('is counted by the line on which its record begins, newlines within quotes included', async ({ owner }) => {
    const file = `${header}\r\n${row({ loan_number: '1', borrower_name: '"two\r\nlines"' })}\r\n\r\n${row({ status: 'bad' })}\r\n`
    const body = await rowErrors(owner, file)
    expect(body).toMatchObject({ received: 2, inserted: 1, errors: [{ line: 5, column: 'status' }] })
  })

  test('does not hide that there are more than the hundred that are told', async ({ owner }) => {
    const lines = Array.from({ length: 150 }, () => row({ status: 'bad' })).join('\n')
    const body = await rowErrors(owner, `${header}\n${lines}\n`)
    expect(body.rejected).toBe(150)
    expect(body.errors).toHaveLength(100)
    const { text } = await owner.get(`/imports/${body.id}/rejects`)
    expect(text.trimEnd().split('\r\n')).toHaveLength(151)
  })
})

describe('headers and cells that would harm', () => {
  test('__proto__ and constructor are attributes like any other', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const file = `${header},__proto__,constructor\n${good.trimEnd()},1,2\n`
    expect((await importCsv(owner, id, file)).status).toBe(201)
    const { text } = await owner.get(`/loans?portfolio_id=${id}`)
    expect(text).toContain('"attributes":{"__proto__":"1","constructor":"2"}')
  })

  test('formulas are escaped in the rejects, and come back as they were', async ({ owner }) => {
    const cells = ['=1+1', '+1', '-1', '@a', '-A', "'quoted"]
    const file = `${header},${cells.map((_, at) => `x${at}`)},=head\nL-1,A,USD,2020-01-31,1,bad,${cells},y\n`
    const { id } = await newPortfolio(owner)
    const { body } = await importCsv(owner, id, file, { on_error: 'skip' })
    const { text } = await owner.get(`/imports/${body.id}/rejects`)
    const [head, line] = text.split('\r\n')
    expect(head).toBe(`${header},x0,x1,x2,x3,x4,x5,'=head,_errors`)
    expect(line).toContain(",'=1+1,'+1,-1,'@a,'-A,'quoted,y,")
    const again = await importCsv(owner, id, text.replace(',bad,', ',paid,'))
    expect(again.body).toMatchObject({ status: 'completed', inserted: 1 })
    const { body: found } = await owner.get(`/loans?portfolio_id=${id}`)
    expect(found.data[0].attributes).toEqual({
      x0: '=1+1',
      x1: '+1',
      x2: '-1',
      x3: '@a',
      x4: '-A',
      x5: "'quoted",
      '=head': 'y',
    })
  })
})

describe('a file of another make', () => {
  const cases: [string, (text: string) => string | Buffer, Fields][] = [
    ['with semicolons', (text) => text.replaceAll(',', ';'), {}],
    ['with tabs', (text) => text.replaceAll(',', '\t'), {}],
    ['with bars', (text) => text.replaceAll(',', '|'), {}],
    ['with a delimiter that is named', (text) => text.replaceAll(',', '~'), { delimiter: '~' }],
    ['with tabs that are named', (text) => text.replaceAll(',', '\t'), { delimiter: 'tab' }],
    ['with CRLF', (text) => text.replaceAll('\n', '\r\n'), {}],
    ['with CR', (text) => text.replaceAll('\n', '\r'), {}],
    ['without a line end at its end', (text) => text.trimEnd(), {}],
    ['with a byte order mark', (text) => `\uFEFF${text}`, {}],
    ['in UTF-16 with a byte order mark', (text) => Buffer.from(`\uFEFF${text}`, 'utf16le'), {}],
    ['in UTF-16 that is named', (text) => Buffer.from(text, 'utf16le'), { encoding: 'utf-16le' }],
    ['in UTF-16 without a mark', (text) => Buffer.from(text, 'utf16le'), {}],
    ['in big-endian UTF-16', (text) => Buffer.from(`\uFEFF${text}`, 'utf16le').swap16(), {}],
    ['in Windows-1252', (text) => Buffer.from(text, 'latin1'), {}],
    [
      'with spaces around cells and names in capitals',
      (text) => text.toUpperCase().replaceAll(',', ' , ').replaceAll('CURRENT', 'current'),
      {},
    ],
  ]
  for (const [title, make, fields] of cases)
    test(`${title} is read`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const { body } = await importCsv(owner, id, make(tapeOf(3).replaceAll('ABC', 'ÄBC')), fields)
      expect(body).toMatchObject({ status: 'completed', received: 3, inserted: 3, rejected: 0 })
      const { body: found } = await owner.get(`/loans?portfolio_id=${id}&loan_number=L-2`)
      expect(found.data[0].borrower_name).toMatch(/^ÄBC hobbycraft$/i)
    })
})
