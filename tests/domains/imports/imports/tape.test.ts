import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { readTable, writeCsv } from '../../../helpers/csv.ts'
import { importCsv } from '../../../helpers/imports.ts'

const folder = join(import.meta.dirname, '../../../../src/demo')
const file = await readFile(join(folder, 'sba-loans-5000.csv'))
const mapping = JSON.parse(await readFile(join(folder, 'sba-mapping.json'), 'utf8'))
const records = readTable(file.toString())
const bad = records.filter(({ MIS_Status, DisbursementDate }) => !MIS_Status?.trim() || !DisbursementDate?.trim())
const options = { mapping, on_error: 'skip' }

describe('the SBA tape', () => {
  test('is loaded but for the rows without status or date, each with its line and reason', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { status, body, headers } = await importCsv(owner, id, file, options)
    expect(status).toBe(201)
    expect(headers.location).toBe(`/api/v1/imports/${body.id}`)
    expect(body).toMatchObject({
      portfolio_id: id,
      target: 'loans',
      status: 'completed',
      received: 5_000,
      inserted: 4_976,
      rejected: 24,
      bytes: file.length,
      failure: null,
    })
    expect(bad).toHaveLength(24)
    const told = new Map<number, string[]>()
    for (const { line, column } of body.errors) told.set(line, [...(told.get(line) ?? []), column])
    const expected = bad.map((record) => [
      records.indexOf(record) + 2,
      ['DisbursementDate', 'MIS_Status'].filter((column) => !record[column]?.trim()),
    ])
    expect([...told]).toEqual(expected)
  })

  test('gives each loan its mapped fields, the maturity that follows, and the rest as attributes', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, file, options)
    const { body } = await owner.get(`/loans?portfolio_id=${id}&loan_number=1000014003`)
    expect(body.data[0]).toMatchObject({
      borrower_name: 'ABC HOBBYCRAFT',
      state: 'IN',
      sector: '451120',
      originated_on: '1999-02-28',
      term_months: 84,
      matures_on: '2006-02-28',
      original_principal: '60000.0000',
      balance: '0.0000',
      currency: 'USD',
      status: 'paid',
      charged_off_on: null,
      charged_off_amount: '0.0000',
      attributes: { City: 'EVANSVILLE', Zip: '47711', Bank: 'FIFTH THIRD BANK', LowDoc: 'Y' },
    })
    const chargedOff = records.find(({ ChgOffDate }) => ChgOffDate === '24-Jun-91')
    const found = await owner.get(`/loans?portfolio_id=${id}&loan_number=${chargedOff?.LoanNr_ChkDgt}`)
    expect(found.body.data[0]).toMatchObject({ status: 'charged_off', charged_off_on: '1991-06-24' })
    const unknownSector = records.find(({ NAICS }) => NAICS === '0')
    const other = await owner.get(`/loans?portfolio_id=${id}&loan_number=${unknownSector?.LoanNr_ChkDgt}`)
    expect(other.body.data[0]).toMatchObject({ sector: null })
  })

  test('loads its rejects when they are corrected in the file that tells them and sent again', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const first = await importCsv(owner, id, file, options)
    const { text, headers } = await owner.get(`/imports/${first.body.id}/rejects`)
    expect(headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(headers['content-disposition']).toContain('attachment')
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' })
    const rejects = readTable(text)
    expect(rejects.map(({ _errors, ...record }) => record)).toEqual(bad)
    expect(rejects[0]?._errors).toBe('MIS_Status is required')

    const again = await importCsv(owner, id, text, options)
    expect(again.body).toMatchObject({ received: 24, inserted: 0, rejected: 24 })
    const corrected = rejects.map((record) => ({
      ...record,
      MIS_Status: record.MIS_Status || 'P I F',
      DisbursementDate: record.DisbursementDate || '1/31/2000',
    }))
    const lines = writeCsv([Object.keys(rejects[0] ?? {}), ...corrected.map(Object.values)])
    const last = await importCsv(owner, id, lines, options)
    expect(last.body).toMatchObject({ received: 24, inserted: 24, rejected: 0 })
  })
})
