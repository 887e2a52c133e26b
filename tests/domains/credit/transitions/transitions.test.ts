import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { report } from '../../../helpers/book.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test } from '../../../helpers/sql.ts'

const grades = [
  { grade: 'D', ordinal: 9, pd: '1', is_default: true },
  { grade: 'B', ordinal: 2, pd: '0.02', is_default: false },
  { grade: 'A', ordinal: 1, pd: '0.01', is_default: false },
  { grade: 'C', ordinal: 3, pd: null, is_default: false },
]

async function newScale(sql: postgres.Sql, { orgId }: Person) {
  const id = randomUUID()
  await sql`insert into rating_scales (org_id, id, name, grades) values (${orgId}, ${id}, ${id}, ${sql.json(grades)})`
  return id
}

/** From which day a loan had which grade; null: withdrawn. */
type Ratings = [from: string, grade: string | null][]

/** A portfolio with a scale of its own, and a loan for each history. */
async function ratedBook(sql: postgres.Sql, owner: Person, histories: (Ratings | { rated: Ratings; more: object })[]) {
  const { id } = await newPortfolio(owner)
  const scale = await newScale(sql, owner)
  await sql`update portfolios set rating_scale_id = ${scale} where id = ${id}`
  for (const given of histories) {
    const { rated, more } = Array.isArray(given) ? { rated: given, more: {} } : given
    const loan = await newLoan(owner, id, more)
    for (const [at, [effective_from, grade]] of rated.entries())
      await sql`insert into rating_history ${sql({
        org_id: owner.orgId,
        id: randomUUID(),
        portfolio_id: id,
        loan_id: loan.id,
        scale_id: scale,
        grade,
        action: grade === null ? 'withdraw' : 'assign',
        effective_from,
        effective_to: rated[at + 1]?.[0] ?? null,
      })}`
  }
  const matrix = async (query: string) => {
    const { status, body } = await owner.get(`/portfolios/${id}/transition-matrix?${query}`)
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }
  return { id, scale, matrix }
}

type Row = { state: string; loan_count: number; counts: number[]; shares_by_count: (string | null)[] }
const countsOf = (rows: Row[]) => rows.map(({ state, loan_count, counts }) => [state, loan_count, ...counts])
const sharesOf = (rows: Row[], name: string) => rows.find(({ state }) => state === name)?.shares_by_count

