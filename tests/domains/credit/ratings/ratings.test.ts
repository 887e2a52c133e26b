import { describe, expect } from 'vitest'
import type { Client } from '../../../helpers/api.ts'
import { newLoan, newPortfolio, newScale } from '../../../helpers/credit.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

type Book = { loan: { id: string }; portfolio: { id: string }; scale: { id: string } }

/** A loan of 2020-01-31 in a portfolio with a scale of A, B, C and D. */
async function newBook(owner: Client): Promise<Book> {
  const scale = await newScale(owner)
  const portfolio = await newPortfolio(owner, { rating_scale_id: scale.id })
  return { scale, portfolio, loan: await newLoan(owner, portfolio.id) }
}

const test = base.extend<{ book: Book }>({ book: async ({ owner }, use) => use(await newBook(owner)) })

const rate = (owner: Client, { loan }: Pick<Book, 'loan'>, body: object) =>
  owner.post('/ratings', { loan_id: loan.id, ...body })

/** Gives the loan ratings in turn. */
async function rateAll(owner: Client, book: Pick<Book, 'loan'>, ...ratings: [string | null, string][]) {
  for (const [grade, effective_from] of ratings) {
    const { status, text } = await rate(owner, book, {
      effective_from,
      ...(grade === null ? { action: 'withdraw' } : { grade }),
    })
    expect(status, text).toBe(201)
  }
}

/** `A 2021-01-01..2022-01-01 assign v1`, in order. */
async function told(owner: Client, { loan }: Pick<Book, 'loan'>) {
  const { body } = await owner.get(`/loans/${loan.id}/ratings`)
  return body.data.map(
    (one: Record<string, unknown>) =>
      `${one.grade} ${one.effective_from}..${one.effective_to} ${one.action} v${one.version}`,
  )
}

const ratingOf = async (owner: Client, { loan }: Pick<Book, 'loan'>) =>
  (await owner.get(`/loans/${loan.id}`)).body.rating

const dayFromNow = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)

test('a rating is what was sent, with the scale of the portfolio, the PD of the grade and who entered it', async ({
  owner,
  book,
  sql,
}) => {
  const answer = await rate(owner, book, {
    ...{ grade: 'B', effective_from: '2021-01-01', outlook: 'negative', watch: 'developing', reason: 'review' },
  })
  expect(answer.body).toEqual({
    ...{ id: answer.body.id, portfolio_id: book.portfolio.id, loan_id: book.loan.id, scale_id: book.scale.id },
    ...{ grade: 'B', action: 'assign', outlook: 'negative', watch: 'developing', reason: 'review', pd: '0.02000000' },
    ...{ effective_from: '2021-01-01', effective_to: null, actor_id: owner.id, import_id: null, version: 1 },
    ...{ created_at: answer.body.created_at, updated_at: answer.body.updated_at },
  })
  expect(answer.headers.location).toBe(`/api/v1/ratings/${answer.body.id}`)
  expect((await owner.get(`/ratings/${answer.body.id}`)).body).toEqual(answer.body)
  expect((await eventsOf(sql, answer.body.id)).map(({ action }) => action)).toEqual(['rating.created'])
})

test('a backdated rating changes its neighbours only, and each change has its event', async ({ owner, book, sql }) => {
  await rateAll(owner, book, ['B', '2021-01-01'], ['A', '2022-01-01'], ['A', '2024-01-01'], ['B', '2025-01-01'])
  await rateAll(owner, book, ['C', '2023-01-01'])
  expect(await told(owner, book)).toEqual([
    'B 2021-01-01..2022-01-01 assign v2',
    'A 2022-01-01..2023-01-01 upgrade v3',
    'C 2023-01-01..2024-01-01 downgrade v1',
    'A 2024-01-01..2025-01-01 upgrade v3',
    'B 2025-01-01..null downgrade v1',
  ])
  const { body } = await owner.get(`/loans/${book.loan.id}/ratings`)
  const follower = (await eventsOf(sql, body.data[3].id)).at(-1)
  expect([follower?.action, follower?.before, follower?.after]).toEqual([
    'rating.updated',
    { action: 'affirm' },
    { action: 'upgrade' },
  ])
})

