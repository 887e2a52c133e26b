import { describe, expect } from 'vitest'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { balanceHeader, importCsv, importInto, balanceRow as row, tapeOf } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

const importSnapshots = importInto('snapshots')
const tape = (...rows: string[]) => `as_of,${balanceHeader}\n${rows.join('')}`

describe('an import of snapshots', () => {
  test('reports loans that are there for any dates, each once, and changes none of them', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const loan = await newLoan(owner, id, { loan_number: 'L-1', balance: '10' })
    const { status, body } = await importSnapshots(
      owner,
      id,
      tape(`2023-12-31,${row(1, '30')}`, `2024-01-31,${row(1, '20')}`),
    )
    expect(status, JSON.stringify(body)).toBe(201)
    expect(body).toMatchObject({ target: 'snapshots', inserted: 2, snapshots: 2, as_of: null })
    const snapshots = await sql`select loan_id, as_of::text, balance::text, version, import_id from loan_versions
      where portfolio_id = ${id} order by as_of`
    const same = { loan_id: loan.id, version: 1, import_id: body.id }
    expect(snapshots).toEqual([
      { ...same, as_of: '2023-12-31', balance: '30.0000' },
      { ...same, as_of: '2024-01-31', balance: '20.0000' },
    ])
    expect((await owner.get(`/loans/${loan.id}`)).body).toEqual(loan)
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBeNull()
  })

  test('rejects a loan that is not there, a date before the loan was made, and a date that is reported already', async ({
    api,
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const stranger = await api.newOwner()
    await newLoan(stranger, (await newPortfolio(stranger)).id, { loan_number: 'L-7' })
    await newLoan(owner, id, { loan_number: 'L-1' })
    await importSnapshots(owner, id, tape(`2023-12-31,${row(1, '30')}`))
    const { body } = await importSnapshots(
      owner,
      id,
      tape(
        `2024-01-31,${row(7, '1')}`,
        `2019-12-31,${row(1, '1')}`,
        `2023-12-31,${row(1, '31')}`,
        `2024-02-30,${row(1, '1')}`,
        `2024-01-31,${row(1, '29')}`,
        `2024-01-31,${row(7, '2')}`,
      ),
      { on_error: 'skip' },
    )
    expect(body).toMatchObject({ received: 6, inserted: 1, rejected: 5, unchanged: 0 })
    expect(body.errors).toMatchObject([
      { line: 2, column: 'loan_number', code: 'unknown_loan', value: 'L-7' },
      { line: 3, column: 'originated_on', code: 'snapshot_before_origination' },
      { line: 4, column: 'loan_number', code: 'duplicate', value: 'L-1' },
      { line: 5, column: 'as_of', code: 'date', value: '2024-02-30' },
      { line: 7, column: 'loan_number', code: 'unknown_loan', value: 'L-7' },
    ])
  })

  test('with upsert corrects what differs, in the columns of the file, and keeps what was known before', async ({
    owner,
    sql,
  }) => {
    const { id } = await newPortfolio(owner)
    await newLoan(owner, id, { loan_number: 'L-1' })
    await newLoan(owner, id, { loan_number: 'L-2' })
    const rated = `as_of,${balanceHeader},rating\n2024-01-31,${row(1, '30').trimEnd()},BB\n2024-01-31,${row(2, '5').trimEnd()},B\n`
    await importSnapshots(owner, id, rated)
    const file = tape(`2024-01-31,${row(1, '29')}`, `2024-01-31,${row(2, '5')}`, `2024-01-31,${row(3, '5')}`)
    const { body } = await importSnapshots(owner, id, file, { mode: 'upsert', on_error: 'skip' })
    expect(body).toMatchObject({ inserted: 0, updated: 1, unchanged: 1, rejected: 1, snapshots: 1 })
    const found = await sql`select balance::text, rating, version, known_to is null as holds, superseded_by_import
      from loan_versions where portfolio_id = ${id} and loan_number = 'L-1' order by version`
    expect(found).toEqual([
      { balance: '30.0000', rating: 'BB', version: 1, holds: false, superseded_by_import: body.id },
      { balance: '29.0000', rating: 'BB', version: 2, holds: true, superseded_by_import: null },
    ])
  })

  test('takes no as_of for all of its rows, and is no import of loans of the same file', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { body } = await importSnapshots(owner, id, tape(), { as_of: '2024-01-31' })
    expect(body.errors).toMatchObject([{ pointer: '/body/as_of', code: 'unknown_field' }])
    await importCsv(owner, id, tapeOf(1))
    const missing = await importSnapshots(owner, id, tapeOf(1))
    expect(missing.body).toMatchObject({ code: 'mapping_column_missing', detail: expect.stringContaining('"as_of"') })
  })
})
