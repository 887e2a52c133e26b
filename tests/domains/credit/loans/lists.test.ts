import { describe, expect } from 'vitest'
import { test as base, type Person } from '../../../helpers/api.ts'
import { loanOf, newLoan, newPortfolio } from '../../../helpers/credit.ts'

type Loan = Record<string, string | number | null> & { id: string }

const sorts = [
  'created_at',
  'loan_number',
  'borrower_name',
  'originated_on',
  'matures_on',
  'original_principal',
  'balance',
  'days_past_due',
] as const

/** Sixty loans with many equal and many missing values in every column, and who owns them. */
const test = base.extend<{ book: { owner: Person; portfolio: string; all: Loan[] } }>({
  book: [
    async ({ api }, use) => {
      const owner = await api.newOwner()
      const { id: portfolio } = await newPortfolio(owner)
      const all: Loan[] = []
      for (let n = 0; n < 60; n++)
        all.push(
          await newLoan(owner, portfolio, {
            loan_number: `N-${String((n * 37) % 60).padStart(2, '0')}`,
            borrower_name: ['Ada', 'Ben', 'ada', 'Ä'][n % 4],
            originated_on: `20${String(10 + (n % 3)).padStart(2, '0')}-01-31`,
            matures_on: n % 5 === 0 ? null : `203${n % 2}-06-30`,
            original_principal: `${(n % 4) * 100}.5`,
            balance: n % 3 === 0 ? null : `${(n % 7) - 3}`,
            days_past_due: n % 4 === 0 ? null : n % 3,
          }),
        )
      await use({ owner, portfolio, all })
    },
    { scope: 'file' },
  ],
})

/** Every page of a list, from the first to the last. */
async function walk(owner: Person, query: string): Promise<Loan[][]> {
  const pages: Loan[][] = []
  let link: string | undefined = `/api/v1/loans?${query}`
  while (link) {
    const { status, body, headers } = await owner.get(link)
    expect(status, JSON.stringify(body)).toBe(200)
    pages.push(body.data)
    link = headers.link === undefined ? undefined : /^<(.+)>; rel="next"$/.exec(headers.link)?.[1]
    expect(link === undefined).toBe(body.next_cursor === null)
    if (link) expect(new URL(link, 'http://host').searchParams.get('cursor')).toBe(body.next_cursor)
    expect(pages.length).toBeLessThan(100)
  }
  return pages
}

const order = (x: string | number, y: string | number) => Number(x > y) - Number(x < y)

/** What comes first in a list: values in order, equal ones by id, and missing ones last either way. */
function comparison(name: string, downwards: boolean) {
  const keyOf = ({ [name]: value }: Loan) =>
    typeof value === 'string' && /^-?[0-9.]+$/.test(value) ? Number(value) : value
  return (a: Loan, b: Loan): number => {
    const [x, y] = [keyOf(a) ?? null, keyOf(b) ?? null]
    if ((x === null) !== (y === null)) return x === null ? 1 : -1
    const upwards = (x === null || y === null ? 0 : order(x, y)) || order(a.id, b.id)
    return downwards ? -upwards : upwards
  }
}

describe('walking a list by its cursors', () => {
  for (const name of sorts)
    test(`sorted by ${name}, up or down, meets every loan once and in order`, async ({ book }) => {
      for (const sort of [name, `-${name}`]) {
        const pages = await walk(book.owner, `limit=7&sort=${sort}`)
        expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 7, 4])
        const seen = pages.flat()
        expect(new Set(seen.map(({ id }) => id)).size).toBe(60)
        // Text is in the order of the database's collation, which is not ours to repeat here.
        if (name !== 'borrower_name') expect(seen).toEqual(seen.toSorted(comparison(name, sort !== name)))
      }
    })

  test('keeps to the filter', async ({ book }) => {
    const seen = (await walk(book.owner, 'limit=4&sort=balance&days_past_due_gte=1&q=a')).flat()
    const meant = book.all.filter((loan) => Number(loan.days_past_due) >= 1 && /a/i.test(String(loan.borrower_name)))
    expect(seen.map(({ id }) => id).sort()).toEqual(meant.map(({ id }) => id).sort())
  })

  test('neither repeats nor loses what was there when other loans come and go meanwhile', async ({ api }) => {
    const owner = await api.newOwner()
    const { id } = await newPortfolio(owner)
    const kept = []
    for (let n = 0; n < 6; n++) kept.push(await newLoan(owner, id, { days_past_due: n % 2 }))
    const doomed = await newLoan(owner, id, { days_past_due: 0 })
    const first = await owner.get('/loans?limit=3&sort=days_past_due')
    await newLoan(owner, id, { days_past_due: 0 })
    await owner.delete(`/loans/${doomed.id}`)
    const rest = (await walk(owner, `limit=3&sort=days_past_due&cursor=${first.body.next_cursor}`)).flat()
    const seen = [...first.body.data, ...rest].map((loan) => loan.id)
    expect(new Set(seen).size).toBe(seen.length)
    for (const loan of kept) expect(seen).toContain(loan.id)
  })
})

