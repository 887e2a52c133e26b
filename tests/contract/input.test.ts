import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { inspect, type Operation, pathWith, readContract, requiredQuery } from '../helpers/contract.ts'
import { test } from '../helpers/contract-callers.ts'
import { Maker } from '../helpers/contract-maker.ts'

const contract = await readContract()
const maker = new Maker(contract, {
  refresh_token: () => 'token',
  'bulkUpdateMembers.items': () => [{ id: randomUUID(), roles: ['member'] }],
})
const titled = (operations: Operation[]) => operations.map((operation) => [operation.title, operation] as const)

const withJson = titled(contract.operations.filter(({ body }) => body?.type === 'application/json'))
const withId = titled(contract.operations.filter(({ path }) => path.includes('{')))
const withQuery = titled(
  contract.operations.filter(({ parameters }) => parameters.some((parameter) => parameter.in === 'query')),
)

describe.each(withJson)('the body of %s', (_title, operation) => {
  test('may hold nothing the document does not name, and the answer names what it was', async ({ by }) => {
    const owner = await by(operation)
    const { body } = await maker.payload(operation, owner)
    const answer = await owner.send(operation.method, pathWith(operation, randomUUID), {
      ...(body as object),
      is_superuser: true,
    })
    expect(answer.body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/body/is_superuser', code: 'unknown_field' }],
    })
    inspect(operation, answer)
  })

  test('must be of the types the document names: nothing is coerced', async ({ by }) => {
    const owner = await by(operation)
    const properties = Object.entries(operation.body?.schema.properties ?? {})
    const wrong = Object.fromEntries(properties.map(([name, { type }]) => [name, type?.includes('string') ? 1 : 'one']))
    const answer = await owner.send(operation.method, pathWith(operation, randomUUID), wrong)
    const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)
    expect(pointers).toEqual(expect.arrayContaining(properties.map(([name]) => `/body/${name}`)))
    inspect(operation, answer)
  })

  test('may hold any text without bringing the service down', async ({ by }) => {
    const owner = await by(operation)
    const { body } = await maker.payload(operation, owner)
    for (const [name, { type, enum: words }] of Object.entries(operation.body?.schema.properties ?? {})) {
      if (words || !type?.includes('string')) continue
      for (const text of ['a\u0000b', '\ud800', "'; --", '\u202e\u0085\ufeff', 'é'.repeat(200)]) {
        const sent = { ...(body as object), [name]: text }
        const answer = await owner.send(operation.method, pathWith(operation, randomUUID), sent)
        expect(answer.status, `${name}: ${answer.text}`).toBeLessThan(500)
        inspect(operation, answer)
      }
    }
  })

  test('must be an object in JSON without traps', async ({ by }) => {
    const owner = await by(operation)
    const json = { 'content-type': 'application/json' }
    const cases: [string | undefined, Record<string, string>, number, string][] = [
      ['{"a":', json, 400, 'malformed_json'],
      ['{"__proto__":{"a":1}}', json, 400, 'malformed_json'],
      ['{"constructor":{"prototype":{"a":1}}}', json, 400, 'malformed_json'],
      ['['.repeat(200_000), json, 400, 'malformed_json'],
      ['', json, 400, 'malformed_json'],
      ['[]', json, 400, 'validation_failed'],
      ['null', json, 400, 'validation_failed'],
      [`"${'x'.repeat(1_100_000)}"`, json, 413, 'payload_too_large'],
      ['{}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
      ['{}', { 'content-type': 'application/jsonp' }, 415, 'unsupported_media_type'],
      ['{}', {}, 415, 'unsupported_media_type'],
    ]
    for (const [body, headers, status, code] of cases) {
      const answer = await owner.send(operation.method, pathWith(operation, randomUUID), body, headers)
      expect(answer.body, `${body?.slice(0, 40)} as ${headers['content-type']}`).toMatchObject({ status, code })
      inspect(operation, answer)
    }
  })
})

describe.each(withId)('the id in %s', (_title, operation) => {
  test('must be a UUID', async ({ by }) => {
    const owner = await by(operation)
    const { body, headers } = await maker.payload(operation, owner)
    for (const id of ['1', 'nope', '%00', "'--", 'x'.repeat(150), randomUUID().toUpperCase()]) {
      const answer = await owner.send(
        operation.method,
        pathWith(operation, () => id),
        body,
        headers,
      )
      expect(answer.body, id).toMatchObject({ status: 400, code: 'validation_failed' })
      inspect(operation, answer)
    }
  })
})

const urlOf = (operation: Operation) => `${pathWith(operation, randomUUID)}?${requiredQuery(operation)}&`

describe.each(titled(contract.operations.filter(({ path }) => path.startsWith('/api/'))))(
  'the query of %s',
  (_title, operation) => {
    test('may hold nothing the document does not name', async ({ by }) => {
      const owner = await by(operation)
      const { body, headers } = await maker.payload(operation, owner)
      const answer = await owner.send(operation.method, `${urlOf(operation)}org_id=${owner.orgId}`, body, headers)
      expect(answer.body.errors).toEqual([expect.objectContaining({ pointer: '/querystring/org_id' })])
      inspect(operation, answer)
    })
  },
)

describe.each(withQuery)('a parameter of %s', (_title, operation) => {
  const url = urlOf(operation)

  test('comes once, and within its bounds', async ({ by }) => {
    const owner = await by(operation)
    for (const { name, schema } of operation.parameters.filter((parameter) => parameter.in === 'query')) {
      const value = encodeURIComponent(String(schema.enum?.[0] ?? '1'))
      for (const query of [`${name}=${value}&${name}=${value}`, `${name}=${'9'.repeat(5_000)}`, `${name}[]=${value}`]) {
        const answer = await owner.send(operation.method, url + query)
        expect(answer.body, query.slice(0, 100)).toMatchObject({ status: 400 })
        inspect(operation, answer)
      }
      for (const text of ['1e999', 'NaN', '-1', '%00', '%25', "'", '', '%ED%A0%80']) {
        const answer = await owner.send(operation.method, `${url}${name}=${text}`)
        if (schema.type === 'string') expect(answer.status, `${name}=${text}`).toBeOneOf([200, 204, 400, 404])
        else expect(answer.body.errors?.[0], `${name}=${text}`).toMatchObject({ pointer: `/querystring/${name}` })
        inspect(operation, answer)
      }
    }
  })
})