test('what contradicts the history is refused with its own code, and changes nothing', async ({ owner, book }) => {
  await rateAll(owner, book, ['A', '2021-01-01'], ['D', '2022-01-01'])
  const bad: [object, number, string][] = [
    [{ grade: 'AAA', effective_from: '2021-06-01' }, 422, 'unknown_grade'],
    [{ grade: 'B', effective_from: '2020-01-30' }, 422, 'rating_before_origination'],
    [{ grade: 'B', effective_from: '2021-01-01' }, 422, 'rating_overlap'],
    [{ grade: 'B', effective_from: '2021-06-01', effective_to: '2022-01-02' }, 422, 'rating_overlap'],
    [{ grade: 'B', effective_from: '2023-01-01' }, 422, 'rating_after_default'],
    [{ grade: 'D', effective_from: '2023-01-01' }, 422, 'rating_after_default'],
    [{ grade: 'B', effective_from: '2021-06-01', action: 'upgrade' }, 422, 'rating_action_mismatch'],
    [{ effective_from: '2023-01-01' }, 422, 'rating_action_mismatch'],
    [{ grade: 'A', effective_from: '2023-01-01', action: 'withdraw' }, 422, 'rating_action_mismatch'],
    [{ grade: 'B', effective_from: '2021-06-01', effective_to: '2021-06-01' }, 400, 'validation_failed'],
    [{ grade: 'B', effective_from: '2021-02-30' }, 400, 'validation_failed'],
    [{ grade: 'B', effective_from: '2021-06-01', pd: '1.5' }, 400, 'validation_failed'],
    [{ grade: 'B', effective_from: '2021-06-01', outlook: 'rosy' }, 400, 'validation_failed'],
    [{ grade: 'B', effective_from: '2021-06-01', scale_id: book.loan.id }, 404, 'not_found'],
    [{ grade: 'B', effective_from: '2021-06-01', loan_id: book.scale.id }, 404, 'not_found'],
  ]
  const before = await told(owner, book)
  for (const [body, status, code] of bad) {
    const answer = await rate(owner, book, body)
    expect([answer.status, answer.body.code], JSON.stringify(body)).toEqual([status, code])
  }
  expect(await told(owner, book)).toEqual(before)
})

test('default is withdrawn explicitly, and only an assignment follows', async ({ owner, book }) => {
  await rateAll(owner, book, ['A', '2021-01-01'], ['D', '2022-01-01'], [null, '2023-01-01'])
  expect((await rate(owner, book, { action: 'withdraw', effective_from: '2024-01-01' })).body.code).toBe(
    'rating_action_mismatch',
  )
  expect((await rate(owner, book, { grade: 'A', action: 'upgrade', effective_from: '2024-01-01' })).body.code).toBe(
    'rating_action_mismatch',
  )
  const withdrawal = (await owner.get(`/ratings?loan_id=${book.loan.id}&action=withdraw`)).body.data[0]
  expect(withdrawal).toMatchObject({ grade: null, pd: null })
  expect((await owner.patch(`/ratings/${withdrawal.id}`, { grade: 'A' })).body.code).toBe('rating_action_mismatch')
  expect((await rate(owner, book, { grade: 'B', action: 'assign', effective_from: '2024-01-01' })).status).toBe(201)
  expect((await owner.delete(`/ratings/${withdrawal.id}`)).body.code).toBe('rating_after_default')
})

test('without a scale of its portfolio a rating must name one', async ({ owner, book }) => {
  const loan = await newLoan(owner, (await newPortfolio(owner)).id)
  const body = { grade: 'A', effective_from: '2021-01-01' }
  expect((await rate(owner, { loan }, body)).body.code).toBe('rating_scale_missing')
  expect((await rate(owner, { loan }, { ...body, scale_id: book.scale.id })).status).toBe(201)
  expect(await ratingOf(owner, { loan })).toBeNull()
  const { body: none } = await owner.get(`/loans/${loan.id}/rating?on=2022-01-01`)
  expect([none.scale_id, none.grade]).toEqual([null, null])
  const { body: asked } = await owner.get(`/loans/${loan.id}/rating?on=2022-01-01&scale_id=${book.scale.id}`)
  expect(asked.grade).toBe('A')
})

