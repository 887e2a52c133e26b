import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import type { FieldError } from '../../src/lib/errors.ts'
import { type Answer, test } from '../helpers/api.ts'
import { loanOf, newPortfolio } from '../helpers/credit.ts'

const problemType = 'application/problem+json'

/** A whole problem document, whatever went wrong. */
function expectProblem(answer: Answer, status: number, code: string) {
  expect([answer.status, answer.body?.code], answer.text.slice(0, 500)).toEqual([status, code])
  expect(answer.headers['content-type']).toMatch(problemType)
  expect(answer.body).toMatchObject({
    type: `/problems/${code}`,
    title: expect.any(String),
    status,
    detail: expect.any(String),
    instance: expect.stringMatching(/^\//),
    request_id: answer.headers['x-request-id'],
  })
  expect(answer.headers['x-content-type-options']).toBe('nosniff')
  expect(answer.text).not.toMatch(/node_modules|\.ts:|select |insert |postgres/i)
}

const json = { 'content-type': 'application/json' }

describe('what is wrong with a request is answered as a problem document', () => {
  test('for a path that is not there, whatever the method', async ({ api }) => {
    for (const [method, path] of [
      ['GET', '/api/v1/nothing'],
      ['POST', '/nothing'],
      ['DELETE', '/api/v1/portfolios'],
      ['PUT', '/api/v1/loans/1'],
      ['GET', '/api/v1/../../etc/passwd'],
      ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ] as const)
      expectProblem(await api.anonymous.send(method, path), 404, 'not_found')
  })

  test('for a path that is no valid percent-encoding', async ({ api }) => {
    for (const path of ['/api/v1/loans/%', '/api/v1/loans/%zz', '/api/v1/loans/%c3%28', '/%'])
      expectProblem(await api.anonymous.get(path), 400, 'bad_request')
  })

  test('for a path parameter that is far too long', async ({ owner }) => {
    expectProblem(await owner.get(`/loans/${'a'.repeat(5_000)}`), 414, 'uri_too_long')
  })

  test('for JSON that is malformed, cut off or missing', async ({ api }) => {
    for (const body of ['{', '{"email":', 'x', "{'a':1}", '{"a":1,}', '[', '\u0000', '{"a":NaN}', '', '{"a":1}{}'])
      expectProblem(await api.anonymous.post('/auth/login', body, json), 400, 'malformed_json')
    const none = await api.anonymous.post('/auth/login')
    expectProblem(none, 400, 'validation_failed')
  })

  test('for text that cannot be stored', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const attributes of [{ a: '\ud800' }, { '\udfff': 1 }, { a: 'x\u0000' }, { '\u0000': 1 }])
      expectProblem(await owner.post('/loans', loanOf(id, { attributes })), 400, 'validation_failed')
  })

  test('for a time that only our own judge takes for one', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const between of ['%C2%A0', '%E2%80%A8', '%EF%BB%BF'])
      expectProblem(
        await owner.get(`/loans?portfolio_id=${id}&known_at=2024-01-01${between}00:00:00Z`),
        400,
        'validation_failed',
      )
  })

  test('for JSON that is no object', async ({ api }) => {
    for (const body of ['null', '[]', '1', '"x"', 'true'])
      expectProblem(await api.anonymous.post('/auth/login', body, json), 400, 'validation_failed')
  })

  test('for a body that is too large', async ({ api, owner }) => {
    const large = JSON.stringify({ username: 'x'.repeat(1_100_000), password: 'x' })
    expectProblem(await api.anonymous.post('/auth/login', large, json), 413, 'payload_too_large')
    expectProblem(await owner.post('/loans', large, json), 413, 'payload_too_large')
  })

  test('for a body that is not as long as it says', async ({ api }) => {
    const answer = await api.anonymous.post('/auth/login', '{"a":1}', { ...json, 'content-length': '3' })
    expectProblem(answer, 400, 'bad_request')
  })

  test('for JSON that is 200,000 levels deep, in the body or in attributes', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const levels = open === '[' ? 200_000 : 120_000
      const deep = `${open.repeat(levels)}1${close.repeat(levels)}`
      expectProblem(await owner.post('/portfolios', deep, json), 400, 'validation_failed')
      const loan = JSON.stringify(loanOf(id)).replace(/}$/, `,"attributes":{"x":${deep}}}`)
      expectProblem(await owner.post('/loans', loan, json), 400, 'validation_failed')
    }
  })

  test('for keys that reach for the prototype', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const loan = JSON.stringify(loanOf(id)).slice(0, -1)
    for (const extra of [
      '"__proto__":{"x":1}',
      '"__proto__":null',
      '"constructor":{"prototype":{"x":1}}',
      '"attributes":{"__proto__":{"x":1}}',
      '"attributes":{"__proto__":1}',
      '"attributes":{"constructor":{"prototype":1}}',
      '"\\u005f_proto__":{"x":1}',
    ])
      expectProblem(await owner.post('/loans', `${loan},${extra}}`, json), 400, 'malformed_json')
    for (const extra of ['"constructor":1', '"toString":1', '"hasOwnProperty":1', '"prototype":1'])
      expectProblem(await owner.post('/loans', `${loan},${extra}}`, json), 400, 'validation_failed')
    const kept = await owner.post('/loans', `${loan},"attributes":{"constructor":"x","toString":1}}`, json)
    expect([kept.status, kept.text]).toEqual([201, expect.stringContaining('"constructor":"x"')])
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test('for a content type that is not JSON, and for JSON under any spelling validated all the same', async ({
    api,
  }) => {
    const body = '{"username":"x","password":"x","role":"owner"}'
    for (const type of [
      'text/plain',
      'text/html',
      'application/xml',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
      'application/json-patch+json',
      'application/json x',
      'application/json,text/plain',
      'json',
      '/',
      'application/json/',
    ])
      expectProblem(
        await api.anonymous.post('/auth/register', body, { 'content-type': type }),
        415,
        'unsupported_media_type',
      )
    for (const type of [
      'application/json',
      'APPLICATION/JSON',
      'Application/Json; Charset=UTF-8',
      'application/json;charset=utf-8',
      'application/json\t; charset=utf-8',
      '\tapplication/json',
      ' application/json',
      'application/json ',
      'application/json\t',
      'application/json;',
      'application/json; a',
      'application/json; charset="utf-8" trailing',
    ]) {
      const answer = await api.anonymous.post('/auth/login', body, { 'content-type': type })
      expect([type, [400, 415].includes(answer.status)]).toEqual([type, true])
      expectProblem(answer, answer.status, answer.status === 400 ? 'validation_failed' : 'unsupported_media_type')
    }
  })

  test('in words that say what to send instead', async ({ api, owner }) => {
    const { body } = await owner.post('/portfolios', { name: '', currency: 'usd', bucket_edges: 'x', code: '-', as: 1 })
    expect(Object.fromEntries(body.errors.map((one: FieldError) => [one.pointer, one.message]))).toEqual({
      '/body/name': 'must not be empty',
      '/body/currency': 'must be a currency code of ISO 4217, such as USD',
      '/body/bucket_edges': 'must be an array',
      '/body/code': 'must be up to 50 letters, digits, _ . -, of which the first is a letter or a digit',
      '/body/as': 'is not a known field',
    })
    const typed = await owner.post('/loans', { ...loanOf(randomUUID()), original_principal: 60_000, status: 'ok' })
    expect(typed.body.errors.map(({ message }: FieldError) => message)).toEqual([
      'must be text in quotes, such as "60000.00"',
      'must be one of current, delinquent, default, charged_off, paid, prepaid, sold',
    ])
    const nothingThere =
      'Nothing answers GET at this path; /docs lists every path with its methods, and none ends in a slash.'
    const details: [() => Promise<Answer>, string][] = [
      [() => owner.get('/loans?limit=500'), '/querystring/limit must be at most 200'],
      [() => owner.get('/loans?q=a&q=b'), '/querystring/q is there more than once'],
      [() => owner.get('/loans/1'), '/params/id must be a UUID in lower case'],
      [
        () => owner.get('/loans?originated_on_gte=31.12.2014'),
        '/querystring/originated_on_gte must be a date of the calendar, written YYYY-MM-DD',
      ],
      [
        () => owner.post('/portfolios', 'name=x', { 'content-type': 'application/x-www-form-urlencoded' }),
        'Send the body with Content-Type: application/json, not as application/x-www-form-urlencoded.',
      ],
      [
        () => api.anonymous.get('/portfolios', { authorization: owner.token as string }),
        'Authorization must be the word Bearer, a space, and an access token or API key.',
      ],
      [() => owner.get('/auth/login'), nothingThere],
      [() => owner.get('/loans/'), nothingThere],
    ]
    for (const [ask, detail] of details) expect((await ask()).body.detail).toBe(detail)
  })

  test('for many faults at once, each by its place', async ({ owner }) => {
    const { body } = await owner.post('/portfolios', { name: 7, currency: 'x', 'a/b~c': 1, ü: 2 })
    expect(body.detail).toBe('4 fields are invalid')
    expect(new Set(body.errors.map(({ pointer }: { pointer: string }) => pointer))).toEqual(
      new Set(['/body/name', '/body/currency', '/body/a~1b~0c', '/body/ü']),
    )
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${n}`, n]))
    expect((await owner.post('/portfolios', many)).body.errors).toHaveLength(100)
  })
})

describe('a request id', () => {
  test('of the caller is used where it is harmless', async ({ api }) => {
    for (const id of ['a', 'A-1_b.2', '0'.repeat(64)]) {
      const answer = await api.anonymous.get('/auth/me', { 'x-request-id': id })
      expect([answer.headers['x-request-id'], answer.body.request_id]).toEqual([id, id])
    }
  })

  test('that is malformed is replaced by one of ours', async ({ api }) => {
    for (const id of ['', 'a b', 'x'.repeat(65), 'a\tb', '<script>', 'ä', 'a,b', '{x}']) {
      const answer = await api.anonymous.get('/auth/me', { 'x-request-id': id })
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      expect(answer.body.request_id).toBe(answer.headers['x-request-id'])
    }
  })

  test('and every other header are one line, whatever the request holds', async ({ api }) => {
    for (const path of [
      '/loans?q=%0d%0aset-cookie:x=1',
      '/loans/%0d%0aset-cookie:x=1',
      '/%0d%0a',
      '/loans?cursor=%0d%0a',
    ]) {
      const { headers } = await api.anonymous.get(path, { origin: 'https://x.example' })
      expect(headers).not.toHaveProperty('set-cookie')
      for (const value of Object.values(headers)) expect(String(value)).not.toMatch(/[\r\n]/)
    }
  })
})
