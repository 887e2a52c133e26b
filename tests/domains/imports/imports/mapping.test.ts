import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { importCsv } from '../../../helpers/imports.ts'

const required = {
  loan_number: { column: 'No' },
  borrower_name: { column: 'No' },
  currency: { constant: 'USD' },
  originated_on: { constant: '2020-01-31' },
  original_principal: { constant: '1' },
  status: { constant: 'current' },
}
const mappingOf = (fields: object, more: object = {}) => ({ ...more, fields: { ...required, ...fields } })

describe('a mapping', () => {
  test('reads numbers as it says for all and for a field, and dates from a column that stands in', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const mapping = mappingOf(
      {
        original_principal: { column: 'Amount' },
        balance: { column: 'Balance', decimal: '.', thousands: ',', parentheses: true },
        interest_rate: { column: 'Rate', percent: true },
        term_months: { column: 'Term' },
        originated_on: { column: 'Funded', fallback_column: 'Approved', date_format: 'D.M.YYYY' },
      },
      { decimal: ',', thousands: '.', currency_signs: true },
    )
    const csv = [
      'No;Amount;Balance;Rate;Term;Funded;Approved',
      '1;€ 1.234,50;(1,234.50);5,25 %;1.200;1.2.2020;3.4.2019',
      '2;7;USD 8.25;0,125;12;;3.4.2019',
    ].join('\n')
    expect((await importCsv(owner, id, csv, { mapping })).body).toMatchObject({ inserted: 2, rejected: 0 })
    const { body } = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    expect(body.data).toMatchObject([
      {
        original_principal: '1234.5000',
        balance: '-1234.5000',
        interest_rate: '0.05250000',
        term_months: 1_200,
        originated_on: '2020-02-01',
      },
      {
        original_principal: '7.0000',
        balance: '8.2500',
        interest_rate: '0.00125000',
        term_months: 12,
        originated_on: '2019-04-03',
        matures_on: '2020-04-03',
      },
    ])
  })

  test('rejects what is not written as it says, by the column that it was read from', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const mapping = mappingOf({
      original_principal: { column: 'Amount', thousands: ',' },
      originated_on: { column: 'Funded', fallback_column: 'Approved', date_format: 'M/D/YYYY' },
    })
    const csv = 'No,Amount,Funded,Approved\n1,"1.234,50",1/2/2020,\n2,5,,31/1/2020\n3,5,,\n4,-5,1/2/2020,\n'
    const { body } = await importCsv(owner, id, csv, { mapping, on_error: 'skip' })
    expect(body.errors).toMatchObject([
      { line: 2, column: 'Amount', code: 'number', value: '1.234,50' },
      { line: 3, column: 'Approved', code: 'date', value: '31/1/2020' },
      { line: 4, column: 'Funded', code: 'required', value: null },
      { line: 5, column: 'Amount', code: 'negative', value: '-5' },
    ])
  })

  test('leaves ignored columns out of the attributes, and keeps the one that stands in', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const mapping = mappingOf(
      { originated_on: { column: 'Funded', fallback_column: 'Approved' } },
      { rest: 'attributes', ignore: ['Secret', 'absent'] },
    )
    await importCsv(owner, id, 'No,Funded,Approved,Secret,More\n1,2020-01-31,2019-12-31,s,m\n', { mapping })
    const { body } = await owner.get(`/loans?portfolio_id=${id}`)
    expect(body.data[0].attributes).toEqual({ Approved: '2019-12-31', More: 'm' })
  })

  const faults: [string, object, string, string][] = [
    ['a mark for two things', mappingOf({}, { decimal: ',', thousands: ',' }), '/thousands', 'same_mark'],
    ['the point for two things', mappingOf({}, { thousands: '.' }), '/thousands', 'same_mark'],
    [
      'a mark of a field that is another mark of all',
      mappingOf({ balance: { column: 'a', thousands: ',' } }, { decimal: ',' }),
      ...(['/fields/balance/thousands', 'same_mark'] as const),
    ],
    [
      'marks for what is no number',
      mappingOf({ state: { column: 'a', decimal: ',' } }),
      ...(['/fields/state/decimal', 'kind'] as const),
    ],
    [
      'percents of a whole number',
      mappingOf({ term_months: { column: 'a', percent: true } }),
      ...(['/fields/term_months/percent', 'kind'] as const),
    ],
    [
      'a date format of what is no date',
      mappingOf({ balance: { column: 'a', date_format: 'M/D/YYYY' } }),
      ...(['/fields/balance/date_format', 'kind'] as const),
    ],
    ['an unknown mark', mappingOf({}, { decimal: ';' }), '/decimal', 'enum'],
    [
      'a column that stands in for itself',
      mappingOf({ state: { column: 'a', fallback_column: 'a' } }),
      ...(['/fields/state/fallback_column', 'source'] as const),
    ],
    [
      'a column that stands in for a constant',
      mappingOf({ state: { constant: 'a', fallback_column: 'b' } }),
      ...(['/fields/state/fallback_column', 'source'] as const),
    ],
    ['an ignored column that is read', mappingOf({}, { ignore: ['No'] }), '/ignore/0', 'ignored'],
  ]
  for (const [title, mapping, path, code] of faults)
    test(`with ${title} is refused with a pointer`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const { status, body } = await importCsv(owner, id, 'No,a,b\n', { mapping })
      expect([status, body.code]).toEqual([400, 'invalid_mapping'])
      expect(body.errors).toMatchObject([{ pointer: `/body/mapping${path}`, code }])
    })

  test('that names a column which stands in, and is not there, is refused by the name', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const mapping = mappingOf({ state: { column: 'a', fallback_column: 'nowhere' } })
    const { body } = await importCsv(owner, id, 'No,a\n', { mapping })
    expect([body.code, body.detail]).toEqual([
      'mapping_column_missing',
      'The file has no column "nowhere"; it has "No", "a".',
    ])
  })
})

