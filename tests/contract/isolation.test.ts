import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Answer, Client, Person } from '../helpers/api.ts'
import { Contract, type Document, type Operation, stateOf } from '../helpers/contract.ts'
import { type Caller, callersOf, expectationOf } from '../helpers/contract-callers.ts'
import { Maker, type Payload } from '../helpers/contract-maker.ts'
import { test as base } from '../helpers/sql.ts'

type World = {
  contract: Contract
  maker: Maker
  callers: Caller[]
  home: Person
  /** The owner of another organisation, and one of each of its resources. */
  other: Client
  foreign: Map<string, string>
}

const test = base.extend<{ world: World }>({
  world: [
    async ({ api, sql }, use) => {
      const contract = new Contract(api.app.swagger() as unknown as Document)
      const visitor = await api.newOwner()
      const maker = new Maker(contract, {
        username: () => visitor.email,
        refresh_token: async () => (await api.signIn(visitor.email)).refreshToken,
      })
      const home = await api.newOwner()
      const callers = await callersOf(api, sql, home)
      const other = await api.newOwner()
      const foreign = new Map<string, string>()
      for (const collection of contract.collections()) foreign.set(collection, (await maker.make(collection, other)).id)
      await use({ contract, maker, callers, home, other, foreign })
    },
    { scope: 'file' },
  ],
})

/** What an answer says beside the request it answers. */
const said = ({ body, status }: Answer) => {
  const { request_id, instance, ...rest } = body ?? {}
  return { status, ...rest }
}

test('every operation gives every caller what he may have, and nobody else anything', { timeout: 120_000 }, async ({
  api,
  sql,
  world,
}) => {
  const { contract, maker, callers, home } = world
  const faults: string[] = []
  const covered = new Set<string>()
  let checks = 0

  const stateOfItem = async ({ path }: Operation, url: string) => {
    const depth = path.slice(0, path.lastIndexOf('}') + 1).split('/').length
    const item = contract.find('GET', path.split('/').slice(0, depth).join('/'))
    return item && (await home.get(url.split('/').slice(0, depth).join('/'))).body
  }

  /** Calls and makes sure that nothing became of it. */
  const refused = async (operation: Operation, client: Client, url: string, payload: Payload) => {
    const before = [await stateOf(sql), await stateOfItem(operation, url)]
    const answer = await maker.send(operation, client, url, payload)
    const after = [await stateOf(sql), await stateOfItem(operation, url)]
    for (const state of [before[0], after[0]]) {
      delete state.audit_events
      delete state.audit_queue
    }
    expect(after).toEqual(before)
    return answer
  }

  const elsewhere = async (operation: Operation, { client }: Caller, url: string) => {
    const payload = await maker.payload(operation, client)
    const answer = await refused(operation, client, url, payload)
    expect(answer.status, answer.text).toBe(404)
    const unknown = await maker.send(operation, client, url.replace(/[0-9a-f-]{36}/g, randomUUID()), payload)
    expect(said(answer)).toEqual(said(unknown))
    expect(Object.keys(answer.headers)).toEqual(Object.keys(unknown.headers))
    return answer
  }

  /** Whatever changes something gets a fresh resource: the caller's own where only his own are his to change. */
  const allowed = async (operation: Operation, caller: Caller, url: string) => {
    const { method, permission, path } = operation
    const own = permission === 'signed_in' || caller.foreign
    const client = own && method !== 'GET' && caller.again ? await caller.again() : caller.client
    const keeper = own ? client : home
    const target = method === 'GET' && !own ? url : await maker.path(path, keeper)
    const answer = await maker.send(operation, client, target, await maker.payload(operation, keeper))
    const action = method === 'POST' && (path.includes('{') || permission === 'signed_in')
    expect(answer.status, answer.text).toBeOneOf(action ? [200, 201, 202, 204, 409, 422] : [200, 201, 202, 204])
    if (caller.foreign) for (const id of homeIds()) expect(answer.text).not.toContain(id)
    return answer
  }

  const homeIds = () => [home.orgId, ...maker.made.filter(({ client }) => client === home).map(({ id }) => id)]

  const check = async (operation: Operation, caller: Caller, url: string, payload: Payload): Promise<Answer> => {
    const expectation = expectationOf(operation, caller)
    if (expectation === 'allowed') return allowed(operation, caller, url)
    if (expectation === 'elsewhere') return elsewhere(operation, caller, url)
    if (expectation === 'open') {
      const answer = await maker.send(operation, caller.client, url)
      expect(answer.status, answer.text).toBeLessThan(500)
      expect(answer.status).not.toBe(403)
      expect(answer.body?.code).not.toBeOneOf(['unauthenticated', 'invalid_token', 'session_ended', 'token_expired'])
      return answer
    }
    const answer = await refused(operation, caller.client, url, payload)
    const [status, code] = {
      unauthenticated: [401, caller.client.token === undefined ? 'unauthenticated' : expect.any(String)],
      forbidden: [403, 'forbidden'],
      homeless: [409, 'no_active_organization'],
    }[expectation] as [number, string]
    expect(said(answer)).toMatchObject({ status, code })
    return answer
  }

  for (const operation of contract.operations) {
    const url = await maker.path(operation.path, home)
    const payload = operation.permission === 'public' ? {} : await maker.payload(operation, home)
    let successes = 0
    for (const caller of callers) {
      checks++
      try {
        const answer = await check(operation, caller, url, payload)
        if (answer.status < 300) successes++
        if (operation.method !== 'GET' || answer.status === 200) continue
        checks++
        const token = caller.client.token
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
        expect((await api.app.inject({ method: 'HEAD', url, headers })).statusCode).toBe(answer.status)
      } catch (error) {
        faults.push(`${operation.title} × ${caller.name}: ${(error as Error).message}`)
      }
    }
    if (successes === 0) faults.push(`${operation.title}: nobody succeeded, so nothing was shown`)
    covered.add(operation.title)
  }

  console.log(`isolation matrix: ${covered.size} operations × ${callers.length} callers = ${checks} checks`)
  expect(faults).toEqual([])
  expect([...covered]).toEqual(contract.operations.map(({ title }) => title))
})

