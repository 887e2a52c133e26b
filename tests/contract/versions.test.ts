import { describe, expect } from 'vitest'
import { readContract, stateOf } from '../helpers/contract.ts'
import { test } from '../helpers/contract-callers.ts'
import { Maker } from '../helpers/contract-maker.ts'
import { knownOn, readyOn } from '../helpers/contract-ready.ts'

const contract = await readContract()
const conditional = contract.operations.filter(({ parameters }) => parameters.some(({ name }) => name === 'if-match'))

/** What a request may do beside its change, whatever comes of it. */
const besides = ['audit_events', 'audit_queue', 'audit_seals', 'sessions']

describe.each(conditional.map((operation) => [operation.title, operation] as const))('%s', (_title, operation) => {
  test('changes nothing under the ETag of another version', async ({ api, by, sql }) => {
    const owner = await by(operation)
    const maker = new Maker(contract, knownOn(api, sql, owner), readyOn(api, sql))
    maker.platform = owner
    const path = await maker.path(operation.path, owner)
    const { body, headers } = await maker.payload(operation, owner, path)
    const before = await stateOf(sql, besides)
    for (const tag of ['"999999999"', 'W/"1"', '1']) {
      const answer = await maker.send(operation, owner, path, { body, headers: { ...headers, 'if-match': tag } })
      expect([answer.status, answer.body?.code], `${tag}: ${answer.text}`).toEqual([412, 'version_mismatch'])
    }
    expect(await stateOf(sql, besides)).toEqual(before)
  })
})

test('every change of what has a version understands If-Match', () => {
  expect(conditional.length).toBeGreaterThan(30)
  const changes = contract.operations.filter(({ method }) => method === 'PATCH' || method === 'PUT')
  expect(conditional).toEqual(expect.arrayContaining(changes))
})