describe('dates whose format the file is to tell', () => {
  const mapping = mappingOf({ originated_on: { column: 'On' }, matures_on: { column: 'To' } }, { date_format: 'auto' })
  const fileOf = (...rows: string[]) => `No,On,To\n${rows.join('\n')}\n`

  test('are read as the only format that fits them all, which the import then keeps', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { body } = await importCsv(owner, id, fileOf('1,1/2/2020,', '2,31/1/2020,24-Jun-21'), { mapping })
    expect(body).toMatchObject({ inserted: 2 })
    const { body: loans } = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    expect(loans.data).toMatchObject([{ originated_on: '2020-02-01' }, { matures_on: '2021-06-24' }])
    const { body: used } = await owner.get(`/imports/${body.id}/mapping`)
    expect(used.date_format).toBeUndefined()
    expect(used.fields).toMatchObject({
      originated_on: { column: 'On', date_format: 'D/M/YYYY' },
      matures_on: { column: 'To', date_format: 'D-MMM-YY' },
    })
  })

  const cases: [string, string[], RegExp][] = [
    [
      'fit M/D and D/M',
      ['1,1/2/2020,', '2,12/12/2020,'],
      /"1\/2\/2020" is 2020-01-02 as M\/D\/YYYY, or 2020-02-01 as D/,
    ],
    [
      'fit M-D and D-M in a field that none is required of',
      ['1,2020-01-31,01-02-2020'],
      /"To" can be read in two ways/,
    ],
    ['are written in several ways', ['1,1/31/2020,', '2,31/1/2020,'], /"On" are written in several ways/],
  ]
  for (const [title, rows, detail] of cases)
    test(`that ${title} are refused, and nothing is loaded`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const { status, body } = await importCsv(owner, id, fileOf(...rows), { mapping, on_error: 'skip' })
      expect([status, body.code]).toEqual([422, 'date_format_ambiguous'])
      expect(body.detail).toMatch(detail)
      expect((await owner.get(`/imports/${body.import_id}`)).body).toMatchObject({
        status: 'failed',
        failure: { code: 'date_format_ambiguous' },
      })
    })
})