describe('a correction', () => {
  test('of the grade or the first day keeps the rules, and moves the neighbours', async ({ owner, book }) => {
    await rateAll(owner, book, ['A', '2021-01-01'], ['B', '2022-01-01'], ['C', '2023-01-01'])
    const [, second] = (await owner.get(`/loans/${book.loan.id}/ratings`)).body.data
    const url = `/ratings/${second.id}`
    const moved = await owner.patch(url, { effective_from: '2021-06-01', grade: 'A' }, { 'if-match': '"2"' })
    expect(moved.body).toMatchObject({ action: 'affirm', pd: '0.00100000', version: 3, effective_to: '2023-01-01' })
    expect(await told(owner, book)).toEqual([
      'A 2021-01-01..2021-06-01 assign v3',
      'A 2021-06-01..2023-01-01 affirm v3',
      'C 2023-01-01..null downgrade v1',
    ])
    const said = await owner.patch(url, { outlook: 'stable', pd: '0.5', reason: null })
    expect(said.body).toMatchObject({ outlook: 'stable', pd: '0.50000000', grade: 'A', version: 4 })
    expect((await owner.patch(url, {})).body.version).toBe(4)
    expect((await owner.patch(url, { outlook: null }, { 'if-match': '"3"' })).status).toBe(412)
    for (const [patch, code] of [
      [{ grade: 'D' }, 'rating_after_default'],
      [{ grade: 'Z' }, 'unknown_grade'],
      [{ effective_from: '2023-01-01' }, 'rating_overlap'],
      [{ effective_from: '2019-01-01' }, 'rating_before_origination'],
    ] as const)
      expect([patch, (await owner.patch(url, patch)).body.code]).toEqual([patch, code])
  })

  test('by deletion lets the one before hold as long', async ({ owner, book }) => {
    await rateAll(owner, book, ['A', '2021-01-01'], ['C', '2022-01-01'], ['B', '2023-01-01'])
    const [, second] = (await owner.get(`/loans/${book.loan.id}/ratings`)).body.data
    expect((await owner.delete(`/ratings/${second.id}`, { 'if-match': '"1"' })).status).toBe(412)
    expect((await owner.delete(`/ratings/${second.id}`)).status).toBe(204)
    expect(await told(owner, book)).toEqual(['A 2021-01-01..2023-01-01 assign v3', 'B 2023-01-01..null downgrade v2'])
    expect((await owner.delete(`/ratings/${second.id}`)).status).toBe(404)
  })
})

test('the rating that held on a day is found, to the day', async ({ owner, book }) => {
  await rateAll(owner, book, ['A', '2021-01-01'], ['B', '2022-01-01'], [null, '2023-01-01'])
  const held = async (on: string) => {
    const { body } = await owner.get(`/loans/${book.loan.id}/rating?on=${on}`)
    return [body.grade, body.action]
  }
  expect(await held('2020-12-31')).toEqual([null, null])
  expect(await held('2021-01-01')).toEqual(['A', 'assign'])
  expect(await held('2021-12-31')).toEqual(['A', 'assign'])
  expect(await held('2022-01-01')).toEqual(['B', 'downgrade'])
  expect(await held('2023-01-01')).toEqual([null, 'withdraw'])
})

describe('the rating of the loan itself', () => {
  test('is the grade that holds today on the scale of the portfolio, with a version and an event of the loan', async ({
    owner,
    book,
    sql,
  }) => {
    const other = await newScale(owner)
    await rateAll(owner, book, ['B', '2021-01-01'])
    expect(await ratingOf(owner, book)).toBe('B')
    await rateAll(owner, book, ['C', dayFromNow(2)], ['A', '2020-06-01'])
    await rate(owner, book, { grade: 'A', effective_from: '2022-01-01', scale_id: other.id })
    expect((await owner.get(`/loans/${book.loan.id}`)).body).toMatchObject({ rating: 'B', version: 2 })
    const events = await eventsOf(sql, book.loan.id)
    expect(events.at(-1)).toMatchObject({ action: 'loan.updated', before: { rating: null }, after: { rating: 'B' } })
    const versions = await sql`select rating, known_to from loan_versions where loan_id = ${book.loan.id}`
    expect(versions).toMatchObject([{ rating: null, known_to: expect.any(Date) }])
    const changed = await owner.patch(`/portfolios/${book.portfolio.id}`, { rating_scale_id: other.id })
    expect(changed.status).toBe(200)
    expect((await owner.get(`/loans/${book.loan.id}`)).body).toMatchObject({ rating: 'A', version: 3 })
    expect((await eventsOf(sql, book.portfolio.id)).at(-1)).toMatchObject({
      action: 'portfolio.ratings_followed',
      after: { loans: 1 },
    })
  })

  test('goes with a withdrawal and a deletion', async ({ owner, book }) => {
    await rateAll(owner, book, ['B', '2021-01-01'], [null, '2022-01-01'])
    expect(await ratingOf(owner, book)).toBeNull()
    const [first, withdrawal] = (await owner.get(`/loans/${book.loan.id}/ratings`)).body.data
    await owner.delete(`/ratings/${withdrawal.id}`)
    expect(await ratingOf(owner, book)).toBe('B')
    await owner.delete(`/ratings/${first.id}`)
    expect(await ratingOf(owner, book)).toBeNull()
  })

  test('follows when the day of a rating comes, and a loan without ratings keeps what its tape said', async ({
    api,
    owner,
    book,
    sql,
  }) => {
    const untouched = await newLoan(owner, book.portfolio.id, { rating: 'D' })
    await rateAll(owner, book, ['B', '2021-01-01'], ['C', dayFromNow(1)])
    expect(await ratingOf(owner, book)).toBe('B')
    // The night passes.
    await sql`update rating_history set effective_to = effective_to - 1 where loan_id = ${book.loan.id} and grade = 'B'`
    await sql`update rating_history set effective_from = effective_from - 1 where loan_id = ${book.loan.id} and grade = 'C'`
    await api.app.runTask('follow ratings')
    expect(await ratingOf(owner, book)).toBe('C')
    expect(await ratingOf(owner, { loan: untouched })).toBe('D')
  })
})