describe('a cursor', () => {
  test('is bound to its sort, its filters and its organisation', async ({ api, book }) => {
    const { body } = await book.owner.get('/loans?limit=2&sort=balance&status=current')
    const cursor = encodeURIComponent(body.next_cursor)
    expect((await book.owner.get(`/loans?limit=9&sort=balance&status=current&cursor=${cursor}`)).status).toBe(200)
    for (const query of [
      'sort=-balance&status=current',
      'sort=balance&status=paid',
      'sort=balance',
      'status=current',
      'sort=balance&status=current&q=a',
    ]) {
      const answer = await book.owner.get(`/loans?${query}&cursor=${cursor}`)
      expect([query, answer.status, answer.body.code]).toEqual([query, 400, 'invalid_cursor'])
    }
    const stranger = await api.newOwner()
    const answer = await stranger.get(`/loans?limit=2&sort=balance&status=current&cursor=${cursor}`)
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_cursor'])
  })

  test('that was tampered with is refused, whatever it holds', async ({ book }) => {
    for (const sort of sorts) {
      const { body } = await book.owner.get(`/loans?limit=2&sort=${sort}`)
      const [binding, , id] = JSON.parse(Buffer.from(body.next_cursor, 'base64url').toString())
      const odd = ['x', '', "'; --", '1e400', 'a\u0000b', '99999999999999999999', -1, 1e300, '0000-00-00', {}, [], true]
      for (const value of odd) {
        const cursor = Buffer.from(JSON.stringify([binding, value, id])).toString('base64url')
        const { status } = await book.owner.get(`/loans?limit=2&sort=${sort}&cursor=${cursor}`)
        expect([sort, value, status === 400 || status === 200]).toEqual([sort, value, true])
      }
    }
    for (const cursor of [
      'x',
      '%00',
      'e30',
      'W10',
      'bnVsbA',
      'A'.repeat(1_001),
      Buffer.from('[').toString('base64url'),
    ])
      expect([cursor, (await book.owner.get(`/loans?cursor=${cursor}`)).status]).toEqual([cursor, 400])
  })
})

describe('a list', () => {
  test('counts what it holds where that is asked for', async ({ book }) => {
    const exact = await book.owner.get('/loans?limit=1&total=exact&days_past_due_lte=0')
    expect(exact.body.total).toBe(book.all.filter((loan) => loan.days_past_due === 0).length)
    const estimated = await book.owner.get('/loans?limit=1&total=estimated')
    expect(estimated.body.total).toEqual(expect.any(Number))
    expect((await book.owner.get('/loans?limit=1')).body).not.toHaveProperty('total')
    expect((await book.owner.get('/loans?total=roughly')).status).toBe(400)
  })

  test('refuses parameters that it does not know, that come twice, or that are out of range', async ({ book }) => {
    for (const [query, pointer] of [
      ['colour=red', '/querystring/colour'],
      ['org_id=1', '/querystring/org_id'],
      ['__proto__=1', '/querystring/__proto__'],
      ['status=current&status=paid', '/querystring/status'],
      ['limit=5&limit=6', '/querystring/limit'],
      ['limit=0', '/querystring/limit'],
      ['limit=201', '/querystring/limit'],
      ['limit=1e20', '/querystring/limit'],
      ['limit=ten', '/querystring/limit'],
      ['limit=1.5', '/querystring/limit'],
      ['sort=interest_rate', '/querystring/sort'],
      ['sort=', '/querystring/sort'],
      ['status=late', '/querystring/status'],
      ['status_in=current,late', '/querystring/status_in'],
      ['portfolio_id=1', '/querystring/portfolio_id'],
      ['originated_on_gte=2023-02-30', '/querystring/originated_on_gte'],
      ['balance_gte=1e3', '/querystring/balance_gte'],
      ['stage=4', '/querystring/stage'],
      ['q=', '/querystring/q'],
      [`q=${'x'.repeat(101)}`, '/querystring/q'],
      ['q=a%00b', '/querystring/q'],
    ]) {
      const { status, body } = await book.owner.get(`/loans?${query}`)
      expect([query, status, body.errors?.[0].pointer]).toEqual([query, 400, pointer])
    }
  })

  test('takes the text of q as it stands', async ({ api }) => {
    const owner = await api.newOwner()
    const { id } = await newPortfolio(owner)
    const names = ['100%', '100', 'a_b', 'axb', 'c\\d', 'cd', "o'hara", 'ÄPFEL', 'x"y', '*', '.']
    for (const borrower_name of names)
      await owner.post('/loans', loanOf(id, { borrower_name, loan_number: `n${names.indexOf(borrower_name)}!` }))
    const found = async (q: string) =>
      (await owner.get(`/loans?q=${encodeURIComponent(q)}`)).body.data.map((loan: Loan) => loan.borrower_name)
    expect(await found('0%')).toEqual(['100%'])
    expect(await found('a_b')).toEqual(['a_b'])
    expect(await found('c\\d')).toEqual(['c\\d'])
    expect(await found('\\')).toEqual(['c\\d'])
    expect(await found("O'HA")).toEqual(["o'hara"])
    expect(await found('äpfel')).toEqual(['ÄPFEL'])
    expect(await found('x"')).toEqual(['x"y'])
    expect(await found('*')).toEqual(['*'])
    expect(await found('.')).toEqual(['.'])
    expect(await found('n2!')).toEqual(['a_b'])
    expect(await found('%')).toEqual(['100%'])
  })
})
