import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import { newPortfolio } from '../../../helpers/credit.ts'
import { importCsv, balanceRow as row, balanceTape as tape, tapeOf } from '../../../helpers/imports.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

/** The snapshots of a portfolio, those that hold no more first. */
const snapshotsOf = (sql: postgres.Sql, portfolioId: string) =>
  sql`select loan_number, as_of::text, balance::text, status, version, import_id, superseded_by_import,
      known_to is null as holds, known_to >= known_from as ordered
    from loan_versions where portfolio_id = ${portfolioId} and as_of is not null
    order by loan_number, as_of, version`

const balancesOf = async (client: { get: (path: string) => Promise<{ body: { data: Row[] } }> }, id: string) =>
  (await client.get(`/loans?portfolio_id=${id}&sort=loan_number`)).body.data.map(
    ({ loan_number, balance, version }) => [loan_number, balance, version],
  )
type Row = { loan_number: string; balance: string | null; version: number }

describe('a tape with as_of', () => {
  test('writes a snapshot of every row, and its date becomes the portfolio’s', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const { status, body } = await importCsv(owner, id, tape(row(1, '100'), row(2, '200')), { as_of: '2024-01-31' })
    expect(status, JSON.stringify(body)).toBe(201)
    expect(body).toMatchObject({ as_of: '2024-01-31', inserted: 2, snapshots: 2 })
    const at = { as_of: '2024-01-31', import_id: body.id, version: 1, holds: true, superseded_by_import: null }
    expect(await snapshotsOf(sql, id)).toMatchObject([
      { loan_number: 'L-1', balance: '100.0000', ...at },
      { loan_number: 'L-2', balance: '200.0000', ...at },
    ])
    const portfolio = (await owner.get(`/portfolios/${id}`)).body
    expect(portfolio).toMatchObject({ as_of: '2024-01-31', version: 2 })
    expect(await eventsOf(sql, id)).toMatchObject([
      {},
      { action: 'portfolio.updated', before: { as_of: null }, after: { as_of: '2024-01-31' } },
    ])
    expect((await eventsOf(sql, body.id))[0]?.after).toMatchObject({ as_of: '2024-01-31', snapshots: 2 })
  })

  test('of the next month changes the loans that differ, keeps what they were, and reports those alike, too', async ({
    owner,
    sql,
  }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tape(row(1, '100'), row(2, '200')), { as_of: '2024-01-31' })
    const [loan] = (await owner.get(`/loans?portfolio_id=${id}&loan_number=L-1`)).body.data
    await owner.patch(`/loans/${loan.id}`, { rating: 'A' })
    const { body } = await importCsv(owner, id, tape(row(1, '90'), row(2, '200'), row(3, '300')), {
      as_of: '2024-02-29',
      mode: 'upsert',
    })
    expect(body).toMatchObject({ inserted: 1, updated: 1, unchanged: 1, snapshots: 3 })
    expect(await balancesOf(owner, id)).toEqual([
      ['L-1', '90.0000', 3],
      ['L-2', '200.0000', 1],
      ['L-3', '300.0000', 1],
    ])
    expect(
      await sql`select balance::text, rating, version, superseded_by_import from loan_versions
        where portfolio_id = ${id} and as_of is null order by version`,
    ).toEqual([
      { balance: '100.0000', rating: null, version: 1, superseded_by_import: null },
      { balance: '100.0000', rating: 'A', version: 2, superseded_by_import: body.id },
    ])
    const february = (await snapshotsOf(sql, id)).filter(({ as_of }) => as_of === '2024-02-29')
    expect(february.map(({ loan_number, balance }) => [loan_number, balance])).toEqual([
      ['L-1', '90.0000'],
      ['L-2', '200.0000'],
      ['L-3', '300.0000'],
    ])
    // What the tape does not tell of a loan is as it is.
    expect((await owner.get(`/loans/${loan.id}`)).body.rating).toBe('A')
    const [rated] = await sql`select rating from loan_versions where loan_id = ${loan.id} and as_of = '2024-02-29'`
    expect(rated?.rating).toBe('A')
  })

  test('that corrects an older date changes the snapshots that differ, and nothing else', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const months = ['2024-01-31', '2024-02-29', '2024-03-31']
    for (const [at, as_of] of months.entries())
      await importCsv(owner, id, tape(row(1, `${100 - at}`), row(2, '200')), { as_of, mode: 'upsert' })
    const before = await snapshotsOf(sql, id)
    const loans = await balancesOf(owner, id)
    const { body } = await importCsv(owner, id, tape(row(1, '95.5'), row(2, '200'), row(4, '400')), {
      as_of: '2024-02-29',
      mode: 'upsert',
    })
    expect(body).toMatchObject({ inserted: 1, updated: 0, unchanged: 2, snapshots: 2, rejected: 0 })
    expect((await balancesOf(owner, id)).filter(([number]) => number !== 'L-4')).toEqual(loans)
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBe('2024-03-31')
    const after = await snapshotsOf(sql, id)
    expect(after.filter(({ loan_number, as_of }) => loan_number === 'L-1' && as_of === '2024-02-29')).toMatchObject([
      { balance: '99.0000', version: 1, holds: false, ordered: true, superseded_by_import: body.id },
      { balance: '95.5000', version: 2, holds: true, import_id: body.id },
    ])
    expect(after.filter(({ loan_number }) => loan_number === 'L-4')).toMatchObject([{ as_of: '2024-02-29' }])
    const others = (rows: typeof before) =>
      rows.filter(
        ({ loan_number, as_of }) => loan_number !== 'L-4' && !(loan_number === 'L-1' && as_of === '2024-02-29'),
      )
    expect(others(after)).toEqual(others(before))
    const again = await importCsv(owner, id, tape(row(1, '95.5')), { as_of: '2024-02-29', mode: 'upsert' })
    expect(again.body).toMatchObject({ unchanged: 1, snapshots: 0 })
  })

  test('takes the last of several rows of a loan, and leaves no trace of the others', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tape(row(1, '1')), { as_of: '2024-01-31' })
    // Rows in between, so that the second row of a loan comes with another chunk.
    const between = Array.from({ length: 40_000 }, (_, at) => row(`x${at}`, '5')).join('')
    const { body } = await importCsv(owner, id, tape(row(1, '2'), row(2, '2'), between, row(1, '3'), row(2, '3')), {
      as_of: '2024-01-31',
      mode: 'upsert',
    })
    expect(body).toMatchObject({ received: 40_004, inserted: 40_001, updated: 1, unchanged: 2, snapshots: 40_002 })
    expect((await balancesOf(owner, id)).slice(0, 2)).toEqual([
      ['L-1', '3.0000', 2],
      ['L-2', '3.0000', 1],
    ])
    const told = await sql`select loan_number, as_of is null as edit, balance::text, version, known_to is null as holds
      from loan_versions where portfolio_id = ${id} and loan_number in ('L-1', 'L-2') order by loan_number, edit, version`
    expect(told).toEqual([
      { loan_number: 'L-1', edit: false, balance: '1.0000', version: 1, holds: false },
      { loan_number: 'L-1', edit: false, balance: '3.0000', version: 2, holds: true },
      { loan_number: 'L-1', edit: true, balance: '1.0000', version: 1, holds: false },
      { loan_number: 'L-2', edit: false, balance: '3.0000', version: 1, holds: true },
    ])
  })

  test('that inserts rejects loans that are there, and reports only those that it made', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tape(row(1, '1')))
    const { body } = await importCsv(owner, id, tape(row(1, '2'), row(2, '2')), {
      as_of: '2024-01-31',
      on_error: 'skip',
    })
    expect(body).toMatchObject({ inserted: 1, rejected: 1, snapshots: 1, errors: [{ line: 2, code: 'duplicate' }] })
    expect(await snapshotsOf(sql, id)).toMatchObject([{ loan_number: 'L-2' }])
  })

  test('rejects a loan that was made after that date', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const file = tape(row(1, '1', 'current', '2024-02-01'), row(2, '1', 'current', '2024-01-31'))
    const { body } = await importCsv(owner, id, file, { as_of: '2024-01-31', on_error: 'skip' })
    expect(body).toMatchObject({ inserted: 1, snapshots: 1 })
    expect(body.errors).toMatchObject([
      { line: 2, column: 'originated_on', value: '2024-02-01', code: 'snapshot_before_origination' },
    ])
  })

  test('leaves nothing when it is aborted or a dry run', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const dry = await importCsv(owner, id, tapeOf(3), { as_of: '2024-01-31', dry_run: true })
    expect(dry.body).toMatchObject({ snapshots: 3, inserted: 3 })
    const bad = await importCsv(owner, id, `${tapeOf(3)}L-9,,USD,2020-01-31,1,current\n`, { as_of: '2024-01-31' })
    expect(bad.body.code).toBe('import_rejected')
    expect((await owner.get(`/imports/${bad.body.import_id}`)).body.snapshots).toBe(0)
    expect(await snapshotsOf(sql, id)).toEqual([])
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBeNull()
  })

  test('that is no date is refused by its name', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const as_of of ['2024-02-30', '31.1.2024', 'today', '']) {
      const { body } = await importCsv(owner, id, tapeOf(1), { as_of })
      expect(body.errors, as_of).toMatchObject([{ pointer: '/body/as_of', code: 'date' }])
    }
  })
})
