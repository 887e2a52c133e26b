import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect } from 'vitest'
import type { Reject } from '../../../../src/domains/imports/engine/rejects.ts'
import { rejectsOf } from '../../../../src/domains/imports/rejects/queries.ts'
import { test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { header, importCsv } from '../../../helpers/imports.ts'

test('rejected rows are read a few at a time, however large they are, and come whole and in order', async ({
  api,
  owner,
}) => {
  const { id } = await newPortfolio(owner)
  const large = randomBytes(100_000).toString('base64')
  const cells = ['{', 'a "b"', '\\', large].map((cell) => `"${cell.replaceAll('"', '""')}"`)
  const rows = cells.map((cell, at) => `L-${at},A,USD,bad,1,paid,${cell}\n`)
  const file = `${header},note\n${rows.join('')}${rows.join('')}`
  const { body } = await importCsv(owner, id, file, { on_error: 'skip' })
  const scope = { db: api.app.pools.requests.db, org_id: owner.orgId } as Parameters<typeof rejectsOf>[0]
  const parts: Reject[][] = await Readable.from(rejectsOf(scope, body.id)).toArray()
  expect(parts.map((part) => part.map(({ line }) => line))).toEqual([
    [2, 3, 4, 5],
    [6, 7, 8, 9],
  ])
  expect(parts.flat().map((reject) => reject.cells.at(-1))).toEqual([
    '{',
    'a "b"',
    '\\',
    large,
    '{',
    'a "b"',
    '\\',
    large,
  ])
})
