import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import {
  countLoans,
  header,
  importCsv,
  multipart,
  multipartType,
  type Part,
  sendParts,
  tapeOf,
} from '../../../helpers/imports.ts'

const file: Part = { name: 'file', value: tapeOf(1), fileName: 'tape.csv' }
const field = (name: string, value: string): Part => ({ name, value })

describe('the form of an import', () => {
  const cases: [string, Part[], string, string][] = [
    ['an unknown field', [field('color', 'red'), file], '/body/color', 'unknown_field'],
    ['a field twice', [field('mode', 'insert'), field('mode', 'insert'), file], '/body/mode', 'repeated'],
    ['a field after the file', [file, field('mode', 'upsert')], '/body/mode', 'late_field'],
    ['two files', [file, file], '/body/file', 'repeated'],
    ['a file under another name', [{ ...file, name: 'upload' }], '/body/upload', 'unknown_field'],
    ['no file', [field('mode', 'insert')], '/body/file', 'required'],
    ['a file that is a field', [field('file', 'a,b')], '/body/file', 'file'],
    ['an id that is none', [field('id', '1'), file], '/body/id', 'pattern'],
    ['an unknown mode', [field('mode', 'replace'), file], '/body/mode', 'enum'],
    ['an unknown on_error', [field('on_error', 'ignore'), file], '/body/on_error', 'enum'],
    ['a dry_run that is no boolean', [field('dry_run', '1'), file], '/body/dry_run', 'enum'],
    ['a delimiter of two characters', [field('delimiter', ',,'), file], '/body/delimiter', 'pattern'],
    ['a quote as delimiter', [field('delimiter', '"'), file], '/body/delimiter', 'pattern'],
    ['an unknown encoding', [field('encoding', 'utf-7'), file], '/body/encoding', 'enum'],
    ['a mapping over 256 KB', [field('mapping', 'x'.repeat(300_000)), file], '/body/mapping', 'max_length'],
  ]
  for (const [title, parts, pointer, code] of cases)
    test(`with ${title} is refused by its name, and nothing is loaded`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const { status, body } = await sendParts(owner, id, parts)
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'validation_failed' })
      expect(body.errors).toMatchObject([{ pointer, code, message: expect.any(String) }])
      expect(await countLoans(owner, id)).toBe(0)
    })

  test('with more parts than there are fields is refused', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const parts = Array.from({ length: 100 }, (_, at) => field(`f${at}`, 'x'))
    expect((await sendParts(owner, id, parts)).status).toBe(400)
    expect((await sendParts(owner, id, [file, ...parts])).status).toBe(400)
    expect(await countLoans(owner, id)).toBe(0)
  })

  test('that is no multipart body is refused as another media type, and one without boundary as malformed', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const path = `/portfolios/${id}/loans/import`
    const body = multipart([file])
    for (const type of ['application/json', 'text/csv', 'multipart/mixed; boundary=x', ''])
      expect((await owner.send('POST', path, body, { 'content-type': type })).body.code).toBe('unsupported_media_type')
    expect((await owner.post(path, { mode: 'insert' })).status).toBe(415)
    for (const type of ['multipart/form-data', 'multipart/form-data; boundary=other'])
      expect((await owner.send('POST', path, body, { 'content-type': type })).status, type).toBe(400)
    expect((await owner.send('POST', path, body.subarray(0, 150), multipartType)).body.code).toBe('upload_incomplete')
    expect((await owner.send('POST', path, body.subarray(0, 200), multipartType)).body.code).toBe('upload_incomplete')
    expect(await countLoans(owner, id)).toBe(0)
  })

  test('keeps the name of the file as text, whatever it is', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const fileName of ['../../etc/passwd', '%2F..%00', 'x'.repeat(4_096), '<b>.csv', 'Ünï.csv']) {
      const { body } = await sendParts(owner, id, [field('dry_run', 'true'), { ...file, fileName }])
      expect(body.status).toBe('completed')
      expect(body.file_name.length).toBeLessThanOrEqual(255)
      expect(body.file_name).not.toContain('/')
    }
  })

  test("of a portfolio that is not there, or is another organisation's, is a 404", async ({ api, owner }) => {
    const other = await newPortfolio(await api.newOwner())
    for (const id of [other.id, '01a1fc48-63df-70bb-aa5f-4adae57bd6a5'])
      expect((await importCsv(owner, id, tapeOf(1))).body.code).toBe('not_found')
    expect((await importCsv(owner, 'x', tapeOf(1))).status).toBe(400)
  })

  test('needs the permission to write', async ({ api, owner }) => {
    const { id } = await newPortfolio(owner)
    const member = await api.newUser(owner, 'member')
    expect((await importCsv(member, id, tapeOf(1))).body.code).toBe('forbidden')
    expect((await importCsv(api.anonymous, id, tapeOf(1))).status).toBe(401)
  })
})

