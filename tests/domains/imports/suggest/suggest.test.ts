import { gzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { importCsv, multipart, multipartType } from '../../../helpers/imports.ts'
import { suggest } from '../../../helpers/suggest.ts'

const linesOf = (...rows: string[][]) => rows.map((cells) => cells.join(';')).join('\r\n')

describe('a proposal', () => {
  test('reads a European tape in Windows-1252 as it is written, and loads it unedited', async ({ owner }) => {
    const { id } = await newPortfolio(owner, { currency: 'EUR' })
    const names = ['Contract Identifier', 'Counterparty Name', 'CCY', 'Date of Origination', 'Maturity Dt']
    const more = [
      'Orig. Bal.',
      'Current Principal Balance',
      'Int Rate',
      'Account Status',
      'DPD',
      'Country Code',
      'Notiz',
    ]
    const file = linesOf(
      [...names, ...more],
      [
        'A-1',
        'Müller GmbH',
        'EUR',
        '31.01.2020',
        '31.01.2025',
        '1.250.000,50',
        '(1.000,00)',
        '5,25%',
        'Performing',
        '0',
        'DE',
        'x',
      ],
      ['A-2', 'Société Générale', 'EUR', '1.2.2020', '1.2.2021', '99,5', '12,00', '0,5%', 'Late', '45', 'FR', 'N/A'],
      ['A-3', '5 € Shop', 'EUR', '2.2.2020', '2.2.2022', '1.000', '7', '12%', 'Paid in full', '', 'N/A', ''],
    )
    const bytes = Buffer.from(file.replace('€', '\u0080'), 'latin1')
    const { body } = await suggest(owner, bytes)
    expect(body).toMatchObject({ encoding: 'latin1', delimiter: ';', rows: 3, unmapped_required: [], warnings: [] })
    expect(body.mapping.fields).toEqual({
      loan_number: { column: 'Contract Identifier' },
      borrower_name: { column: 'Counterparty Name' },
      currency: { column: 'CCY' },
      originated_on: { column: 'Date of Origination', date_format: 'D.M.YYYY' },
      original_principal: { column: 'Orig. Bal.', decimal: ',', thousands: '.' },
      status: {
        column: 'Account Status',
        values: { Performing: 'current', Late: 'delinquent', 'Paid in full': 'paid' },
      },
      country: { column: 'Country Code', values: { 'N/A': null } },
      matures_on: { column: 'Maturity Dt', date_format: 'D.M.YYYY' },
      balance: { column: 'Current Principal Balance', decimal: ',', thousands: '.', parentheses: true },
      interest_rate: { column: 'Int Rate', decimal: ',', percent: true },
      days_past_due: { column: 'DPD' },
    })
    expect((await suggest(owner, gzipSync(bytes))).body).toEqual(body)
    const made = await importCsv(owner, id, bytes, { mapping: body.mapping })
    expect(made.body).toMatchObject({ inserted: 3, encoding: 'latin1', delimiter: ';' })
    const { body: loans } = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    expect(loans.data).toMatchObject([
      {
        borrower_name: 'Müller GmbH',
        original_principal: '1250000.5000',
        balance: '-1000.0000',
        interest_rate: '0.05250000',
        status: 'current',
        attributes: { Notiz: 'x' },
      },
      { original_principal: '99.5000', interest_rate: '0.00500000', days_past_due: 45, country: 'FR' },
      { borrower_name: '5 € Shop', original_principal: '1000.0000', country: null, matures_on: '2022-02-02' },
    ])
  })

  test('tells dates that fit two readings, with both, and an import of them is refused until it is said', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const file = 'Loan ID,Borrower,Status,Funding Date,Loan Amount\nA,B,open,1/2/2020,5\nC,D,open,3/3/2020,6\n'
    const { body } = await suggest(owner, file, { portfolio_id: id })
    expect(body.ambiguous_dates).toEqual([
      {
        field: 'originated_on',
        column: 'Funding Date',
        value: '1/2/2020',
        readings: [
          { date_format: 'M/D/YYYY', date: '2020-01-02' },
          { date_format: 'D/M/YYYY', date: '2020-02-01' },
        ],
      },
    ])
    const refused = await importCsv(owner, id, file, { mapping: body.mapping })
    expect(refused.body).toMatchObject({ status: 422, code: 'date_format_ambiguous', import_id: expect.any(String) })
    expect(refused.body.errors).toMatchObject([{ pointer: '/body/mapping/fields/originated_on/date_format' }])
    body.mapping.fields.originated_on.date_format = 'D/M/YYYY'
    expect((await importCsv(owner, id, file, { mapping: body.mapping })).body).toMatchObject({ inserted: 2 })
  })

  test('lists the words of a coded field that it does not know, to be mapped by a person', async ({ owner }) => {
    const rows = ['active', 'workout', 'workout', 'WRITTEN-OFF', 'zombie'].map((word, at) => `${at},B${at},${word}`)
    const { body } = await suggest(owner, `Loan No,Obligor Name,Loan Status\n${rows.join('\n')}\n`)
    expect(body.mapping.fields.status).toEqual({
      column: 'Loan Status',
      values: { active: 'current', 'WRITTEN-OFF': 'charged_off' },
    })
    expect(body.unknown_values).toEqual([
      {
        field: 'status',
        column: 'Loan Status',
        values: [
          { cell: 'workout', rows: 2 },
          { cell: 'zombie', rows: 1 },
        ],
      },
    ])
    expect(body.unmapped_required).toEqual(['currency', 'originated_on', 'original_principal'])
  })

  test('says what an empty status is only where the tape names nothing but ends, and nothing contradicts', async ({
    owner,
  }) => {
    const tape = (...rows: string[]) => `Loan ID,Status,Charge Off Date\n${rows.join('\n')}\n`
    const statusOf = async (...rows: string[]) => {
      const { body } = await suggest(owner, tape(...rows))
      const told = body.warnings.some(({ code }: { code: string }) => code === 'empty_cells')
      return [body.mapping.fields.status.default, told]
    }
    expect(await statusOf('1,PIF,', '2,CHGOFF,2020-01-31', '3,,')).toEqual(['current', false])
    expect(await statusOf('1,PIF,', '2,CHGOFF,2020-01-31', '3,,2020-01-31')).toEqual([undefined, true])
    expect(await statusOf('1,PIF,', '2,performing,', '3,,')).toEqual([undefined, true])
    expect(await statusOf('1,PIF,', '2,who knows,', '3,,')).toEqual([undefined, true])
  })

  test('goes by the cells where the names say nothing, and says so', async ({ owner }) => {
    const rows = Array.from(
      { length: 30 },
      (_, at) => `N-${at},${at % 3 ? 'USD' : 'EUR'},${at % 2 ? 'paid off' : 'in arrears'}`,
    )
    const { body } = await suggest(owner, `a,b,c\n${rows.join('\n')}\n`)
    expect(body.mapping.fields).toMatchObject({
      loan_number: { column: 'a' },
      currency: { column: 'b' },
      status: { column: 'c', values: { 'paid off': 'paid', 'in arrears': 'delinquent' } },
    })
    for (const { confidence } of body.fields) expect(confidence).toBeLessThan(0.7)
  })

  test('warns of numbers whose mark is unclear, of a key that repeats and of cells that fit not', async ({ owner }) => {
    const { body } = await suggest(
      owner,
      'Loan Number;Original Balance;Balance;Term\n1;1,234;5.00;12\n1;2,345;-;24\n2;3,456;6.10;x\n',
    )
    const told = body.warnings.map(({ code, field }: Record<string, string>) => [code, field])
    expect(told).toContainEqual(['number_format_unclear', 'original_principal'])
    expect(told).toContainEqual(['not_unique', 'loan_number'])
    expect(told).toContainEqual(['unread_cells', 'term_months'])
    expect(body.mapping.fields.balance).toEqual({ column: 'Balance', values: { '-': null } })
  })

  test('takes rates above one for percents', async ({ owner }) => {
    const { body } = await suggest(owner, 'Loan Number,Interest Rate,LGD\n1,5.25,0.45\n2,7,0.4\n')
    expect(body.mapping.fields).toMatchObject({
      interest_rate: { column: 'Interest Rate', percent: true },
      lgd: { column: 'LGD' },
    })
    expect(body.mapping.fields.lgd.percent).toBeUndefined()
  })

  test('of a file in UTF-16 with tabs, of a header alone and of strange columns is made all the same', async ({
    owner,
  }) => {
    const wide = await suggest(owner, Buffer.from('Loan Number\tName\n1\tÄ\n', 'utf16le'))
    expect(wide.body).toMatchObject({ encoding: 'utf-16le', delimiter: '\t', rows: 1 })
    expect((await suggest(owner, 'loan_number,status')).body).toMatchObject({
      rows: 0,
      mapping: { fields: { loan_number: { column: 'loan_number' }, status: { column: 'status' } } },
    })
    const many = Array.from({ length: 100 }, (_, at) => `c${at}`)
    const strange = await suggest(owner, `${['__proto__', 'constructor', ...many].join(',')}\n`)
    expect(strange.body).toMatchObject({ mapping: { rest: 'ignore', fields: {} } })
    expect(strange.body.warnings).toMatchObject([{ code: 'too_many_attributes' }])
  })

  test('looks at the first megabyte, and is answered while the rest is sent', async ({ owner }) => {
    const row = `${'x'.repeat(95)},2\n`
    const { status, body } = await suggest(owner, `a,b\n${row.repeat(40_000)}`)
    expect([status, body.complete]).toEqual([200, false])
    expect(body.rows).toBe(Math.floor((1_048_576 - 4) / row.length))
  })
})

