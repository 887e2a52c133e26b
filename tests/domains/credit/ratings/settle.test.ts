import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import type { TenantScope } from '../../../../src/db/scope.ts'
import { ratingTarget } from '../../../../src/domains/credit/ratings/imported/queries.ts'
import type { Api, Person } from '../../../helpers/api.ts'
import { newLoan, newPortfolio, newScale } from '../../../helpers/credit.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

type Row = { grade?: string | null; from: string; to?: string; action?: string }

/** What an import does around its rows: they are put in, settled, and all of it is undone where that fails. */
class Importer {
  readonly #api: Api
  readonly #scope: TenantScope
  readonly portfolioId: string
  readonly scaleId: string

  constructor(api: Api, owner: Person, portfolioId: string, scaleId: string) {
    const actor = { user_id: owner.id, principal: `user:${owner.id}`, request_id: 'test', ip: '127.0.0.1' }
    this.#api = api
    this.#scope = { db: api.app.pools.requests.db, org_id: owner.orgId, actor }
    this.portfolioId = portfolioId
    this.scaleId = scaleId
  }

  /** @returns the import's id, or the code and the words of its failure */
  async load(rows: [loanId: string, ...Row[]][]): Promise<string> {
    const importId = randomUUID()
    const { org_id } = this.#scope
    return this.#api.app.pools.requests
      .transaction(async (db, sql) => {
        for (const [loan_id, ...ratings] of rows)
          for (const { grade = null, from, to = null, action = null } of ratings)
            await sql`
              insert into rating_history (org_id, id, portfolio_id, loan_id, scale_id, grade, action, effective_from, effective_to, import_id)
              values (${org_id}, ${randomUUID()}, ${this.portfolioId}, ${loan_id}, ${this.scaleId}, ${grade}, ${action}, ${from}, ${to}, ${importId})`
        await ratingTarget.settle?.({ ...this.#scope, db }, this.portfolioId, importId)
        return importId
      })
      .catch((error: { code?: string; message: string }) => `${error.code}: ${error.message}`)
  }

  /** Rolls an import back. */
  undo = (importId: string) =>
    this.#api.app.pools.requests.transaction(async (db, sql) => {
      await ratingTarget.unsettle?.({ ...this.#scope, db }, this.portfolioId, importId)
      await sql`delete from rating_history where org_id = ${this.#scope.org_id} and import_id = ${importId}`
    })

  open = () => ratingTarget.open?.(this.#scope, this.portfolioId, {})
}

const test = base.extend<{ importer: Importer }>({
  importer: async ({ api, owner }, use) => {
    const scale = await newScale(owner)
    const portfolio = await newPortfolio(owner, { rating_scale_id: scale.id })
    await use(new Importer(api, owner, portfolio.id, scale.id))
  },
})

const told = async (owner: Person, loanId: string) =>
  (await owner.get(`/loans/${loanId}/ratings`)).body.data.map(
    (one: Record<string, unknown>) =>
      `${one.grade} ${one.effective_from}..${one.effective_to} ${one.action} ${one.pd} v${one.version}`,
  )
const ratingOf = async (owner: Person, loanId: string) => (await owner.get(`/loans/${loanId}`)).body.rating

test('imported ratings are completed as if they had been entered one by one', async ({ owner, importer, sql }) => {
  const [one, other] = [await newLoan(owner, importer.portfolioId), await newLoan(owner, importer.portfolioId)]
  const id = await importer.load([
    [
      one.id,
      { grade: 'A', from: '2021-01-01' },
      { grade: 'C', from: '2022-01-01' },
      { from: '2024-01-01', action: 'withdraw' },
    ],
    [other.id, { grade: 'B', from: '2021-01-01', to: '2021-07-01' }, { grade: 'B', from: '2022-01-01' }],
  ])
  expect(await told(owner, one.id)).toEqual([
    'A 2021-01-01..2022-01-01 assign 0.00100000 v1',
    'C 2022-01-01..2024-01-01 downgrade null v1',
    'null 2024-01-01..null withdraw null v1',
  ])
  expect(await told(owner, other.id)).toEqual([
    'B 2021-01-01..2021-07-01 assign 0.02000000 v1',
    'B 2022-01-01..null assign 0.02000000 v1',
  ])
  expect([await ratingOf(owner, one.id), await ratingOf(owner, other.id)]).toEqual([null, 'B'])
  expect(
    await sql`select loan_id, superseded_by_import from loan_versions where loan_id in ${sql([one.id, other.id])}`,
  ).toEqual([{ loan_id: other.id, superseded_by_import: id }])
  expect((await eventsOf(sql, importer.portfolioId)).at(-1)).toMatchObject({
    action: 'portfolio.ratings_followed',
    after: { loans: 1 },
  })
})

test('an import between ratings that are there changes their neighbours only', async ({ owner, importer }) => {
  const { id } = await newLoan(owner, importer.portfolioId)
  for (const [grade, effective_from] of [
    ['B', '2021-01-01'],
    ['A', '2023-01-01'],
    ['B', '2024-01-01'],
  ])
    await owner.post('/ratings', { loan_id: id, grade, effective_from })
  await importer.load([[id, { grade: 'A', from: '2022-01-01' }]])
  expect(await told(owner, id)).toEqual([
    'B 2021-01-01..2022-01-01 assign 0.02000000 v3',
    'A 2022-01-01..2023-01-01 upgrade 0.00100000 v1',
    'A 2023-01-01..2024-01-01 affirm 0.00100000 v3',
    'B 2024-01-01..null downgrade 0.02000000 v1',
  ])
})

describe('a history that breaks the rules fails the import with the numbers of its loans', () => {
  const faults: [string, Row[]][] = [
    ['rating_before_origination', [{ grade: 'A', from: '2020-01-30' }]],
    [
      'rating_overlap',
      [
        { grade: 'A', from: '2021-01-01', to: '2022-01-02' },
        { grade: 'B', from: '2022-01-01' },
      ],
    ],
    [
      'rating_after_default',
      [
        { grade: 'D', from: '2021-01-01' },
        { grade: 'B', from: '2022-01-01' },
      ],
    ],
    [
      'rating_after_default',
      [
        { grade: 'D', from: '2021-01-01' },
        { grade: 'D', from: '2022-01-01' },
      ],
    ],
    [
      'rating_action_mismatch',
      [
        { grade: 'A', from: '2021-01-01' },
        { grade: 'B', from: '2022-01-01', action: 'upgrade' },
      ],
    ],
    ['rating_action_mismatch', [{ from: '2021-01-01', action: 'withdraw' }]],
    [
      'rating_action_mismatch',
      [
        { grade: 'A', from: '2021-01-01' },
        { from: '2022-01-01', action: 'withdraw' },
        { from: '2023-01-01', action: 'withdraw' },
      ],
    ],
  ]
  test.for(faults)('%s: %o', async ([code, rows], { owner, importer }) => {
    const [good, bad] = [await newLoan(owner, importer.portfolioId), await newLoan(owner, importer.portfolioId)]
    const failure = await importer.load([
      [good.id, { grade: 'A', from: '2021-01-01' }],
      [bad.id, ...rows],
    ])
    expect(failure).toMatch(new RegExp(`^${code}: .*Loans: ${bad.loan_number}\\.$`))
    expect([await told(owner, good.id), await ratingOf(owner, good.id)]).toEqual([[], null])
  })

  test('also where only the ratings that are there make it one', async ({ owner, importer }) => {
    const { id } = await newLoan(owner, importer.portfolioId)
    await owner.post('/ratings', { loan_id: id, grade: 'D', effective_from: '2021-01-01' })
    expect(await importer.load([[id, { grade: 'B', from: '2022-01-01' }]])).toMatch(/^rating_after_default/)
  })
})

test('an import that is rolled back leaves the other ratings and the loans as if it had not been', async ({
  owner,
  importer,
}) => {
  const [rated, bare] = [
    await newLoan(owner, importer.portfolioId),
    await newLoan(owner, importer.portfolioId, { rating: 'D' }),
  ]
  for (const [grade, effective_from] of [
    ['B', '2021-01-01'],
    ['A', '2024-01-01'],
  ])
    await owner.post('/ratings', { loan_id: rated.id, grade, effective_from })
  const before = (await told(owner, rated.id)).map((line: string) => line.replace(/ v.*/, ''))
  const id = await importer.load([
    [
      rated.id,
      { grade: 'C', from: '2022-01-01' },
      { grade: 'A', from: '2023-01-01' },
      { grade: 'C', from: '2025-01-01' },
    ],
    [bare.id, { grade: 'B', from: '2021-01-01' }],
  ])
  expect([await ratingOf(owner, rated.id), await ratingOf(owner, bare.id)]).toEqual(['C', 'B'])
  await importer.undo(id)
  expect((await told(owner, rated.id)).map((line: string) => line.replace(/ v.*/, ''))).toEqual(before)
  expect([await ratingOf(owner, rated.id), await ratingOf(owner, bare.id)]).toEqual(['A', 'D'])
})

test('a row is judged against the scale of the portfolio, which must have one', async ({ owner, importer }) => {
  const opened = await importer.open()
  expect(opened?.constants).toEqual({ scale_id: importer.scaleId })
  const codeOf = (row: Record<string, unknown>) => opened?.judge?.(row)?.code
  expect(codeOf({ grade: 'A', effective_from: '2021-01-01' })).toBeUndefined()
  expect(codeOf({ action: 'withdraw', effective_from: '2021-01-01' })).toBeUndefined()
  expect(codeOf({ grade: 'Z', effective_from: '2021-01-01' })).toBe('unknown_grade')
  expect(codeOf({ effective_from: '2021-01-01' })).toBe('rating_action_mismatch')
  expect(codeOf({ grade: 'A', action: 'withdraw', effective_from: '2021-01-01' })).toBe('rating_action_mismatch')
  expect(codeOf({ grade: 'A', effective_from: '2021-01-01', effective_to: '2021-01-01' })).toBe('after')
  await owner.patch(`/portfolios/${importer.portfolioId}`, { rating_scale_id: null })
  await expect(importer.open()).rejects.toMatchObject({ code: 'rating_scale_missing' })
})
