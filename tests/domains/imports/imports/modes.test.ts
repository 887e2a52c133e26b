import { describe, expect } from 'vitest'
import { newPortfolio } from '../../../helpers/credit.ts'
import { countLoans, header, importCsv, rowsOf, tapeOf } from '../../../helpers/imports.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const badRow = 'L-9,,USD,2020-01-31,1,current\n'

describe('an import that aborts on errors', () => {
  test('loads nothing when a row is bad, tells every bad row, and keeps them to be downloaded', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { status, body } = await importCsv(owner, id, tapeOf(3) + badRow + rowsOf(2, 20) + badRow)
    expect(status).toBe(422)
    expect(body).toMatchObject({ code: 'import_rejected', detail: expect.stringContaining('2 of 7') })
    expect(await countLoans(owner, id)).toBe(0)
    const told = await owner.get(`/imports/${body.import_id}`)
    expect(told.body).toMatchObject({ status: 'failed', received: 7, rejected: 2, inserted: 0 })
    expect(told.body.errors.map(({ line }: { line: number }) => line)).toEqual([5, 8])
    const { text } = await owner.get(`/imports/${body.import_id}/rejects`)
    expect(text).toBe(`${header},_errors\r\n${`${badRow.trimEnd()},borrower_name is required\r\n`.repeat(2)}`)
  })

  test('has the planner know at once how much there is now', async ({ api, owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const estimate = async () => {
      const [row] = await sql`select reltuples::int as rows from pg_class where relname = 'loans'`
      return row?.rows as number
    }
    await api.app.pools.requests.sql`analyze loans`
    const before = await estimate()
    await importCsv(owner, id, tapeOf(60 + Math.ceil(before / 5)))
    expect(await estimate()).toBe(before + 60 + Math.ceil(before / 5))
  })

  test('is the default, and loads every row of a good file', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const { status, body } = await importCsv(owner, id, tapeOf(1_000))
    expect(status).toBe(201)
    expect(body).toMatchObject({
      mode: 'insert',
      on_error: 'abort',
      dry_run: false,
      inserted: 1_000,
      created_by: owner.id,
    })
    expect(body.duration_ms).toBe(Date.parse(body.finished_at) - Date.parse(body.started_at))
    expect(await countLoans(owner, id)).toBe(1_000)
    expect((await owner.get(`/loans?portfolio_id=${id}&limit=1`)).body.data[0].import_id).toBe(body.id)
    expect(await eventsOf(sql, body.id)).toMatchObject([
      { action: 'import.completed', actor_id: owner.id, after: { portfolio_id: id, inserted: 1_000 } },
    ])
  })
})

describe('inserting', () => {
  test('rejects a loan that is there already, in the table or earlier in the file', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tapeOf(2))
    const file = `${header}\n${rowsOf(4, 2)}${rowsOf(1, 4)}`
    const { body } = await importCsv(owner, id, file, { on_error: 'skip' })
    expect(body).toMatchObject({ received: 5, inserted: 3, rejected: 2, unchanged: 0 })
    expect(body.errors).toMatchObject([
      { line: 2, column: 'loan_number', code: 'duplicate', value: 'L-2' },
      { line: 6, column: 'loan_number', code: 'duplicate', value: 'L-4' },
    ])
    const again = await importCsv(owner, id, `${header}\n${rowsOf(1, 5)}${rowsOf(1, 50)}`)
    expect(again.body.code).toBe('import_rejected')
    expect(await countLoans(owner, id)).toBe(5)
  })

  test('loads a file of many chunks, some of which have duplicates', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, `${header}\n${rowsOf(1, 30_000)}`)
    const { body } = await importCsv(owner, id, `${tapeOf(40_000)}${rowsOf(1, 7)}`, { on_error: 'skip' })
    expect(body).toMatchObject({ received: 40_001, inserted: 39_999, rejected: 2 })
    expect(body.errors).toMatchObject([
      { line: 30_001, value: 'L-30000' },
      { line: 40_002, value: 'L-7' },
    ])
    expect(await countLoans(owner, id)).toBe(40_000)
  })

  test('the same file twice into one portfolio is refused unless forced', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const first = await importCsv(owner, id, tapeOf(2), { dry_run: true })
    expect(first.body.sha256).toMatch(/^[0-9a-f]{64}$/)
    const { body } = await importCsv(owner, id, tapeOf(2))
    const again = await importCsv(owner, id, tapeOf(2), { on_error: 'skip' })
    expect(again.body).toMatchObject({
      status: 409,
      code: 'already_imported',
      detail: expect.stringContaining(body.id),
    })
    expect((await owner.get(`/imports/${again.body.import_id}`)).body).toMatchObject({ status: 'failed', inserted: 0 })
    expect((await importCsv(owner, id, tapeOf(2), { force: true, on_error: 'skip' })).body).toMatchObject({
      rejected: 2,
    })
    expect((await importCsv(owner, id, tapeOf(2), { mode: 'upsert' })).body).toMatchObject({ unchanged: 2 })
    const elsewhere = await newPortfolio(owner)
    expect((await importCsv(owner, elsewhere.id, tapeOf(2))).body).toMatchObject({ inserted: 2 })
  })
})

