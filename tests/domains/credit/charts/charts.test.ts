import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, vi } from 'vitest'
import { Drawing } from '../../../../src/domains/credit/charts/drawing.ts'
import { Problem } from '../../../../src/lib/errors.ts'
import type { Person } from '../../../helpers/api.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { newDelinquentBook } from '../../../helpers/delinquent-book.ts'
import { importCsv } from '../../../helpers/imports.ts'
import { test as base } from '../../../helpers/sql.ts'

const names = ['delinquency', 'vintage', 'roll-rate', 'concentration', 'rating']
const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

const test = base.extend<{ book: { id: string; owner: Person } }>({
  book: [
    async ({ api, sql }, use) => {
      const owner = await api.newOwner()
      await use({ owner, id: await newDelinquentBook(sql, owner) })
    },
    { scope: 'file' },
  ],
})

/** The data behind the bars, points or cells of a specification. */
// biome-ignore lint/suspicious/noExplicitAny: a test looks wherever the data is
const valuesOf = (spec: any): any[] =>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  spec.layer.flatMap((layer: any) => layer.data.values)

describe('the charts of a book', () => {
  test.for(names)('%s is a picture and the specification it is drawn from', async (name, { book: { id, owner } }) => {
    const spec = await owner.get(`/portfolios/${id}/charts/${name}.json`)
    expect([spec.status, spec.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    expect(spec.body.$schema).toMatch(/vega-lite\/v6/)
    const open = name === 'roll-rate' ? ' open on 2024-02-29' : ''
    expect(valuesOf(spec.body)[1].text).toBe(`Trade finance · as of 2024-03-31 · 100 loans${open}`)
    expect(JSON.stringify(spec.body)).not.toMatch(/computed_at|"url"/)
    const svg = await owner.get(`/portfolios/${id}/charts/${name}.svg`)
    expect(svg.status).toBe(200)
    expect(svg.headers).toMatchObject({
      'content-type': 'image/svg+xml',
      'content-security-policy':
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
    })
    const colours = new Set(svg.text.match(/#[0-9a-f]{6}|rgb\([^)]*\)/gi))
    for (const colour of colours) expect(colour).toMatch(/^#(..)\1\1$|^rgb\((\d+), \2, \2\)$/)
    expect(svg.text).toMatch(/^<svg [^>]*>.*<\/svg>$/s)
    expect(svg.text).toContain(valuesOf(spec.body)[0].text)
  })

  test('show what the hand counts', async ({ book: { id, owner } }) => {
    const rowsOf = async (path: string) => valuesOf((await owner.get(`/portfolios/${id}/charts/${path}`)).body)
    const bars = (rows: { label?: string; loans?: number }[]) =>
      rows.filter(({ label }) => label !== undefined).map(({ label, loans }) => [label, loans])

    expect(bars(await rowsOf('delinquency.json?as_of=2024-01-31'))).toEqual([
      ['Not past due', 80],
      ['1–29', 8],
      ['30–59', 5],
      ['60–89', 3],
      // Two of 120 days and two defaults of 200.
      ['90 and more', 4],
      ['Not stated', 0],
    ])
    expect(bars(await rowsOf('rating.json'))).toEqual([
      ['A', 19],
      ['BBB', 20],
      ['BB', 20],
      ['B', 20],
      ['D', 9],
      ['Baa1 (not on the scale)', 2],
      ['Not rated', 10],
    ])
    expect(bars(await rowsOf('concentration.json?by=sector&top=2'))).toEqual([
      // Eight sectors, of which four have a loan more than the others.
      ['Sector 1', 13],
      ['Sector 2', 13],
      ['All others', 74],
    ])
    // Of 76 that were not past due, 70 still are; the 80th to the 76th loan were late by then.
    const cells = await rowsOf('roll-rate.json?basis=count')
    const first = cells.filter(({ from }) => from === 'Not past due (76 loans)')
    expect(first.map(({ to, text }) => [to, text]).slice(0, 2)).toEqual([
      ['Not past due', '92.1%'],
      ['1–29', '7.9%'],
    ])
    // 67 loans were originated in 2021 and 2022; of those of 2020 one in 33 defaulted, one charge-off included.
    const ends = (await rowsOf('vintage.json')).filter(({ name }) => name !== undefined)
    expect(ends.map(({ name, loans }) => [name, loans])).toEqual([
      ['2020', 33],
      ['2021', 34],
      ['2022', 33],
    ])
  })

  test('are named by a tag that follows from the figures, by which nothing is drawn twice', async ({ sql, owner }) => {
    const id = await newDelinquentBook(sql, owner)
    const url = `/portfolios/${id}/charts/rating`
    for (const format of ['svg', 'json']) {
      const first = await owner.get(`${url}.${format}`)
      const tag = first.headers.etag as string
      expect((await owner.get(`${url}.${format}`)).text).toBe(first.text)
      for (const known of [tag, `"other", W/${tag}`, '*']) {
        const again = await owner.get(`${url}.${format}`, { 'if-none-match': known })
        expect([again.status, again.text, again.headers.etag]).toEqual([304, '', tag])
      }
    }
    const before = (await owner.get(`${url}.svg`)).headers.etag as string
    await sql`update loans set rating = 'D' where portfolio_id = ${id} and loan_number = 'L-1'`
    expect((await owner.get(`${url}.svg`, { 'if-none-match': before })).status).toBe(200)
  })

  test('that cannot be drawn just now leave no tag that would stand for a picture', async ({ book: { id, owner } }) => {
    const drawing = vi.spyOn(Drawing.prototype, 'svgOf').mockRejectedValueOnce(new Problem('busy', 'Too many.'))
    const refused = await owner.get(`/portfolios/${id}/charts/rating.svg`)
    drawing.mockRestore()
    expect(refused).toMatchObject({ status: 503, body: { code: 'busy' } })
    expect(refused.headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '1' })
    for (const name of ['etag', 'content-disposition']) expect(refused.headers).not.toHaveProperty(name)
  })

  test('take filters, and say which', async ({ book: { id, owner } }) => {
    const { body } = await owner.get(`/portfolios/${id}/charts/delinquency.json?days_past_due_gte=30&q=Borrower`)
    expect(valuesOf(body)[1].text).toBe('Trade finance · as of 2024-03-31 · 19 loans')
    expect(valuesOf(body)[2].text).toBe('Filter: days_past_due_gte = 30, q = Borrower')
  })

  test('of a book without loans say so', async ({ owner }) => {
    const { id } = await newPortfolio(owner, { name: 'A\u0007<script>' })
    for (const name of ['delinquency', 'vintage', 'concentration', 'rating']) {
      const { status, text } = await owner.get(`/portfolios/${id}/charts/${name}.svg`)
      expect([name, status]).toEqual([name, 200])
      expect(text).toContain('nothing to draw')
      expect(text).toContain('A &lt;script&gt; · as of ')
    }
    const answer = await owner.get(`/portfolios/${id}/charts/roll-rate.svg`)
    expect(answer.body).toMatchObject({ status: 422, code: 'as_of_without_snapshots' })
  })

  test.for([
    ['pie.svg', 400, 'validation_failed', '/params/name'],
    ['pie.json', 400, 'validation_failed', '/params/name'],
    ['rating.svg?by=sector', 400, 'validation_failed', '/querystring/by'],
    ['roll-rate.svg?as_of=2024-01-31', 400, 'validation_failed', '/querystring/as_of'],
    ['concentration.svg?top=51', 400, 'validation_failed', '/querystring/top'],
    ['rating.png', 404, 'not_found', undefined],
    ['rating', 404, 'not_found', undefined],
    ['rating.svg?as_of=2023-01-31', 422, 'as_of_without_snapshots', undefined],
  ] as const)('%s is refused with %i %s', async ([path, status, code, pointer], { book: { id, owner } }) => {
    const { body } = await owner.get(`/portfolios/${id}/charts/${path}`)
    expect(body).toMatchObject({ status, code, ...(pointer && { errors: [{ pointer }] }) })
  })

  test('refuse a book of more ratings than anybody reads', async ({ sql, owner }) => {
    const id = await newDelinquentBook(sql, owner)
    await sql`
      insert into loans (org_id, id, portfolio_id, loan_number, borrower_name, currency, originated_on, original_principal, status, rating)
      select org_id, gen_random_uuid(), portfolio_id, 'R-' || n, 'R', currency, originated_on, 0, 'current', 'R' || n
      from loans, generate_series(1, 1000) as n where portfolio_id = ${id} and loan_number = 'L-1'`
    const { body } = await owner.get(`/portfolios/${id}/charts/rating.svg`)
    expect(body).toMatchObject({ status: 422, code: 'too_many_segments' })
  })

  test.for(names)('%s of another organisation is not there', async (name, { api, book: { id } }) => {
    const stranger = await api.newOwner()
    for (const format of ['svg', 'json'])
      expect((await stranger.get(`/portfolios/${id}/charts/${name}.${format}`)).status).toBe(404)
  })

  test('without a balance or an open loan say what there is instead', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const tape = (status: string) => `loan_number,borrower_name,currency,originated_on,original_principal,status
1,A,USD,2020-01-31,9,${status}
2,B,USD,2020-01-31,9,paid`
    const load = (as_of: string, status: string) => importCsv(owner, id, tape(status), { as_of, mode: 'upsert' })
    await load('2024-01-31', 'current')
    await load('2024-02-29', 'paid')
    await load('2024-03-31', 'paid')
    const textsOf = async (query: string) =>
      valuesOf((await owner.get(`/portfolios/${id}/charts/roll-rate.json?${query}`)).body).map(({ text }) => text)
    expect(await textsOf('to=2024-02-29')).toEqual(
      expect.arrayContaining([
        'Roll rates: loans from 2024-01-31 to 2024-02-29',
        'Not in the rows: 1 loan closed by 2024-01-31',
        '100.0%',
      ]),
    )
    const closed = await owner.get(`/portfolios/${id}/charts/roll-rate.svg`)
    expect(closed.text).toContain('No loan was open on 2024-02-29: nothing to draw.')
    expect(closed.text).toContain('Not in the rows: 2 loans closed by 2024-02-29')
  })

  test.skipIf(chromium === undefined)(
    'are images to a browser, with no text cut off or upon another, whatever the names',
    async ({ book: { id, owner } }) => {
      const other = await newPortfolio(owner, { name: `${'W'.repeat(80)} <b>&` })
      for (const name of ['W'.repeat(20), '@%mM'.repeat(5), '<svg onload=x>&amp;', 'שלום עולם', '🏦'.repeat(10)])
        await newLoan(owner, other.id, { rating: name, sector: `${name} ${name}`, balance: '0.01' })
      const pathsOf = (portfolio: string, charts: string[]) =>
        charts.map((path) => `/portfolios/${portfolio}/charts/${path}`)
      const paths = [
        ...pathsOf(id, [...names.map((name) => `${name}.svg`), 'roll-rate.svg?status=default']),
        ...pathsOf(other.id, ['rating.svg', 'concentration.svg?by=sector', `vintage.svg?q=${'W'.repeat(60)}`]),
      ]
      const pictures = await Promise.all(paths.map(async (path) => (await owner.get(path)).text))
      expect(await drawnBy(chromium as string, pictures)).toEqual(
        pictures.map((text) => ({ root: 'svg', width: Number(/width="(\d+)"/.exec(text)?.[1]), faults: [] })),
      )
    },
  )
})

type Drawn = { root: string; width: number; faults: string[] }

/** Runs in the browser: the root element of a picture as XML, its width as an image, and its texts that cannot be read. */
const look = `async (text) => {
  const root = document.importNode(new DOMParser().parseFromString(text, 'image/svg+xml').documentElement, true)
  const image = new Image()
  image.src = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }))
  await image.decode()
  document.body.append(root)
  const edge = root.getBoundingClientRect()
  const boxes = [...root.querySelectorAll('text')].filter((one) => one.textContent).map((one) => [one.textContent, one.getBoundingClientRect()])
  const cut = boxes.filter(([, box]) => box.left < edge.left || box.right > edge.right || box.top < edge.top || box.bottom > edge.bottom)
  const covered = boxes.filter(([, one], at) => boxes.slice(at + 1).some(([, other]) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 3))
  return { root: root.tagName, width: image.naturalWidth, faults: [...cut, ...covered].map(([said]) => said) }
}`

async function drawnBy(browser: string, pictures: string[]): Promise<Drawn[]> {
  const folder = await mkdtemp(join(tmpdir(), 'charts-'))
  const page = `<!doctype html><meta charset="utf-8"><body><script>
    const pictures = ${JSON.stringify(pictures).replaceAll('<', '\\u003c')}
    Promise.all(pictures.map(${look})).then((found) => { document.body.replaceChildren(JSON.stringify(found)) })
  </script>`
  await writeFile(join(folder, 'page.html'), page)
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${folder}/profile`,
    '--virtual-time-budget=5000',
  ]
  const { stdout } = await promisify(execFile)(browser, [...flags, '--dump-dom', `file://${folder}/page.html`])
  await rm(folder, { recursive: true, force: true })
  const found = /<body>(.*)<\/body>/s.exec(stdout)?.[1] ?? '[]'
  return JSON.parse(found.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'))
}
