import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { LoanFields } from '../../../../src/domains/credit/loans/schemas.ts'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { writeCsv } from '../../../helpers/csv.ts'
import { countLoans, importCsv } from '../../../helpers/imports.ts'

const { attributes: _, ...properties } = LoanFields.properties
const fields = Object.keys(properties)

/** What a field may hold, or nearly: edges of every type, and text of all kinds. */
const near = fc.oneof(
  fc.constantFrom('', ' ', '0', '1', '-1', '3', '1200', '99999999', '1.0', '0.00000001', '9999999999999999.9999'),
  fc.constantFrom('-9999999999999999.9999', '9999.99999999', '99999999999999999', '1e5', 'NaN', 'null', '\\N', '\\.'),
  fc.constantFrom('2020-02-29', '9999-12-31', '0001-01-01', '0000-01-01', '2021-02-29', 'USD', 'US', 'fixed', 'paid'),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 10 }),
)
const valid: Record<string, string> = {
  borrower_name: 'ABC',
  currency: 'USD',
  originated_on: '2020-01-31',
  original_principal: '1.5',
  status: 'paid',
}

describe('rows', () => {
  test('that pass the checks are never refused by the table, whatever they hold', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const rows = fc.sample(fc.dictionary(fc.constantFrom(...fields), near, { maxKeys: 3 }), 5_000)
    const records = rows.map((row, at) =>
      fields.map((field) => row[field] ?? valid[field] ?? (field === 'loan_number' ? `L-${at}` : '')),
    )
    const extra = fc.sample(fc.string({ unit: 'binary', maxLength: 20 }), records.length)
    const csv = writeCsv([[...fields, 'more'], ...records.map((cells, at) => [...cells, extra[at] ?? ''])])
    const { status, body } = await importCsv(owner, id, csv, { on_error: 'skip' })
    expect(status, JSON.stringify(body)).toBe(201)
    expect(body.received).toBe(5_000)
    expect(body.inserted + body.rejected).toBe(5_000)
    expect(body.inserted).toBeGreaterThan(100)
    expect(await countLoans(owner, id)).toBe(body.inserted)
  })

  test('get the same judgement as POST /loans gives their values', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const samples = fc.sample(fc.record({ field: fc.constantFrom(...fields), value: near }), { numRuns: 60, seed: 60 })
    for (const [at, { field, value }] of samples.entries()) {
      const text = value.trim()
      const whole = /integer/.test(String(properties[field as keyof typeof properties].type)) && /^-?[0-9]+$/.test(text)
      const row: Record<string, unknown> = { loan_number: `P-${at}`, ...valid, [field]: whole ? Number(text) : text }
      if (text === '') delete row[field]
      const posted = await owner.post('/loans', { portfolio_id: id, ...row })
      const names =
        Object.keys(valid).includes(field) || field === 'loan_number'
          ? ['loan_number', ...Object.keys(valid)]
          : ['loan_number', ...Object.keys(valid), field]
      const cells = names.map((name) =>
        name === field ? value : name === 'loan_number' ? `I-${at}` : (valid[name] ?? ''),
      )
      const { body } = await importCsv(owner, id, writeCsv([names, cells]), { on_error: 'skip', mode: 'upsert' })
      const accepted = body.inserted + body.updated + body.unchanged === 1
      expect({ field, value, accepted }).toEqual({
        field,
        value,
        accepted: posted.status === 201 || posted.status === 409,
      })
    }
  })
})
