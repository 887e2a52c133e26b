import { randomUUID } from 'node:crypto'
import type { Sql } from 'postgres'
import { describe, expect } from 'vitest'
import type { Answer, Api, Client, Person } from '../helpers/api.ts'
import { type Contract, type Operation, readContract, stateOf, type TableState } from '../helpers/contract.ts'
import { test } from '../helpers/contract-callers.ts'
import { Maker, modelOf, type Payload } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { twinOf } from '../helpers/sessions.ts'

const contract = await readContract()

/**
 * Refresh has a replay of its own (the same token gives the same successor for a while); a proof is never taken from an
 * answer of before; a suggestion keeps nothing; what is cancelled or rolled back cannot be so again.
 */
const unkeyed = ['cancelImport', 'refresh', 'rollbackImport', 'stepUp', 'suggestImportMapping']

/** Logout and a switch end the token that would ask again; codes of a second factor are tested beside it. */
const unrepeatable = ['switchOrganization', 'logout', 'logoutEverywhere', 'confirmTotp', 'replaceRecoveryCodes']
const understands = (operation: Operation) => operation.parameters.some(({ name }) => name === 'idempotency-key')
const keyed = contract.operations.filter((one) => understands(one) && !unrepeatable.includes(one.operationId ?? ''))

test('every POST understands a key, except those that say so', () => {
  const posts = contract.operations.filter(({ method }) => method === 'POST')
  expect(contract.operations.filter(understands)).toEqual(posts.filter(understands))
  expect(posts.flatMap((one) => (understands(one) ? [] : one.operationId)).sort()).toEqual(unkeyed)
})

/** An import lets no second one near its portfolio, nor many run at once, before it looks at the key. */
const importWaits = ['import_in_progress', 'busy']
const carriesFile = ({ body }: Operation) => body?.type === 'multipart/form-data'

/** What a repeat must repeat. */
const told = ({ status, body, headers: { location, etag } }: Answer) => ({ status, body, location, etag })

const withKey = ({ body, headers }: Payload, key: string): Payload => ({
  body,
  headers: { ...headers, 'idempotency-key': key },
})

/** Rows more than before, by table. */
const added = (before: TableState, after: TableState) =>
  Object.entries(after)
    .map(([table, { rows }]) => [table, rows - (before[table]?.rows ?? 0)] as const)
    .filter(([, more]) => more !== 0)

/** A call of the operation, ready to be made as often as needed. */
async function prepare(operation: Operation, api: Api, sql: Sql, client: Client, visitor: Person) {
  const maker = new Maker(contract as Contract, knownOn(api, sql, visitor), readyOn(api, sql))
  const caller = operation.permission === 'public' ? api.anonymous : client
  const path = await maker.path(operation.path, client)
  const payload = await maker.payload(operation, client, path)
  return {
    payload,
    /** A payload unlike the first. */
    another: async () => different(operation, payload, await maker.payload(operation, client)),
    send: (key: string, sent: Payload = payload) => maker.send(operation, caller, path, withKey(sent, key)),
  }
}

/** The second payload, or the first with a switch turned, a text prolonged, or another word, where both are the same. */
function different({ body }: Operation, first: Payload, second: Payload): Payload {
  if (JSON.stringify(first.body) !== JSON.stringify(second.body)) return second
  const sent = first.body as Record<string, unknown>
  const fields = Object.entries(body?.schema.properties ?? {})
  const [name] = fields.find(([, { type }]) => type === 'boolean') ?? []
  if (name !== undefined) return { body: { ...sent, [name]: true } }
  const [text] = fields.find(([field, { enum: words }]) => typeof sent[field] === 'string' && !words) ?? []
  if (text !== undefined) return { body: { ...sent, [text]: `${sent[text]}, more` } }
  const [word, { enum: words = [] }] = fields.find(([field, schema]) => schema.enum && sent[field] !== undefined) ?? [
    '',
    {},
  ]
  return { body: { ...sent, [word]: words.find((one) => one !== sent[word]) } }
}

/** Whether the answer is one resource, by whose id two answers are told apart. */
const answersWithId = (operation: Operation) => {
  const $ref = modelOf(operation)
  return $ref !== undefined && contract.resolve({ $ref }).properties?.id !== undefined
}

const titled = (operations: Operation[]) => operations.map((operation) => [operation.title, operation] as const)