describe('the transition matrix of ratings', () => {
  test('is what a hand counts, by ordinal, with default absorbing', async ({ owner, sql }) => {
    const { id, scale, matrix } = await ratedBook(sql, owner, [
      [['2023-01-01', 'A']],
      [
        ['2023-01-01', 'A'],
        ['2024-06-01', 'B'],
      ],
      [
        ['2023-01-01', 'A'],
        ['2024-03-01', null],
      ],
      [
        ['2023-01-01', 'A'],
        ['2024-05-01', 'D'],
        ['2024-06-01', null],
      ],
      // Defaulted meanwhile, and rated B again at the end.
      [
        ['2023-01-01', 'B'],
        ['2024-02-01', 'D'],
        ['2024-10-01', 'B'],
      ],
      [['2023-12-31', 'B']],
      // On the last day.
      [
        ['2023-01-01', 'B'],
        ['2024-12-31', 'C'],
      ],
      [['2023-12-30', 'D']],
      [],
      [
        ['2023-01-01', 'A'],
        ['2023-06-01', null],
      ],
      // Not there at the beginning.
      { rated: [['2024-02-01', 'A']], more: { originated_on: '2024-02-01' } },
    ])
    const year = 'from=2023-12-31&to=2024-12-31'
    const body = await matrix(year)
    expect(body).toMatchObject({
      portfolio_id: id,
      kind: 'rating',
      scale_id: scale,
      withdrawn: 'include',
      period_months: null,
      from: '2023-12-31',
      to: '2024-12-31',
      as_of: '2024-12-31',
      filter: {},
      formula_version: 1,
      loan_count: 8,
      states: ['A', 'B', 'C', 'D', 'withdrawn'],
    })
    const [{ rows, outside }] = body.periods
    expect(countsOf(rows)).toEqual([
      ['A', 4, 1, 1, 0, 1, 1],
      ['B', 3, 0, 1, 1, 1, 0],
      ['C', 0, 0, 0, 0, 0, 0],
      ['D', 1, 0, 0, 0, 1, 0],
    ])
    expect(sharesOf(rows, 'A')).toEqual(['0.250000', '0.250000', '0.000000', '0.250000', '0.250000'])
    expect(sharesOf(rows, 'C')).toEqual([null, null, null, null, null])
    expect(rows[0]).toMatchObject({ balance: null, gone_count: 1, shares_by_balance: Array(5).fill(null) })
    expect(outside).toEqual({
      unrated: { loan_count: 1, balance: null },
      withdrawn: { loan_count: 1, balance: null },
    })
    expect(body.average).toEqual(rows)

    const excluded = await matrix(`${year}&withdrawn=exclude`)
    expect(excluded.states).toEqual(['A', 'B', 'C', 'D'])
    expect(countsOf(excluded.average)[0]).toEqual(['A', 3, 1, 1, 0, 1])
    expect(sharesOf(excluded.average, 'A')).toEqual(['0.333333', '0.333333', '0.000000', '0.333333'])
    const adjusted = await matrix(`${year}&withdrawn=adjusted`)
    expect(countsOf(adjusted.average)[0]).toEqual(['A', 4, 1, 1, 0, 1])
    expect(sharesOf(adjusted.average, 'A')).toEqual(sharesOf(excluded.average, 'A'))
    expect([excluded.loan_count, adjusted.loan_count]).toEqual([7, 8])
  })

  test('of several years weighs each by its loans, as the policy counts them', async ({ owner, sql }) => {
    const { matrix } = await ratedBook(sql, owner, [
      [['2022-01-01', 'A']],
      [['2022-01-01', 'A']],
      [
        ['2022-01-01', 'A'],
        ['2023-06-01', 'B'],
      ],
      [
        ['2022-01-01', 'A'],
        ['2023-07-01', null],
      ],
    ])
    const of = async (policy: string) => matrix(`from=2022-12-31&to=2025-06-30&period_months=12&withdrawn=${policy}`)
    const { average, periods, loan_count } = await of('include')
    expect(periods.map(({ from, to }: Record<string, string>) => [from, to])).toEqual([
      ['2022-12-31', '2023-12-31'],
      ['2023-12-31', '2024-12-31'],
    ])
    expect(periods.map(({ rows }: { rows: Row[] }) => sharesOf(rows, 'A')?.[0])).toEqual(['0.500000', '1.000000'])
    // 2 of 4, then 2 of 2 stayed
    expect(sharesOf(average, 'A')).toEqual(['0.666667', '0.166667', '0.000000', '0.000000', '0.166667'])
    expect(loan_count).toBe(7)
    // 2 of 3, then 2 of 2: weights 3 and 2
    expect(sharesOf((await of('exclude')).average, 'A')).toEqual(['0.800000', '0.200000', '0.000000', '0.000000'])
    // the same shares with weights 4 and 2: (4 x 2/3 + 2) / 6
    expect(sharesOf((await of('adjusted')).average, 'A')).toEqual(['0.777778', '0.222222', '0.000000', '0.000000'])
  })

  test('keeps those who all withdrew, of whom there are no shares', async ({ owner, sql }) => {
    const { matrix } = await ratedBook(sql, owner, [
      {
        rated: [
          ['2022-01-01', 'A'],
          ['2023-06-01', null],
        ],
        more: { sector: '11' },
      },
      { rated: [['2022-01-01', 'Z']], more: { sector: '22' } },
    ])
    const of = async (query: string) => matrix(`from=2022-12-31&to=2023-12-31&${query}`)
    const adjusted = await of('withdrawn=adjusted&sector=11')
    expect(adjusted.average[0]).toMatchObject({
      state: 'A',
      loan_count: 1,
      gone_count: 1,
      counts: [0, 0, 0, 0],
      shares_by_count: [null, null, null, null],
    })
    const excluded = await of('withdrawn=exclude&sector=11')
    expect(excluded.average[0]).toMatchObject({ loan_count: 0, gone_count: 1 })
    expect([adjusted.loan_count, excluded.loan_count]).toEqual([1, 0])
    // A grade that the scale has lost is shown, after those it has.
    const lost = await of('sector=22')
    expect(lost.states).toEqual(['A', 'B', 'C', 'D', 'Z', 'withdrawn'])
    expect(countsOf(lost.average).at(-1)).toEqual(['Z', 1, 0, 0, 0, 0, 1, 0])
  })

  test('needs dates in their order and a scale of this organisation', async ({ api, owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const stranger = await api.newOwner()
    const of = (query: string, client = owner) => client.get(`/portfolios/${id}/transition-matrix?${query}`)
    const year = 'from=2023-12-31&to=2024-12-31'
    expect((await of(year)).body).toMatchObject({ status: 422, code: 'rating_scale_missing' })
    expect((await of(`${year}&scale_id=${await newScale(sql, stranger)}`)).body).toMatchObject({
      status: 404,
      code: 'not_found',
    })
    const scale = await newScale(sql, owner)
    expect((await of(`${year}&scale_id=${scale}`)).body).toMatchObject({ loan_count: 0, scale_id: scale })
    expect((await of(`${year}&scale_id=${scale}`, stranger)).status).toBe(404)
    for (const query of ['from=2024-12-31&to=2024-12-31', `${year}&period_months=13`])
      expect((await of(`${query}&scale_id=${scale}`)).body).toMatchObject({ status: 400, code: 'invalid_period' })
    expect((await of(`${year}&scale_id=${scale}&known_at=2024-01-01T00:00:00Z`)).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/querystring/known_at' }],
    })
    for (const query of ['', 'from=2023-12-31', `${year}&kind=sector`, `${year}&period_months=0`])
      expect([query, (await of(query)).body]).toMatchObject([query, { status: 400, code: 'validation_failed' }])
  })
})