describe('a request for a proposal', () => {
  const cases: [string, string | Buffer, Record<string, string>, number, string][] = [
    ['of an empty file', '', {}, 422, 'csv_empty'],
    ['of a header that names a column twice', 'a,a\n', {}, 422, 'csv_header_invalid'],
    ['of a header without end', 'a'.repeat(1_100_000), {}, 422, 'csv_header_invalid'],
    ['of text after a closing quote', 'a,b\n"x"y,1\n', {}, 422, 'csv_malformed'],
    ['for an unknown target', 'a\n', { target: 'houses' }, 400, 'validation_failed'],
    ['for an unknown encoding', 'a\n', { encoding: 'ebcdic' }, 400, 'validation_failed'],
    ['for a delimiter of two characters', 'a\n', { delimiter: '::' }, 400, 'validation_failed'],
    ['for a portfolio that is no id', 'a\n', { portfolio_id: '1' }, 400, 'validation_failed'],
    ['with an unknown field', 'a\n', { mode: 'insert' }, 400, 'validation_failed'],
    [
      'for a portfolio that is not there',
      'a\n',
      { portfolio_id: '01a1fc48-63df-70bb-aa5f-4adae57bd6a5' },
      404,
      'not_found',
    ],
  ]
  for (const [title, file, fields, status, code] of cases)
    test(`${title} is refused`, async ({ owner }) => {
      const answer = await suggest(owner, file, fields)
      expect([answer.status, answer.body.code], answer.text).toEqual([status, code])
    })

  test("for another organisation's portfolio, by who may only read, or without a file is refused", async ({
    api,
    owner,
  }) => {
    const foreign = await newPortfolio(await api.newOwner())
    const { body } = await suggest(owner, 'a\n', { portfolio_id: foreign.id })
    expect(body).toMatchObject({ code: 'not_found', errors: [{ pointer: '/body/portfolio_id', code: 'reference' }] })
    expect((await suggest(await api.newUser(owner, 'member'), 'a\n')).body.code).toBe('forbidden')
    const empty = await owner.send(
      'POST',
      '/import-mappings/suggest',
      multipart([{ name: 'target', value: 'loans' }]),
      multipartType,
    )
    expect(empty.body.errors).toMatchObject([{ pointer: '/body/file', code: 'required' }])
    expect((await owner.post('/import-mappings/suggest', {})).status).toBe(415)
  })
})
