import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { readTable } from '../../../helpers/csv.ts'
import { importCsv } from '../../../helpers/imports.ts'

const folder = join(import.meta.dirname, '../../../../src/demo')
const file = await readFile(join(folder, 'sba-loans-5000.csv'))
const mapping = JSON.parse(await readFile(join(folder, 'sba-mapping.json'), 'utf8'))

type Loan = Record<string, string>

const sum = (loans: Loan[], column: string): bigint =>
  loans.reduce((total, loan) => total + BigInt(loan[column] as string), 0n)
const amount = (dollars: bigint): string => `${dollars}.0000`

/** Numerator ÷ denominator with six places, rounded half up, without a float. */
function share(numerator: bigint, denominator: bigint): string {
  const millionths = (numerator * 2_000_000n + denominator) / (denominator * 2n)
  return `${millionths / 1_000_000n}.${String(millionths % 1_000_000n).padStart(6, '0')}`
}

test('the metrics of the SBA tape are what adding up its CSV by hand gives', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  expect((await importCsv(owner, id, file, { mapping, on_error: 'skip' })).status).toBe(201)
  const book = readTable(file.toString()).filter((loan) => loan.MIS_Status?.trim() && loan.DisbursementDate?.trim())
  const defaulted = book.filter(({ MIS_Status }) => MIS_Status === 'CHGOFF')
  const paid = book.filter(({ MIS_Status }) => MIS_Status === 'P I F')
  const principal = sum(book, 'DisbursementGross')
  const chargedOff = sum(book, 'ChgOffPrinGr')
  const line = (loans: Loan[]) => ({
    count: loans.length,
    original_principal: amount(sum(loans, 'DisbursementGross')),
    balance: amount(0n),
  })
  expect((await owner.get(`/portfolios/${id}/metrics`)).body).toMatchObject({
    loan_count: book.length,
    original_principal: amount(principal),
    balance: amount(0n),
    charged_off_amount: amount(chargedOff),
    recovered_amount: amount(0n),
    by_status: { paid: line(paid), charged_off: line(defaulted) },
    default_rate: {
      by_count: share(BigInt(defaulted.length), BigInt(book.length)),
      by_original_principal: share(sum(defaulted, 'DisbursementGross'), principal),
      by_balance: null,
    },
    loss_rate: share(chargedOff, principal),
    recovery_rate: share(0n, chargedOff),
    // The tape says nothing of rates, days past due, stages and probabilities, and nothing is left to be paid.
    ...{ weighted_average_rate: null, weighted_average_remaining_months: null, weighted_average_age_months: null },
    ...{ ead: amount(0n), expected_loss: null, expected_loss_ead_share: null, par_30: null, npl_ratio: null },
    by_stage: [{ stage: null, count: book.length }],
    hhi: { borrower: null },
  })
  const { segments, segment_count } = (await owner.get(`/portfolios/${id}/metrics/segments?by=state`)).body
  const states = Map.groupBy(book, ({ State }) => State)
  expect(segment_count).toBe(states.size)
  for (const { segment, loan_count, original_principal, charged_off_amount, default_rate, loss_rate } of segments) {
    const loans = states.get(segment) as Loan[]
    const [lent, lost] = [sum(loans, 'DisbursementGross'), sum(loans, 'ChgOffPrinGr')]
    const [count, bad] = [
      BigInt(loans.length),
      BigInt(loans.filter(({ MIS_Status }) => MIS_Status === 'CHGOFF').length),
    ]
    expect([segment, loan_count, original_principal, charged_off_amount, default_rate.by_count, loss_rate]).toEqual([
      ...[segment, loans.length, amount(lent), amount(lost)],
      ...[share(bad, count), share(lost, lent)],
    ])
  }
  expect(book).toHaveLength(4_976)
})
