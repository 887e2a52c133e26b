import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect } from 'vitest'
import { csvRecord } from '../../../../src/lib/csv.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { importCsv } from '../../../helpers/imports.ts'
import { test } from '../../../helpers/sql.ts'

const csv = { accept: 'text/csv' }
/** What a page says, as CSV has it. */
const cells = (loan: Record<string, unknown>) =>
  Object.values(loan).map((value) => (value === null ? '' : typeof value === 'object' ? '{}' : String(value)))

describe('the loans as CSV', () => {
  test('are what the pages say, quoted and escaped alike', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const names = [
      '=1+1',
      '+x',
      '-5',
      '-5.25',
      '-5x',
      '@a',
      '\tb',
      'a,b',
      'say "no"',
      'two\nlines',
      'a\r\nb',
      "'=x",
      'ß€😀',
      ...[' =1', '\n@b', '\nb', '\u00a0-1', '\ufeff+1', '\uff1d1', '\u3000\uff0d1', '- 1', '~=1'],
    ]
    for (const [at, borrower_name] of names.entries())
      await newLoan(owner, id, { borrower_name, loan_number: `N${at}`, balance: `-${at}.50`, country: null })
    const path = `/loans?portfolio_id=${id}&sort=loan_number`
    const { data } = (await owner.get(path)).body
    const expected = [Object.keys(data[0]), ...data.map(cells)].map(csvRecord).join('')
    const answer = await owner.get(path, csv)
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/csv; charset=utf-8'])
    expect(answer.text).toBe(expected)
    expect((await owner.get(path, { accept: 'application/x-ndjson' })).text.trim().split('\n')).toHaveLength(
      names.length,
    )
  })

  test('can be changed and sent back: only what was changed is', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const attributes = { channel: 'broker', score: 712, __proto__x: null, vip: true }
    await newLoan(owner, id, { loan_number: 'A', borrower_name: '=1+1', balance: '10.5', attributes })
    await newLoan(owner, id, { loan_number: 'B', balance: '20', attributes })
    const path = `/loans?portfolio_id=${id}&sort=loan_number`
    const [a, b] = (await owner.get(path)).body.data
    const { text } = await owner.get(path, csv)
    const sent = await importCsv(owner, id, text.replace(',20.0000,', ',19.5,'), { mode: 'upsert' })
    expect(sent.body).toMatchObject({ status: 'completed', inserted: 0, updated: 1, unchanged: 1, rejected: 0 })
    const [same, other] = (await owner.get(path)).body.data
    expect(same).toEqual(a)
    const { import_id, version, updated_at } = other
    expect(other).toEqual({ ...b, balance: '19.5000', import_id, version, updated_at })
  })

  test('are those of every filter, in every order, and of any time', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const loan = await newLoan(owner, id, { loan_number: "O'Hara; --", balance: '10', days_past_due: 5, stage: 2 })
    await newLoan(owner, id, { loan_number: 'B', balance: null })
    await sql`select pg_sleep(0.005)`
    const numbers = async (query: string) =>
      (await owner.get(`/loans?portfolio_id=${id}&${query}`, csv)).text
        .trim()
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(',')[2])
    const name = encodeURIComponent("O'Hara; --")
    for (const query of [
      ...[
        `loan_number=${name}`,
        `q=${encodeURIComponent("o'hara")}`,
        'status_in=current,paid&stage=2',
        'balance_gte=10',
      ],
      ...['days_past_due_lte=5&originated_on_gte=2020-01-31&balance_lte=10.00', `loan_number=${name}&sort=-created_at`],
    ])
      expect([query, await numbers(query)]).toEqual([query, ["O'Hara; --"]])
    expect(await numbers('sort=balance')).toEqual(["O'Hara; --", 'B'])
    expect(await numbers('sort=-balance')).toEqual(["O'Hara; --", 'B'])
    expect(await numbers("loan_number=x' or '1'='1")).toEqual([])
    await owner.delete(`/loans/${loan.id}`)
    expect(await numbers('')).toEqual(['B'])
    expect(await numbers(`known_at=${loan.created_at}`)).toContain("O'Hara; --")
    const early = await owner.get(`/loans?portfolio_id=${id}&as_of=2020-12-31`, csv)
    expect([early.status, early.body.code]).toEqual([422, 'as_of_without_snapshots'])
  })

  test('of another organisation are none', async ({ api, owner }) => {
    const loan = await newLoan(owner, (await newPortfolio(owner)).id)
    const other = await api.newOwner()
    for (const query of ['', `?portfolio_id=${loan.portfolio_id}`])
      expect((await other.get(`/loans${query}`, csv)).text.trim().split('\r\n')).toHaveLength(1)
  })

  test('end in the database when the client leaves, and the connection serves the next', async ({
    api,
    owner,
    sql,
  }) => {
    const { id } = await newPortfolio(owner)
    const { id: loan } = await newLoan(owner, id, { borrower_group: 'x'.repeat(300) })
    const [{ columns }] = (await sql`
      select string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
      where table_name = 'loans' and column_name not in ('id', 'loan_number')`) as [{ columns: string }]
    await sql.unsafe(`insert into loans (id, loan_number, ${columns})
      select gen_random_uuid(), number, ${columns} from loans, generate_series(1, 60000) as number where id = '${loan}'`)
    await api.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = api.app.server.address() as AddressInfo
    const headers = { ...csv, authorization: `Bearer ${owner.token}` }
    const exporting = async () =>
      (
        await sql`select from pg_stat_activity where application_name = 'tenon-export' and datname = current_database()
          and state = 'active' and backend_type = 'client backend'`
      ).length
    for (let round = 0; round < 3; round++) {
      const request = http.get({ port, host: '127.0.0.1', path: '/api/v1/loans', headers, agent: false })
      const [answer] = (await once(request, 'response')) as [http.IncomingMessage]
      await once(answer, 'readable')
      expect(await exporting()).toBe(1)
      answer.on('error', () => undefined)
      answer.destroy()
      await expect.poll(exporting, { timeout: 10_000, interval: 20 }).toBe(0)
    }
    const whole = await owner.get('/loans', csv)
    expect(whole.text.trimEnd().split('\r\n')).toHaveLength(60_002)
  })
})
