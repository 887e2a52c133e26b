import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Answer, Client, Person } from '../helpers/api.ts'
import { Contract, type Document, type Operation, requiredQuery, stateOf } from '../helpers/contract.ts'
import {
  type Caller,
  callersOf,
  concerns,
  type Expectation,
  expectationOf,
  platform,
} from '../helpers/contract-callers.ts'
import { Maker, type Payload } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { newSuperuser, sessionOf } from '../helpers/sessions.ts'
import { test as base } from '../helpers/sql.ts'

/** What nobody can do without a code of the moment: tests/domains/identity/totp shows that it can be done. */
const needsCode = ['confirmTotp', 'replaceRecoveryCodes']

type Refusal = Exclude<Expectation, 'open' | 'allowed'>

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
      const known = {
        ...knownOn(api, sql, visitor),
        refresh_token: async () => (await api.signIn(visitor.email)).refreshToken,
      }
      const maker = new Maker(contract, known, readyOn(api, sql))
      maker.platform = await newSuperuser(api, sql)
      const home = await sessionOf(api, sql, await api.newOwner())
      const callers = await callersOf(api, sql, home)
      const other = await sessionOf(api, sql, await api.newOwner())
      for (let more = 0; more < 2; more++) await api.signIn(other.email)
      const foreign = new Map<string, string>()
      for (const collection of contract.collections())
        if (!collection.includes('/platform/')) foreign.set(collection, (await maker.make(collection, other)).id)
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

const isPlatform = ({ permission }: Operation) => permission === platform

/** A refusal may be recorded; nothing else may come of it. */
const trails = ['audit_events', 'audit_queue', 'audit_seals']

/** Does the same with each, so many at a time. */
async function inGroups<T>(size: number, all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < all.length; start += size) await Promise.all(all.slice(start, start + size).map(work))
}

const unlessIdIs = (url: string) => url.replace(/[0-9a-f-]{36}/g, randomUUID())

/** The answer that each refusal must be. */
const refusals = {
  forbidden: [403, 'forbidden'],
  unproved: [403, 'step_up_required'],
  homeless: [409, 'no_active_organization'],
  elsewhere: [404, 'not_found'],
} as const