describe('upserting', () => {
  test('inserts what is new, updates what differs in a mapped column and leaves the rest as it was', async ({
    owner,
  }) => {
    const { id } = await newPortfolio(owner)
    const columns = `${header},state,term_months`
    const row = (number: number, state: string, term: string) => `${rowsOf(1, number).trimEnd()},${state},${term}\n`
    await importCsv(owner, id, `${columns}\n${row(1, 'IN', '12')}${row(2, 'OH', '12')}${row(3, 'NY', '')}`)
    const before = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    const second = await importCsv(
      owner,
      id,
      `${columns}\n${row(1, 'IN', '12')}${row(2, 'OH', '24')}${row(3, '', '')}${row(4, 'CA', '')}`,
      {
        mode: 'upsert',
      },
    )
    expect(second.body).toMatchObject({ received: 4, inserted: 1, updated: 2, unchanged: 1, rejected: 0 })
    const { body } = await owner.get(`/loans?portfolio_id=${id}&sort=loan_number`)
    const [first, ...others] = body.data
    expect(first).toEqual(before.body.data[0])
    expect(others).toMatchObject([
      {
        loan_number: 'L-2',
        state: 'OH',
        term_months: 24,
        matures_on: '2022-01-31',
        version: 2,
        import_id: second.body.id,
      },
      { loan_number: 'L-3', state: null, version: 2, import_id: second.body.id },
      { loan_number: 'L-4', state: 'CA', version: 1 },
    ])
    expect(others[0].created_at).toBe(before.body.data[1].created_at)
    const third = await importCsv(owner, id, `${header}\n${rowsOf(4)}`, { mode: 'upsert' })
    expect(third.body).toMatchObject({ unchanged: 4, updated: 0 })
    const fourth = await owner.get(`/loans?portfolio_id=${id}&loan_number=L-2`)
    expect(fourth.body.data[0]).toMatchObject({ state: 'OH', term_months: 24, version: 2 })
  })

  test('takes the last of several rows with one key', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const row = (status: string) => `L-1,ABC,USD,2020-01-31,1,${status}\n`
    const { body } = await importCsv(owner, id, `${header}\n${row('current')}${row('paid')}${row('sold')}`, {
      mode: 'upsert',
    })
    expect(body).toMatchObject({ received: 3, inserted: 1, updated: 0, unchanged: 2, rejected: 0 })
    const { body: found } = await owner.get(`/loans?portfolio_id=${id}`)
    expect(found.data).toMatchObject([{ status: 'sold', version: 1 }])
  })
})

describe('a dry run', () => {
  test('tells what would happen and changes nothing', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tapeOf(2))
    const { status, body } = await importCsv(owner, id, `${tapeOf(4)}${badRow}`, {
      mode: 'upsert',
      dry_run: true,
      on_error: 'skip',
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'completed', dry_run: true, inserted: 2, unchanged: 2, rejected: 1 })
    expect(await countLoans(owner, id)).toBe(2)
    expect((await owner.get(`/imports/${body.id}/rejects`)).text).toContain('L-9')
    const real = await importCsv(owner, id, `${tapeOf(4)}${badRow}`, { on_error: 'skip' })
    expect(real.body).toMatchObject({ inserted: 2 })
  })
})