describe.each(titled(keyed))('%s', (_title, operation) => {
  test('runs once under an Idempotency-Key, and answers a repeat as it did first', async ({ api, by, sql }) => {
    const owner = await by(operation)
    const { send } = await prepare(operation, api, sql, owner, owner)
    const key = randomUUID()
    const first = await send(key)
    expect(first.status, first.text).toBeLessThan(300)
    const before = await stateOf(sql)
    const second = await send(key)
    expect(told(second)).toEqual(told(first))
    expect(await stateOf(sql)).toEqual(before)
  })
})

// What takes no body has one meaning, so there is nothing that its key could be mixed up with.
describe.each(titled(keyed.filter(({ body }) => body)))('%s', (_title, operation) => {
  test('refuses another body under the same key, and changes nothing', async ({ api, by, sql }) => {
    const owner = await by(operation)
    const { send, another } = await prepare(operation, api, sql, owner, owner)
    const key = randomUUID()
    await send(key)
    const other = await another()
    const before = await stateOf(sql)
    const answer = await send(key, other)
    expect(answer.body).toMatchObject({ status: 422, code: 'idempotency_mismatch' })
    expect(await stateOf(sql)).toEqual(before)
  })

  test('has one effect however many ask at once', async ({ api, by, sql }) => {
    const owner = await by(operation)
    const alone = await prepare(operation, api, sql, owner, owner)
    const atStart = await stateOf(sql)
    expect((await alone.send(randomUUID())).status).toBeLessThan(300)
    const effect = added(atStart, await stateOf(sql))

    const { send } = await prepare(operation, api, sql, owner, owner)
    const key = randomUUID()
    const before = await stateOf(sql)
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(key)))
    const good = answers.filter(({ status }) => status < 300)
    expect(added(before, await stateOf(sql))).toEqual(effect)
    expect(good.length).toBeGreaterThan(0)
    for (const answer of good) expect(told(answer)).toEqual(told(good[0] as Answer))
    for (const { body } of answers.filter((answer) => !good.includes(answer)))
      expect(body.code).toBeOneOf(['idempotency_in_progress', ...(carriesFile(operation) ? importWaits : [])])
    expect(told(await send(key))).toEqual(told(good[0] as Answer))
  })

  test.runIf(operation.permission !== 'public' && answersWithId(operation))(
    'keeps the keys of users apart',
    async ({ api, by, sql }) => {
      const key = randomUUID()
      const owner = await by(operation)
      const callers = [owner, await twinOf(api, sql, owner), await by(operation)]
      const ids = new Set<unknown>()
      for (const caller of callers) {
        const { send } = await prepare(operation, api, sql, caller, caller)
        const answer = await send(key)
        expect(answer.status, answer.text).toBeLessThan(300)
        ids.add(answer.body.id)
      }
      expect(ids.size).toBe(callers.length)
    },
  )

  test('refuses a key that is no key', async ({ api, by, sql }) => {
    const owner = await by(operation)
    const { send } = await prepare(operation, api, sql, owner, owner)
    const before = await stateOf(sql)
    for (const key of ['two words', 'k'.repeat(256), 'é'])
      expect((await send(key)).body).toMatchObject({ status: 400, code: 'invalid_idempotency_key' })
    expect(await stateOf(sql)).toEqual(before)
  })
})

test('a key is free again after a refusal of the database', async ({ api, owner, sql }) => {
  const operation = contract.find('POST', '/api/v1/loans') as Operation
  const { send, payload } = await prepare(operation, api, sql, owner, owner)
  const key = randomUUID()
  const failed = await send(key, { body: { ...(payload.body as object), portfolio_id: randomUUID() } })
  expect(failed.status).toBe(404)
  expect((await send(key)).status).toBe(201)
})

test('a replay under a key needs a credential as good as the first', async ({ api, owner }) => {
  const body = { name: 'Book', currency: 'USD' }
  const headers = { 'idempotency-key': randomUUID() }
  const manager = await api.newUser(owner, 'portfolio_manager')
  expect((await manager.post('/portfolios', body, headers)).status).toBe(201)
  await manager.post('/auth/logout')
  expect((await manager.post('/portfolios', body, headers)).status).toBe(401)
})

test('a refresh token gives the same successor to whoever repeats it at once, and no key changes that', async ({
  api,
  owner,
}) => {
  const body = { refresh_token: owner.refreshToken }
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => api.anonymous.post('/auth/refresh', body, { 'idempotency-key': 'refresh' })),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(new Set(answers.map((answer) => answer.body.refresh_token)).size).toBe(1)
})
