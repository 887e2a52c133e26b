import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import {
  countLoans,
  importCsv,
  importInto,
  balanceRow as row,
  balanceTape as tape,
  tapeOf,
} from '../../../helpers/imports.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const rollBack = (client: Person, id: string) => client.post(`/imports/${id}/rollback`)

/** What the loans of a portfolio say, without what every change raises. */
const contentOf = async (client: Person, portfolioId: string) => {
  const { body } = await client.get(`/loans?portfolio_id=${portfolioId}&sort=loan_number`)
  return body.data.map(({ version: _, updated_at: __, ...loan }: Record<string, unknown>) => loan)
}

/** What holds as reported for dates. */
const reportedOf = async (sql: postgres.Sql, portfolioId: string) => [
  ...(await sql`select loan_number, as_of::text, balance::text, import_id from loan_versions
      where portfolio_id = ${portfolioId} and as_of is not null and known_to is null order by as_of, loan_number`),
]

const january = { as_of: '2024-01-31' }
const february = { as_of: '2024-02-29', mode: 'upsert' }

describe('rolling an import back', () => {
  test('is for an open portfolio', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const { body } = await importCsv(owner, id, tapeOf(2))
    await owner.post(`/portfolios/${id}/archive`)
    expect((await rollBack(owner, body.id)).body).toMatchObject({ status: 409, code: 'portfolio_archived' })
    expect(await countLoans(owner, id)).toBe(2)
    await owner.post(`/portfolios/${id}/unarchive`)
    expect((await rollBack(owner, body.id)).status).toBe(200)
  })

  test('deletes what it inserted, keeps it as versions, and lets the same file be imported again', async ({
    owner,
    sql,
  }) => {
    const { id } = await newPortfolio(owner)
    const { body } = await importCsv(owner, id, tapeOf(3), january)
    const { status, body: undone } = await rollBack(owner, body.id)
    expect(status, JSON.stringify(undone)).toBe(200)
    expect(undone).toMatchObject({
      id: body.id,
      status: 'rolled_back',
      inserted: 3,
      rolled_back_at: expect.any(String),
    })
    expect(await countLoans(owner, id)).toBe(0)
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBeNull()
    expect(await reportedOf(sql, id)).toEqual([])
    const versions =
      await sql`select as_of is null as edit, version, import_id, superseded_by_user, known_to >= known_from as closed
      from loan_versions where portfolio_id = ${id}`
    const kept = { version: 1, import_id: body.id, superseded_by_user: owner.id, closed: true }
    expect(versions.filter(({ edit }) => edit)).toEqual(Array(3).fill({ edit: true, ...kept }))
    expect(versions.filter(({ edit }) => !edit)).toEqual(Array(3).fill({ edit: false, ...kept }))
    expect((await eventsOf(sql, body.id)).at(-1)).toMatchObject({
      action: 'import.rolled_back',
      actor_id: owner.id,
      before: { inserted: 3, updated: 0, as_of: '2024-01-31', snapshots: 3 },
    })
    expect((await rollBack(owner, body.id)).body).toMatchObject({ status: 409, code: 'invalid_state' })
    const again = await importCsv(owner, id, tapeOf(3), january)
    expect(again.body).toMatchObject({ status: 'completed', inserted: 3, snapshots: 3 })
    expect((await rollBack(owner, again.body.id)).status).toBe(200)
  })

  test('gives changed loans and corrected snapshots back what they were, newest import first', async ({
    owner,
    sql,
  }) => {
    const { id } = await newPortfolio(owner)
    const first = await importCsv(owner, id, tape(row(1, '100'), row(2, '200')), january)
    const atFirst = [await contentOf(owner, id), await reportedOf(sql, id)]
    const second = await importCsv(owner, id, tape(row(1, '90'), row(2, '200'), row(3, '300')), february)
    const atSecond = [await contentOf(owner, id), await reportedOf(sql, id)]
    const third = await importCsv(owner, id, tape(row(1, '80'), row(2, '210'), row(3, '300')), february)
    expect(third.body).toMatchObject({ updated: 2, unchanged: 1, snapshots: 2 })

    expect((await rollBack(owner, second.body.id)).body).toMatchObject({
      status: 409,
      code: 'import_changed',
      detail: expect.stringContaining('3 of 5'),
    })
    expect((await rollBack(owner, third.body.id)).status).toBe(200)
    expect([await contentOf(owner, id), await reportedOf(sql, id)]).toEqual(atSecond)
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBe('2024-02-29')
    expect((await rollBack(owner, second.body.id)).status).toBe(200)
    expect([await contentOf(owner, id), await reportedOf(sql, id)]).toEqual(atFirst)
    expect((await owner.get(`/portfolios/${id}`)).body.as_of).toBe('2024-01-31')
    const [loan] = (await owner.get(`/loans?portfolio_id=${id}&loan_number=L-1`)).body.data
    expect(loan).toMatchObject({ balance: '100.0000', version: 5, import_id: first.body.id })
    expect(
      await sql`select version, balance::text from loan_versions where loan_id = ${loan.id} and as_of is null order by version`,
    ).toEqual([
      { version: 1, balance: '100.0000' },
      { version: 2, balance: '90.0000' },
      { version: 3, balance: '80.0000' },
      { version: 4, balance: '90.0000' },
    ])
    expect((await rollBack(owner, first.body.id)).status).toBe(200)
    expect(await countLoans(owner, id)).toBe(0)
  })

  const changes: [
    string,
    (owner: Person, loanId: string, portfolioId: string, sql: postgres.Sql) => Promise<unknown>,
  ][] = [
    ['was edited', (owner, loan) => owner.patch(`/loans/${loan}`, { state: 'OH' })],
    [
      'was edited and then edited back',
      async (owner, loan) => {
        await owner.patch(`/loans/${loan}`, { state: 'OH' })
        await owner.patch(`/loans/${loan}`, { state: null })
      },
    ],
    ['was deleted', (owner, loan) => owner.delete(`/loans/${loan}`)],
    [
      'was changed by a later import',
      (owner, _loan, id) => importCsv(owner, id, tape(row(1, '7')), { mode: 'upsert' }),
    ],
    [
      'was reported for another date since',
      (owner, _loan, id) => importCsv(owner, id, tape(row(1, '1')), { mode: 'upsert', as_of: '2024-01-31' }),
    ],
    [
      'is on a watch list',
      (owner, loan, _id, sql) => sql`
        with list as (insert into watch_lists (org_id, id, name) values (${owner.orgId}, gen_random_uuid(), 'Eyes')
          returning org_id, id)
        insert into watch_list_entries (org_id, id, watch_list_id, loan_id)
        select org_id, gen_random_uuid(), id, ${loan} from list`,
    ],
    [
      'was rated',
      (owner, loan, id, sql) => sql`
        with scale as (insert into rating_scales (org_id, id, name, grades)
          values (${owner.orgId}, gen_random_uuid(), 'Own', '[]') returning org_id, id)
        insert into rating_history (org_id, id, portfolio_id, loan_id, scale_id, action, effective_from)
        select org_id, gen_random_uuid(), ${id}, ${loan}, id, 'assign', '2024-01-01' from scale`,
    ],
  ]
  for (const [title, change] of changes)
    test(`is refused when a loan that it inserted ${title}, and changes nothing then`, async ({ owner, sql }) => {
      const { id } = await newPortfolio(owner)
      const { body } = await importCsv(owner, id, tape(row(1, '1'), row(2, '2')))
      const [loan] = (await owner.get(`/loans?portfolio_id=${id}&loan_number=L-1`)).body.data
      await change(owner, loan.id, id, sql)
      const before = await contentOf(owner, id)
      const refused = await rollBack(owner, body.id)
      expect(refused.body).toMatchObject({
        status: 409,
        code: 'import_changed',
        detail: expect.stringContaining('1 of 2'),
      })
      expect(await contentOf(owner, id)).toEqual(before)
      expect((await owner.get(`/imports/${body.id}`)).body.status).toBe('completed')
    })

  test('is only for a completed import that loaded something', async ({ owner, api }) => {
    const { id } = await newPortfolio(owner)
    const dry = await importCsv(owner, id, tapeOf(1), { dry_run: true })
    const failed = await importCsv(owner, id, 'a\n')
    for (const [one, word] of [
      [dry.body.id, 'dry run'],
      [failed.body.import_id, 'failed'],
    ])
      expect((await rollBack(owner, one)).body).toMatchObject({
        code: 'invalid_state',
        detail: expect.stringContaining(word),
      })
    const member = await api.newUser(owner, 'member')
    expect((await rollBack(member, dry.body.id)).status).toBe(403)
    expect((await rollBack(await api.newOwner(), dry.body.id)).status).toBe(404)
  })

  test('of snapshots has those before hold again, and leaves the loans alone', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    await importCsv(owner, id, tape(row(1, '100'), row(2, '200')), january)
    const before = [await contentOf(owner, id), await reportedOf(sql, id)]
    const head = 'as_of,loan_number,borrower_name,currency,originated_on,original_principal,status,balance\n'
    const file = `${head}2024-01-31,${row(1, '99')}2023-12-31,${row(2, '210')}`
    const { body } = await importInto('snapshots')(owner, id, file, { mode: 'upsert' })
    expect(body).toMatchObject({ inserted: 1, updated: 1, snapshots: 2 })
    expect((await rollBack(owner, body.id)).status).toBe(200)
    expect([await contentOf(owner, id), await reportedOf(sql, id)]).toEqual(before)
  })
})