describe('the transition matrix of snapshots', () => {
  test('shows how loans moved between IFRS 9 stages, and between statuses', async ({ owner, sql }) => {
    const { id } = await newPortfolio(owner)
    const dates = ['2023-12-31', '2024-12-31']
    const loans: [string, object, object | null][] = [
      ['100', { stage: 1 }, { stage: 1 }],
      ['300', { stage: 1 }, { stage: 2, status: 'delinquent' }],
      ['600', { stage: 1 }, null],
      ['50', { stage: 2 }, { stage: 3, status: 'default' }],
      ['50', { stage: 3, status: 'default' }, { stage: 3, status: 'charged_off' }],
      ['20', {}, { stage: 1 }],
      ['9', { stage: 1, status: 'paid' }, { status: 'paid' }],
    ]
    await report(
      sql,
      owner,
      id,
      loans.flatMap(([balance, ...states]) => {
        const loan_id = randomUUID()
        return states.flatMap((state, at) =>
          state ? [{ as_of: dates[at] as string, loan_id, balance, ...state }] : [],
        )
      }),
    )
    const of = async (query: string) => {
      const { body } = await owner.get(`/portfolios/${id}/transition-matrix?from=2023-12-31&to=2024-12-31&${query}`)
      return body
    }
    const stages = await of('kind=stage')
    expect(stages.states).toEqual(['1', '2', '3', 'none', 'closed', 'vanished'])
    expect(countsOf(stages.average)).toEqual([
      ['1', 3, 1, 1, 0, 0, 0, 1],
      ['2', 1, 0, 0, 1, 0, 0, 0],
      ['3', 1, 0, 0, 0, 0, 1, 0],
      ['none', 1, 1, 0, 0, 0, 0, 0],
    ])
    // 100, 300 and 600 of 1,000
    expect(stages.average[0].shares_by_balance).toEqual([
      ...['0.100000', '0.300000', '0.000000', '0.000000', '0.000000', '0.600000'],
    ])
    expect(stages.periods[0].outside).toEqual({ closed: { loan_count: 1, balance: '9.0000' } })
    // Of those who stayed: 100 and 300 of 400; adjusted rows keep the 1,000.
    const adjusted = await of('kind=stage&withdrawn=adjusted&period_months=12')
    expect(adjusted.average[0]).toMatchObject({
      loan_count: 3,
      balance: '1000.0000',
      shares_by_count: ['0.500000', '0.500000', '0.000000', '0.000000', '0.000000'],
      shares_by_balance: ['0.250000', '0.750000', '0.000000', '0.000000', '0.000000'],
    })
    const excluded = await of('kind=stage&withdrawn=exclude')
    expect(excluded.average[0]).toMatchObject({ loan_count: 2, balance: '400.0000', gone_count: 1 })
    const statuses = await of('kind=status&stage=1')
    expect(statuses).toMatchObject({ scale_id: null, loan_count: 4, filter: { stage: 1 } })
    expect(countsOf(statuses.average)[0]).toEqual(['current', 3, 1, 1, 0, 0, 0, 0, 0, 1])
    expect(await of('kind=stage&period_months=6')).toMatchObject({ status: 422, code: 'as_of_without_snapshots' })
  })
})