test('every operation gives every caller what he may have, and nobody else anything', { timeout: 240_000 }, async ({
  api,
  sql,
  world,
}) => {
  const { contract, maker, callers, home } = world
  const faults: string[] = []
  const covered = new Set<string>()
  let checks = 0
  const readables = new Map<Client, Map<string, string>>()

  const stateOfItem = async (operation: Operation, url: string) => {
    const depth = operation.path.slice(0, operation.path.lastIndexOf('}') + 1).split('/').length
    const item = contract.find('GET', operation.path.split('/').slice(0, depth).join('/'))
    return item && (await maker.keeper(item, home).get(url.split('/').slice(0, depth).join('/'))).body
  }
  const state = async (operation: Operation, url: string) => [
    await stateOf(sql, trails),
    await stateOfItem(operation, url),
  ]

  /** HEAD tells who may GET no more than GET does. */
  const headed = async (operation: Operation, { client: { token } }: Caller, path: string, status: number) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const url = `${path}?${requiredQuery(operation)}`
    expect((await api.app.inject({ method: 'HEAD', url, headers })).statusCode).toBe(status)
  }

  const refused = async (operation: Operation, caller: Caller, url: string, payload: Payload, expectation: Refusal) => {
    const { client } = caller
    const answer = await maker.send(operation, client, url, payload)
    if (expectation === 'unauthenticated')
      expect(said(answer)).toMatchObject({
        status: 401,
        ...(caller.kind === 'stranger' && { code: 'unauthenticated' }),
      })
    else expect([answer.status, answer.body.code], answer.text).toEqual(refusals[expectation])
    if (expectation === 'elsewhere') {
      const unknown = await maker.send(operation, client, unlessIdIs(url), payload)
      expect(said(answer)).toEqual(said(unknown))
      expect(Object.keys(answer.headers)).toEqual(Object.keys(unknown.headers))
    }
    if (operation.method === 'GET') await headed(operation, caller, url, answer.status)
  }

  /** Whatever changes something gets a fresh resource: the caller's own where only his own are his to change. */
  const allowed = async (operation: Operation, caller: Caller, url: string) => {
    const { method, permission, path } = operation
    const changes = method !== 'GET'
    const own = permission === 'signed_in' || caller.foreign === true
    const client = permission === 'signed_in' && changes && caller.twin ? await caller.twin() : caller.client
    const keeper = maker.keeper(operation, own ? keeperOf(caller, client) : home)
    const target = changes ? await maker.path(path, keeper) : own ? await readable(operation, keeper) : url
    const answer = await maker.send(operation, client, target, await maker.payload(operation, keeper, target))
    const action = method === 'POST' && (path.includes('{') || permission === 'signed_in')
    // An account is added by whom manages it elsewhere too, and a key is nobody elsewhere.
    if (caller.kind === 'key' && operation.operationId === 'addMember') return expect(answer.status).toBe(404)
    expect(answer.headers['x-impersonated-by'] !== undefined).toBe(caller.kind === 'impersonation')
    expect(answer.status, answer.text).toBeOneOf(action ? [200, 201, 202, 204, 409, 422] : [200, 201, 202, 204])
    if (caller.foreign && !isPlatform(operation)) for (const id of homeIds()) expect(answer.text).not.toContain(id)
    return answer.status < 300
  }

  /** The path of what somebody may read, made once for all operations that read it. */
  const readable = async (operation: Operation, keeper: Client) => {
    const { path } = operation
    const end = path.lastIndexOf('}') + 1
    const made = readables.get(keeper) ?? new Map<string, string>()
    readables.set(keeper, made)
    const item = made.get(path.slice(0, end)) ?? (await maker.path(path.slice(0, end), keeper))
    made.set(path.slice(0, end), item)
    return (end === 0 ? '' : item) + path.slice(end)
  }

  /** Keys and who acts as another cannot make whatever they may read. */
  const keeperOf = ({ kind, keeper }: Caller, client: Client) =>
    (kind === 'key' || kind === 'impersonation' ? keeper : undefined) ?? client

  const homeIds = () => [home.orgId, ...maker.made.filter(({ client }) => client === home).map(({ id }) => id)]

  const open = async (operation: Operation, { client }: Caller, url: string) => {
    const answer = await maker.send(operation, client, url)
    expect(answer.status, answer.text).toBeLessThan(500)
    expect(answer.status).not.toBe(403)
    expect(answer.body?.code).not.toBeOneOf(['unauthenticated', 'invalid_token', 'session_ended', 'token_expired'])
    return answer.status < 300
  }

  for (const operation of contract.operations) {
    const { title, permission, path } = operation
    /** Notes what goes wrong, and with whom. */
    const check = async <T>(caller: Caller | undefined, run: () => Promise<T>): Promise<T | undefined> => {
      if (caller) checks++
      return run().catch((error: Error) => void faults.push(`${title} × ${caller?.name ?? 'all'}: ${error.message}`))
    }
    const asked = callers.filter((caller) => concerns(operation, caller, callers))
    const expected = asked.map((caller) => ({ caller, expectation: expectationOf(operation, caller) }))
    await check(undefined, async () => {
      const keeper = maker.keeper(operation, home)
      const url = await (operation.method === 'GET' ? readable(operation, keeper) : maker.path(path, keeper))
      const payload = permission === 'public' ? {} : await maker.payload(operation, keeper, url)
      const refusing = []
      for (const { caller, expectation } of expected) {
        if (expectation === 'open' || expectation === 'allowed') continue
        const own = expectation === 'elsewhere' && caller.keeper
        refusing.push({ caller, expectation, payload: own ? await maker.payload(operation, own, url) : payload })
      }
      const before = await state(operation, url)
      // None of them changes anything, so it does not matter who asks when; only so many may send files at once.
      const atOnce = operation.body?.type === 'multipart/form-data' ? 1 : 8
      await inGroups(atOnce, refusing, ({ caller, expectation, payload }) =>
        check(caller, () => refused(operation, caller, url, payload, expectation)),
      )
      expect(await state(operation, url), 'a refusal changed something').toEqual(before)

      let successes = 0
      for (const { caller, expectation } of expected) {
        if (expectation === 'open' && (await check(caller, () => open(operation, caller, url)))) successes++
        if (expectation === 'allowed' && (await check(caller, () => allowed(operation, caller, url)))) successes++
      }
      if (!needsCode.includes(operation.operationId as string))
        expect(successes, 'nobody succeeded, so nothing was shown').toBeGreaterThan(0)
    })
    covered.add(title)
  }

  console.log(`isolation matrix: ${covered.size} operations × ${callers.length} callers, ${checks} checks`)
  expect(faults).toEqual([])
  expect([...covered]).toEqual(contract.operations.map(({ title }) => title))
})

test('who names himself where that is enough needs no permission', async ({ api, world }) => {
  const { contract, maker, home } = world
  for (const operation of contract.operations.filter(({ self }) => self !== undefined)) {
    const guest = await api.newUser(home, 'guest')
    const other = await api.newUser(home, 'guest')
    const payload = await maker.payload(operation, home)
    const url = (id: string) => operation.path.replace(`{${operation.self}}`, id)
    const answer = await maker.send(operation, guest, url(guest.id), payload)
    expect(answer.body?.code, `${operation.title}: ${answer.text}`).not.toBe('forbidden')
    expect((await maker.send(operation, other, url(home.id), payload)).status, operation.title).toBe(403)
  }
})

