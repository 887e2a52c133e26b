import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { readTable } from '../../../helpers/csv.ts'
import { countLoans, importCsv } from '../../../helpers/imports.ts'
import { suggest } from '../../../helpers/suggest.ts'

const file = await readFile(join(import.meta.dirname, '../../../../src/demo/sba-loans-5000.csv'))
const records = readTable(file.toString())

describe('the SBA tape', () => {
  test('is loaded whole by the mapping that is proposed for its portfolio, with one edit', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { status, body } = await suggest(owner, file, { portfolio_id: id })
    expect(status).toBe(200)
    expect(body).toMatchObject({ encoding: 'utf-8', delimiter: ',', rows: 5_000, complete: true })
    expect(body).toMatchObject({ unmapped_required: [], ambiguous_dates: [], unknown_values: [] })
    expect(body.warnings).toMatchObject([{ code: 'empty_cells', field: 'status', column: 'MIS_Status' }])
    expect(body.mapping).toEqual({
      rest: 'attributes',
      fields: {
        loan_number: { column: 'LoanNr_ChkDgt' },
        borrower_name: { column: 'Name' },
        currency: { constant: 'USD' },
        originated_on: { column: 'DisbursementDate', fallback_column: 'ApprovalDate', date_format: 'M/D/YYYY' },
        original_principal: { column: 'DisbursementGross' },
        status: { column: 'MIS_Status', values: { 'P I F': 'paid', CHGOFF: 'charged_off' } },
        sector: { column: 'NAICS', values: { 0: null } },
        state: { column: 'State' },
        term_months: { column: 'Term' },
        charged_off_on: { column: 'ChgOffDate', date_format: 'D-MMM-YY' },
        charged_off_amount: { column: 'ChgOffPrinGr' },
      },
    })
    for (const { confidence } of body.fields) expect(confidence).toBeGreaterThan(0.9)

    const edited = structuredClone(body.mapping)
    // The only edit: 16 rows tell no status, which the warning says.
    edited.fields.status.default = 'current'

    const { body: made } = await importCsv(owner, id, file, { mapping: edited, on_error: 'abort' })
    expect(made).toMatchObject({ status: 'completed', received: 5_000, inserted: 5_000, rejected: 0 })
    const undated = records.filter(({ DisbursementDate }) => !DisbursementDate)
    expect(undated).toHaveLength(10)
    const { body: found } = await owner.get(`/loans?portfolio_id=${id}&loan_number=1003455008`)
    expect(undated[0]).toMatchObject({ LoanNr_ChkDgt: '1003455008', ApprovalDate: '11/27/1998' })
    expect(found.data[0]).toMatchObject({ originated_on: '1998-11-27', attributes: { ApprovalDate: '11/27/1998' } })
    expect(await countLoans(owner, id)).toBe(5_000)
  })

  test('is loaded with two edits where the portfolio is not told, and by a saved mapping', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { body } = await suggest(owner, file)
    expect(body.unmapped_required).toEqual(['currency'])
    const { mapping } = body
    mapping.fields.currency = { constant: 'USD' } // the first edit
    mapping.fields.status.default = 'current' // the second
    const saved = await owner.post('/import-mappings', { name: 'SBA', mapping })
    expect(saved.status, saved.text).toBe(201)
    const { body: made } = await importCsv(owner, id, file, { mapping: saved.body.id })
    expect(made).toMatchObject({ status: 'completed', inserted: 5_000, mapping_id: saved.body.id })
  })

  test('is understood by its first 50 rows as well', async ({ owner }) => {
    const head = file.toString().split('\n').slice(0, 51).join('\n')
    const { body } = await suggest(owner, head.slice(0, -5))
    expect(body.rows).toBeLessThanOrEqual(50)
    expect(Object.keys(body.mapping.fields)).toHaveLength(10)
    expect(body.mapping.fields).toMatchObject({
      originated_on: { column: 'DisbursementDate', date_format: 'M/D/YYYY' },
      charged_off_on: { column: 'ChgOffDate', date_format: 'D-MMM-YY' },
    })
  })
})
