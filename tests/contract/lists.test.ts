import { describe, expect } from 'vitest'
import { readContract } from '../helpers/contract.ts'
import { Maker, modelOf } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { newSuperuser } from '../helpers/sessions.ts'
import { test } from '../helpers/sql.ts'

const contract = await readContract()
const lists = contract.operations.filter((operation) => modelOf(operation)?.endsWith('Page'))
const [csv, ndjson] = ['text/csv', 'application/x-ndjson']

describe.each(lists.map((operation) => [operation.title, operation] as const))('%s', (_title, operation) => {
  test('can be had whole as CSV and as NDJSON, with the columns of its model', async ({ api, sql }) => {
    expect(Object.keys(operation.responses[200]?.content ?? {})).toEqual(['application/json', csv, ndjson])
    expect(operation.responses[406]).toBeDefined()
    const ruler = await newSuperuser(api, sql)
    const maker = new Maker(contract, knownOn(api, sql, ruler), readyOn(api, sql))
    const path = await maker.path(operation.path, ruler)
    const id = path.match(/[0-9a-f-]{36}/g)?.at(-1)
    if (id !== undefined) await readyOn(api, sql)[operation.operationId as string]?.(id)

    const page = contract.resolve({ $ref: modelOf(operation) as string })
    const columns = Object.keys(contract.resolve(page.properties?.data?.items ?? {}).properties ?? {})
    const { data } = (await ruler.get(contract.isList(operation) ? `${path}?limit=200` : path)).body
    const whole = (await ruler.get(path, { accept: ndjson })).text
    const table = await ruler.get(path, { accept: csv })
    expect([table.status, table.headers['content-type']]).toEqual([200, `${csv}; charset=utf-8`])
    expect(table.text.split('\r\n')[0]).toBe(columns.join(','))
    expect(table.headers['content-disposition']).toMatch(/^attachment; filename="[a-z_]+\.csv"$/)
    // Reading a list as a file is itself an event, and a list may show that.
    const rows = whole.split('\n').filter((line) => line !== '')
    if (data.length < 200) expect(rows.length - data.length).toBeOneOf([0, 1])
    for (const row of rows) expect(columns).toEqual(expect.arrayContaining(Object.keys(JSON.parse(row))))
    expect((await ruler.get(path, { accept: 'image/png' })).status).toBe(406)

    const first = await ruler.get(`${path}?limit=1`)
    const more = first.body.next_cursor && `cursor=${first.body.next_cursor}`
    const link = more ? expect.stringMatching(/^<\/api\/v1\/[^>]+>; rel="next"$/) : undefined
    expect([first.headers.link, first.headers['content-disposition']]).toEqual([link, undefined])
    expect(first.headers.link ?? '').toContain(more ?? '')
    expect(Object.keys(operation.responses[200]?.headers ?? {})).toEqual(
      expect.arrayContaining(['Link', 'Content-Disposition']),
    )
  })
})

test('was seen to hold for many lists', () => {
  expect(lists.length).toBeGreaterThan(12)
  for (const operation of contract.operations.filter((one) => contract.isList(one))) expect(lists).toContain(operation)
})