describe('imports', () => {
  test('are listed newest first, by status, portfolio and target', async ({ owner }) => {
    const [one, two] = [await newPortfolio(owner), await newPortfolio(owner)]
    const ids: string[] = []
    for (const { id } of [one, two, one])
      ids.unshift((await importCsv(owner, id, tapeOf(1), { force: true, on_error: 'skip' })).body.id)
    const failed = (await importCsv(owner, two.id, '')).body.import_id
    const idsOf = async (query: string) =>
      (await owner.get(`/imports?${query}`)).body.data.map(({ id }: { id: string }) => id)
    expect(await idsOf('')).toEqual([failed, ...ids])
    expect(await idsOf('status=failed')).toEqual([failed])
    expect(await idsOf(`portfolio_id=${one.id}&target=loans`)).toEqual([ids[0], ids[2]])
    expect(await idsOf('target=other')).toEqual([])
    const page = await owner.get('/imports?limit=2')
    expect(await idsOf(`limit=2&cursor=${page.body.next_cursor}`)).toEqual(ids.slice(1))
  })

  test('are found by what was asked, by whom and when, and come as CSV and NDJSON, too', async ({ api, owner }) => {
    const { id } = await newPortfolio(owner)
    const first = (await importCsv(owner, id, tapeOf(1), { as_of: '2024-01-31' })).body
    const manager = await api.newUser(owner, 'portfolio_manager')
    const second = (await importCsv(manager, id, tapeOf(2), { mode: 'upsert', dry_run: true })).body
    const found = async (query: string) =>
      (await owner.get(`/imports?sort=started_at&${query}`)).body.data.map((one: { id: string }) => one.id)
    expect(await found('mode=upsert')).toEqual([second.id])
    expect(await found('dry_run=false')).toEqual([first.id])
    expect(await found('as_of=2024-01-31')).toEqual([first.id])
    expect(await found(`created_by=${manager.id}`)).toEqual([second.id])
    expect(await found(`started_at_gte=${second.started_at}`)).toEqual([second.id])
    expect(await found(`started_at_lte=${first.started_at}`)).toEqual([first.id])
    const csv = await owner.get('/imports?sort=started_at', { accept: 'text/csv' })
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8')
    const [head, ...lines] = csv.text.trimEnd().split('\r\n')
    expect(head).toMatch(/^id,portfolio_id,target,status,mode,/)
    expect(lines.map((line) => line.slice(0, 36))).toEqual([first.id, second.id])
    const ndjson = await owner.get('/imports?mode=insert', { accept: 'application/x-ndjson' })
    expect(JSON.parse(ndjson.text)).toMatchObject({ id: first.id, snapshots: 1 })
  })

  test('have the id that the client chose, once', async ({ owner, api }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const id = '01a1fc48-63df-70bb-aa5f-4adae57bd6a5'
    expect((await importCsv(owner, portfolio, tapeOf(1), { id })).body.id).toBe(id)
    const again = await importCsv(owner, portfolio, tapeOf(2), { id, mode: 'upsert' })
    expect(again.body).toMatchObject({ status: 409, code: 'already_exists', errors: [{ pointer: '/body/id' }] })
    expect(await countLoans(owner, portfolio)).toBe(1)
    const stranger = await api.newOwner()
    expect((await stranger.get(`/imports/${id}`)).status).toBe(404)
    expect((await stranger.get(`/imports/${id}/rejects`)).status).toBe(404)
    const theirs = await newPortfolio(stranger)
    expect((await importCsv(stranger, theirs.id, tapeOf(1), { id })).status).toBe(201)
  })
})

describe('an Idempotency-Key', () => {
  const key = { 'idempotency-key': 'tape of June' }

  test('makes a repeated import answer what the first did, without running', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const headers = { 'idempotency-key': 'june' }
    const first = await importCsv(owner, id, tapeOf(2), {}, headers)
    const second = await importCsv(owner, id, tapeOf(2), {}, headers)
    expect(second.status).toBe(201)
    expect(second.body).toEqual(first.body)
    expect(second.headers.location).toBe(first.headers.location)
    for (const other of [
      importCsv(owner, id, tapeOf(3), {}, headers),
      importCsv(owner, id, tapeOf(2), { mode: 'upsert' }, headers),
    ])
      expect((await other).body).toMatchObject({ status: 422, code: 'idempotency_mismatch' })
    expect(await countLoans(owner, id)).toBe(2)
  })

  test('is free again after an import that failed', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const headers = { 'idempotency-key': 'july' }
    expect((await importCsv(owner, id, tapeOf(1) + badRow, {}, headers)).status).toBe(422)
    expect((await importCsv(owner, id, tapeOf(1), {}, headers)).status).toBe(201)
  })

  test('that is malformed is refused', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    expect((await importCsv(owner, id, tapeOf(1), {}, key)).body.code).toBe('invalid_idempotency_key')
  })
})