test('an id of the platform tells nothing to who is no superuser', async ({ world }) => {
  const { contract, maker, home } = world
  const operations = contract.operations.filter((one) => isPlatform(one) && one.path.includes('{'))
  expect(operations.length).toBeGreaterThan(0)
  for (const operation of operations) {
    const url = await maker.path(operation.path, home)
    const payload = await maker.payload(operation, home)
    const answer = await maker.send(operation, home, url, payload)
    expect(said(answer), operation.title).toEqual(said(await maker.send(operation, home, unlessIdIs(url), payload)))
    expect(answer.status).toBe(403)
  }
})

test('a reference in a body to what another organisation has is a reference to nothing', { timeout: 120_000 }, async ({
  sql,
  world,
}) => {
  const { contract, maker, home, foreign } = world
  let checks = 0
  for (const operation of contract.operations) {
    const fields = Object.keys(operation.body?.schema.properties ?? {}).filter((name) => name.endsWith('_id'))
    if (operation.permission === 'public' || isPlatform(operation) || operation.body?.type !== 'application/json')
      continue
    if (fields.length === 0) continue
    const path = await maker.path(operation.path, home)
    const { body } = await maker.payload(operation, home, path)
    const before = await stateOf(sql)
    for (const field of fields)
      for (const [collection, id] of foreign) {
        const sent = (reference: string) =>
          maker.send(operation, home, path, { body: { ...(body as object), [field]: reference } })
        const answer = await sent(id)
        const what = `${operation.title} with ${field} of ${collection}`
        expect(answer.status, `${what}: ${answer.text}`).toBe(404)
        expect(said(answer), what).toEqual(said(await sent(randomUUID())))
        checks++
      }
    expect(await stateOf(sql), operation.title).toEqual(before)
  }
  expect(checks).toBeGreaterThan(0)
})

test('an item of a bulk request that names what another organisation has fails as one that names nothing', {
  timeout: 120_000,
}, async ({ sql, world }) => {
  const { contract, maker, home, foreign } = world
  const checked: string[] = []
  for (const operation of contract.operations.filter((one) => !isPlatform(one) && one.body?.schema.properties?.items)) {
    const path = await maker.path(operation.path, home)
    const { body } = (await maker.payload(operation, home, path)) as { body: { items: [Record<string, unknown>] } }
    const [item] = body.items
    /** The item with another id in the place of one of its own, wherever in it that is. */
    const inPlaceOf = (own: string, id: string) => JSON.parse(JSON.stringify(item).replaceAll(own, id))
    const ids = new Set(JSON.stringify(item).match(/[0-9a-f]{8}-[0-9a-f-]{27}/g))
    const before = await stateOf(sql, trails)
    for (const own of ids)
      for (const [collection, id] of foreign) {
        const items = [inPlaceOf(own, id), inPlaceOf(own, randomUUID())]
        const { status, body, text } = await maker.send(operation, home, path, { body: { items } })
        const what = `${operation.title} with an id of ${collection}: ${text}`
        expect([status, body.succeeded, body.results[0].code], what).toEqual([200, 0, 'not_found'])
        expect(body.results[0], what).toEqual({ ...body.results[1], index: 0 })
        checked.push(operation.operationId as string)
      }
    expect(await stateOf(sql, trails), operation.title).toEqual(before)
  }
  const bulk = [
    'bulkUpdateMembers',
    'bulkChangeUsers',
    'bulkCreateRatings',
    'bulkAddWatchListEntries',
    'bulkChangeLoans',
  ]
  expect(checked).toEqual(expect.arrayContaining(bulk))
})

test('a filter by what another organisation has finds nothing', async ({ world }) => {
  const { contract, maker, home, foreign } = world
  let checks = 0
  for (const operation of contract.operations.filter((one) => contract.isList(one) && !isPlatform(one))) {
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

test('a cursor of another organisation is refused on every list', async ({ api, sql, world }) => {
  const ready = readyOn(api, sql)
  const { contract, maker, home, other } = world
  const fill = async (operation: Operation, path: string) => {
    const id = path.match(/[0-9a-f-]{36}/g)?.at(-1)
    const prepare = ready[operation.operationId as string]
    await (prepare && id !== undefined ? prepare(id) : maker.make(operation.path, other, path))
  }
  for (const operation of contract.operations.filter((one) => contract.isList(one) && !isPlatform(one))) {
    const path = await maker.path(operation.path, other)
    for (let more = 0; more < 2; more++) await fill(operation, path)
    const { body } = await other.get(`${path}?limit=1`)
    expect(body.next_cursor, operation.title).toEqual(expect.any(String))
    const cursor = encodeURIComponent(body.next_cursor)
    expect((await other.get(`${path}?limit=1&cursor=${cursor}`)).status).toBe(200)
    const answer = await home.get(`${await maker.path(operation.path, home)}?limit=1&cursor=${cursor}`)
    expect(said(answer), operation.title).toMatchObject({ status: 400, code: 'invalid_cursor' })
  }
})
