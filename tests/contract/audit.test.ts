import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { describe, expect } from 'vitest'
import type { Api, Client } from '../helpers/api.ts'
import { type Operation, readContract, stateOf, type TableState } from '../helpers/contract.ts'
import { Maker } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'
import { newSuperuser } from '../helpers/sessions.ts'
import { test } from '../helpers/sql.ts'

const contract = await readContract()
const changing = contract.operations.filter(({ method }) => method !== 'GET')

/** What changes rows without leaving an event, and why. */
const exceptions: Record<string, string> = {
  forgotPassword:
    'whether there is such an account is found out when the mail is sent; the use of its link is an event',
  resendVerification: 'the same',
  refresh: 'a session goes on as its sign-in said; only a token that comes back too late is an event',
}

/** Rows that tell of the request, not of what it changed. */
const incidental = ['audit_events', 'audit_queue', 'audit_seals', 'idempotency_keys', 'login_throttles']

const changedTables = (before: TableState, after: TableState) =>
  Object.keys(after).filter((name) => !incidental.includes(name) && after[name]?.hash !== before[name]?.hash)

/** Calls an operation, as a superuser who owns an organisation, and says what came of it. */
async function call(operation: Operation, api: Api, sql: postgres.Sql) {
  const ruler = await newSuperuser(api, sql)
  const known = { ...knownOn(api, sql, ruler), refresh_token: () => ruler.refreshToken }
  const maker = new Maker(contract, known, readyOn(api, sql))
  const path = await maker.path(operation.path, ruler)
  const { body, headers } = await maker.payload(operation, ruler, path)
  const caller: Client = operation.permission === 'public' ? api.anonymous : ruler
  const requestId = randomUUID()
  const before = await stateOf(sql)
  const answer = await maker.send(operation, caller, path, { body, headers: { ...headers, 'x-request-id': requestId } })
  const changed = changedTables(before, await stateOf(sql))
  const events = await sql`select action, org_id from audit_events where request_id = ${requestId}`
  return { answer, changed, events }
}

const made = new Set<string>()

describe.each(changing.map((operation) => [operation.title, operation] as const))('%s', (_title, operation) => {
  test.skipIf(exceptions[operation.operationId as string] !== undefined)(
    'leaves an event of its request where it changes anything',
    async ({ api, sql }) => {
      const { answer, changed, events } = await call(operation, api, sql)
      if (answer.status < 300) made.add(operation.operationId as string)
      if (changed.length === 0) return
      expect(events.length, `${answer.status} changed ${changed}: ${answer.text}`).toBeGreaterThan(0)
      for (const { action } of events) expect(action).toMatch(/^[a-z_]+(\.[a-z_]+)+$/)
    },
  )
})

test('was seen to hold for most of what changes anything', () => {
  const asked = changing.map(({ operationId }) => operationId as string).filter((id) => exceptions[id] === undefined)
  expect(asked.filter((id) => made.has(id)).length / asked.length, `made: ${[...made]}`).toBeGreaterThan(0.5)
  for (const id of ['createLoan', 'updateLoan', 'deleteLoan', 'importLoans', 'createUser', 'logout', 'login'])
    expect(made, id).toContain(id)
  expect(Object.keys(exceptions).filter((id) => !changing.some(({ operationId }) => operationId === id))).toEqual([])
})