test('ratings sent at the same moment never overlap: they come one after the other', async ({ owner, book }) => {
  const days = ['2021-03-01', '2021-01-01', '2021-02-01', '2021-04-01', '2021-03-01', '2021-01-01']
  const answers = await Promise.all(
    days.map((effective_from, at) => rate(owner, book, { grade: 'ABC'[at % 3], effective_from })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 201, 422, 422])
  for (const { body } of answers.filter(({ status }) => status === 422)) expect(body.code).toBe('rating_overlap')
  const { data } = (await owner.get(`/loans/${book.loan.id}/ratings`)).body
  expect(
    data.map((one: { effective_from: string; effective_to: string }) => [one.effective_from, one.effective_to]),
  ).toEqual([
    ['2021-01-01', '2021-02-01'],
    ['2021-02-01', '2021-03-01'],
    ['2021-03-01', '2021-04-01'],
    ['2021-04-01', null],
  ])
  const ordinals = data.map(({ grade }: { grade: string }) => 'ABC'.indexOf(grade))
  const actions = ordinals.map((now: number, at: number) => {
    const before = ordinals[at - 1]
    return at === 0 ? 'assign' : now > before ? 'downgrade' : now < before ? 'upgrade' : 'affirm'
  })
  expect(data.map(({ action }: { action: string }) => action)).toEqual(actions)
})

test('many ratings at once: each by itself, or all or none', async ({ owner, book }) => {
  const twin = { loan: await newLoan(owner, book.portfolio.id) }
  const item = (of: Pick<Book, 'loan'>, grade: string, effective_from = '2021-01-01') => ({
    ...{ loan_id: of.loan.id, grade, effective_from },
  })
  const items = [item(book, 'A'), item(twin, 'Z'), item(book, 'B', '2022-01-01'), item(twin, 'C')]
  const atomic = await owner.post('/ratings/bulk', { items, atomic: true })
  expect([atomic.status, atomic.body.code, atomic.body.errors[0].pointer]).toEqual([
    422,
    'unknown_grade',
    '/body/items/1',
  ])
  expect(await told(owner, book)).toEqual([])
  const { body } = await owner.post('/ratings/bulk', { items }, { 'idempotency-key': `bulk-${book.loan.id}` })
  expect([body.succeeded, body.failed, body.results[1].code]).toEqual([3, 1, 'unknown_grade'])
  expect((await owner.post('/ratings/bulk', { items }, { 'idempotency-key': `bulk-${book.loan.id}` })).body).toEqual(
    body,
  )
  expect(await told(owner, book)).toEqual(['A 2021-01-01..2022-01-01 assign v2', 'B 2022-01-01..null downgrade v1'])
  expect([await ratingOf(owner, book), await ratingOf(owner, twin)]).toEqual(['B', 'C'])
})

test('the list is filtered by each of its filters, and given whole as CSV', async ({ owner, book }) => {
  await rateAll(owner, book, ['A', '2021-01-01'], ['B', '2022-01-01'])
  const twin = { loan: await newLoan(owner, book.portfolio.id) }
  await rateAll(owner, twin, ['C', '2022-06-01'])
  const grades = async (query: string) =>
    (await owner.get(`/ratings?sort=effective_from&${query}`)).body.data.map(({ grade }: { grade: string }) => grade)
  expect(await grades('')).toEqual(['A', 'B', 'C'])
  expect(await grades(`portfolio_id=${book.portfolio.id}&scale_id=${book.scale.id}`)).toEqual(['A', 'B', 'C'])
  expect(await grades(`loan_id=${twin.loan.id}`)).toEqual(['C'])
  expect(await grades('current=true')).toEqual(['B', 'C'])
  expect(await grades('current=false')).toEqual(['A'])
  expect(await grades('grade=B')).toEqual(['B'])
  expect(await grades('action=assign')).toEqual(['A', 'C'])
  expect(await grades('effective_from_gte=2022-01-01&effective_from_lte=2022-05-31')).toEqual(['B'])
  const csv = await owner.get('/ratings?sort=effective_from', { accept: 'text/csv' })
  const [header, ...rows] = csv.text.trim().split(/\r?\n/)
  expect([header?.split(',')[4], rows.map((row) => row.split(',')[4])]).toEqual(['grade', ['A', 'B', 'C']])
})
