import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { test as base, type startApi, testWith } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { countLoans, importCsv, sendParts, tapeOf } from '../../../helpers/imports.ts'

const test = testWith({ IMPORT_MAX_BYTES: '4000000' }).extend<{
  owner: Awaited<ReturnType<Awaited<ReturnType<typeof startApi>>['newOwner']>>
}>({
  owner: async ({ api }, use) => use(await api.newOwner()),
})

describe('a file that is gzip', () => {
  test('is inflated as it arrives, whatever its name; its hash is of what was sent', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const file = gzipSync(tapeOf(20_000))
    const { status, body } = await importCsv(owner, id, file)
    expect(status, JSON.stringify(body)).toBe(201)
    const sha256 = createHash('sha256').update(file).digest('hex')
    expect(body).toMatchObject({ inserted: 20_000, bytes: file.length, sha256 })
    expect((await importCsv(owner, id, file)).body.code).toBe('already_imported')
  })

  test('of several members is read to the end of the last', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const [one, two] = [tapeOf(2), tapeOf(3).split('\n').slice(3).join('\n')]
    const { body } = await importCsv(owner, id, Buffer.concat([gzipSync(one), gzipSync(two)]))
    expect(body).toMatchObject({ inserted: 3 })
  })

  const whole = gzipSync(tapeOf(5_000))
  const damaged = Buffer.from(whole)
  damaged.fill(0xff, 6_000, 6_100)
  const bad: [string, Buffer][] = [
    ['is cut off', whole.subarray(0, -20)],
    ['is damaged', damaged],
    ['has only the first bytes of one', Buffer.from([0x1f, 0x8b])],
  ]
  for (const [title, file] of bad)
    test(`and ${title} is refused, and nothing is loaded`, async ({ owner }) => {
      const { id } = await newPortfolio(owner)
      expect((await importCsv(owner, id, file)).body).toMatchObject({ status: 422, code: 'gzip_invalid' })
      expect(await countLoans(owner, id)).toBe(0)
    })

  test('by its name alone is refused', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    for (const value of [tapeOf(2), ''])
      expect((await sendParts(owner, id, [{ name: 'file', value, fileName: 'Tape.CSV.GZ' }])).body).toMatchObject({
        status: 422,
        code: 'gzip_invalid',
      })
  })

  test('is refused when it inflates to more than a file may have', async ({ owner }) => {
    const { id } = await newPortfolio(owner)
    const file = gzipSync(tapeOf(100_000))
    expect(file.length).toBeLessThan(4_000_000)
    const { body } = await importCsv(owner, id, file)
    expect(body).toMatchObject({ status: 413, code: 'payload_too_large', detail: expect.stringContaining('inflated') })
    expect(await countLoans(owner, id)).toBe(0)
  })
})

base('a gzip made to exhaust the service is refused by how much it inflates', async ({ owner }) => {
  const { id } = await newPortfolio(owner)
  const bomb = gzipSync(Buffer.concat([Buffer.from(tapeOf(1)), Buffer.alloc(100_000_000, '\n')]))
  const { body } = await importCsv(owner, id, bomb)
  expect(body).toMatchObject({ status: 413, code: 'payload_too_large', detail: expect.stringContaining('200 times') })
})