describe('a mapping', () => {
  const fields = Object.fromEntries(header.split(',').map((name) => [name, { column: name }]))
  const cases: [string, unknown, string][] = [
    ['is no JSON', '{', '/body/mapping'],
    ['is no object', [], '/body/mapping'],
    ['has no fields', { fields: {} }, '/body/mapping/fields'],
    ['has a member that is none', { fields, colour: 1 }, '/body/mapping/colour'],
    ['names a field that is none', { fields: { ...fields, loan_no: { column: 'a' } } }, '/body/mapping/fields/loan_no'],
    ['names __proto__', JSON.parse(`{"fields":{"__proto__":{"column":"a"}}}`), '/body/mapping/fields/__proto__'],
    ['leaves out a required field', { fields: { ...fields, status: undefined } }, '/body/mapping/fields/status'],
    ['gives a field neither column nor constant', { fields: { ...fields, state: {} } }, '/body/mapping/fields/state'],
    [
      'gives a field both',
      { fields: { ...fields, state: { column: 'a', constant: 'b' } } },
      '/body/mapping/fields/state',
    ],
    ['has a bad date format', { fields, date_format: 'DD/MM' }, '/body/mapping/date_format'],
    [
      'has a bad date format for a field',
      { fields: { ...fields, originated_on: { column: 'a', date_format: 'MD/YYYY' } } },
      '/body/mapping/fields/originated_on/date_format',
    ],
    [
      'has a constant the field may not have',
      { fields: { ...fields, currency: { constant: 'dollars' } } },
      '/body/mapping/fields/currency/constant',
    ],
    [
      'has a default the field may not have',
      { fields: { ...fields, term_months: { column: 'a', default: 'x' } } },
      '/body/mapping/fields/term_months/default',
    ],
    [
      'maps to a value the field may not have',
      { fields: { ...fields, status: { column: 'a', values: { A: 'open' } } } },
      '/body/mapping/fields/status/values/A',
    ],
  ]
  for (const [title, mapping, pointer] of cases)
    test(`that ${title} is refused with a pointer`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      const value = typeof mapping === 'string' ? mapping : JSON.stringify(mapping)
      const { status, body } = await sendParts(owner, id, [field('mapping', value), file])
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_mapping' })
      expect(body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
    })

  test('turns columns, constants, defaults and words into fields, and leaves the rest out unless told', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner, { currency: 'EUR' })
    const mapping = {
      date_format: 'D.M.YYYY',
      fields: {
        loan_number: { column: 'No' },
        borrower_name: { column: 'No' },
        currency: { constant: 'EUR' },
        originated_on: { column: 'Date', values: { never: '1900-01-01' }, default: '2001-02-03' },
        original_principal: { column: 'Amount', default: '0' },
        status: { column: 'State', values: { O: 'current', C: 'paid' } },
        term_months: { column: 'Term', values: { '-': null } },
        charged_off_on: { column: 'Off', date_format: 'MMM DD, YY' },
      },
    }
    const csv =
      'No,Date,Amount,State,Term,Off,More\n1,3.4.2020,10.5,O,12,"Jun 24, 91",x\n2,never,,C,-,,y\n3,,1,paid,,"jan 02, 05",z\n'
    expect((await importCsv(owner, id, csv, { mapping })).body).toMatchObject({ inserted: 3, rejected: 0 })
    const { body } = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    const given = { currency: 'EUR', attributes: {} }
    expect(body.data).toMatchObject([
      {
        ...given,
        loan_number: '1',
        borrower_name: '1',
        originated_on: '2020-04-03',
        original_principal: '10.5000',
        status: 'current',
        term_months: 12,
        matures_on: '2021-04-03',
        charged_off_on: '1991-06-24',
      },
      {
        ...given,
        loan_number: '2',
        originated_on: '1900-01-01',
        original_principal: '0.0000',
        status: 'paid',
        term_months: null,
        matures_on: null,
        charged_off_on: null,
      },
      { ...given, loan_number: '3', originated_on: '2001-02-03', status: 'paid', charged_off_on: '2005-01-02' },
    ])
  })
})

test('a boundary of 300 characters is refused as a form that cannot be read', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  const type = { 'content-type': `multipart/form-data; boundary=${'b'.repeat(300)}` }
  const { status, body } = await owner.send('POST', `/portfolios/${id}/loans/import`, multipart([file]), type)
  expect([status, body.code]).toEqual([400, 'multipart_invalid'])
})

test('an option that says it is JSON is refused by its name', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  const form = multipart([field('mode', '{}'), file])
    .toString()
    .replace('name="mode"', 'name="mode"\r\ncontent-type: application/json')
  const { status, body } = await owner.send('POST', `/portfolios/${id}/loans/import`, form, multipartType)
  expect([status, body.errors?.[0]]).toEqual([400, { pointer: '/body/mode', code: 'type', message: 'must be text' }])
})

for (const [title, name] of [
  ['NUL', 'a\u0000b'],
  ['half a surrogate pair', '\ud800'],
  ['NUL after a backslash', '\\\u0000'],
])
  test(`a mapping with ${title} is refused`, async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const mapping = JSON.stringify({ name, fields: {} })
    const { status, body } = await sendParts(owner, id, [field('mapping', mapping), file])
    expect([status, body.code, body.errors[0].code]).toEqual([400, 'invalid_mapping', 'invalid_character'])
  })

for (const [title, mapping, code] of [
  ['that is 40,000 levels deep', `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`, 'depth'],
  ['longer than 128 KB', JSON.stringify({ fields: {}, ignore: ['x'.repeat(140_000)] }), 'max_length'],
] as const)
  test(`a mapping ${title} is refused`, async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { status, body } = await sendParts(owner, id, [field('mapping', mapping), file])
    expect([status, body.code, body.errors?.[0].code]).toEqual([400, 'invalid_mapping', code])
  })