test('a reference in a body to what another organisation has is a reference to nothing', async ({ sql, world }) => {
  const { contract, maker, home, foreign } = world
  let checks = 0
  for (const operation of contract.operations) {
    const fields = Object.keys(operation.body?.schema.properties ?? {}).filter((name) => name.endsWith('_id'))
    if (operation.permission === 'public' || operation.body?.type !== 'application/json') continue
    for (const field of fields)
      for (const [collection, id] of foreign) {
        const path = await maker.path(operation.path, home)
        const { body } = await maker.payload(operation, home)
        const sent = (reference: string) =>
          maker.send(operation, home, path, { body: { ...(body as object), [field]: reference } })
        const before = await stateOf(sql)
        const answer = await sent(id)
        const what = `${operation.title} with ${field} of ${collection}`
        expect(answer.status, `${what}: ${answer.text}`).toBe(404)
        expect(said(answer), what).toEqual(said(await sent(randomUUID())))
        expect(await stateOf(sql), what).toEqual(before)
        checks++
      }
  }
  expect(checks).toBeGreaterThan(0)
})

test('a filter by what another organisation has finds nothing', async ({ world }) => {
  const { contract, maker, home, foreign } = world
  let checks = 0
  for (const operation of contract.operations.filter((one) => contract.isList(one))) {
    const path = await maker.path(operation.path, home)
    for (const { name } of operation.parameters.filter(({ in: where, name }) => where === 'query' && /_id$/.test(name)))
      for (const id of foreign.values()) {
        const { status, body } = await home.get(`${path}?${name}=${id}&total=exact`)
        expect({ status, body }, `${operation.title}?${name}`).toEqual({
          status: 200,
          body: { data: [], next_cursor: null, total: 0 },
        })
        checks++
      }
  }
  expect(checks).toBeGreaterThan(0)
})

test('a cursor of another organisation is refused on every list', async ({ world }) => {
  const { contract, maker, home, other } = world
  for (const operation of contract.operations.filter((one) => contract.isList(one))) {
    for (let more = 0; more < 2; more++) await maker.make(operation.path, other)
    const { body } = await other.get(`${operation.path}?limit=1`)
    expect(body.next_cursor, operation.title).toEqual(expect.any(String))
    const cursor = encodeURIComponent(body.next_cursor)
    expect((await other.get(`${operation.path}?limit=1&cursor=${cursor}`)).status).toBe(200)
    const answer = await home.get(`${operation.path}?limit=1&cursor=${cursor}`)
    expect(said(answer), operation.title).toMatchObject({ status: 400, code: 'invalid_cursor' })
  }
})
