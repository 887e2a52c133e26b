import { describe, expect } from 'vitest'
import { type Api, test as base, Client, startApi } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { beginUpload, countLoans, importCsv, rowsOf, tapeOf, untilImport } from '../../../helpers/imports.ts'

type Listening = Api & { address: string }

const listening =
  (overrides: Record<string, string>) =>
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  async ({}, use: (api: Listening) => Promise<void>) => {
    const api = await startApi(overrides)
    const address = await api.app.listen({ port: 0, host: '127.0.0.1' })
    await use(Object.assign(api, { address }))
    await api.close()
  }

/** One service as it is, and one that soon has enough. */
const test = base.extend<{ api: Listening; strict: Listening }>({
  api: [listening({}), { scope: 'file' }],
  strict: [
    listening({ IMPORT_CONCURRENCY: '1', IMPORT_IDLE_TIMEOUT_S: '1', IMPORT_MAX_BYTES: '200000' }),
    { scope: 'file' },
  ],
})

const newId = () => `01a1fc48-63df-70bb-aa5f-${Math.random().toString(16).slice(2, 14).padEnd(12, '0')}`

describe('a running import', () => {
  test('tells how far it is, and nothing of it is seen before it has ended', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const id = newId()
    const upload = await beginUpload(api.address, owner.token, portfolio, { id })
    await untilImport(owner, id, { status: 'running', received: 0, finished_at: null })
    await upload.send(rowsOf(500))
    await untilImport(owner, id, { status: 'running', received: 500 })
    expect(await countLoans(owner, portfolio)).toBe(0)
    upload.end()
    expect(await upload.answer).toMatchObject({ status: 201, body: { id, status: 'completed', inserted: 500 } })
    expect(await countLoans(owner, portfolio)).toBe(500)
  })

  test('is the only one of its portfolio; another portfolio has its own', async ({ api, owner }) => {
    const [{ id: one }, { id: two }] = [await newPortfolio(owner), await newPortfolio(owner)]
    const id = newId()
    const upload = await beginUpload(api.address, owner.token, one, { id })
    await untilImport(owner, id, { status: 'running' })
    expect((await importCsv(owner, one, tapeOf(1))).body).toMatchObject({ status: 409, code: 'import_in_progress' })
    expect((await importCsv(owner, two, tapeOf(1))).body).toMatchObject({ inserted: 1 })
    expect((await owner.get('/imports?status=running')).body.data).toMatchObject([{ id }])
    await upload.send(rowsOf(1))
    upload.end()
    expect((await upload.answer).status).toBe(201)
    expect((await importCsv(owner, one, tapeOf(2), { mode: 'upsert' })).body).toMatchObject({
      inserted: 1,
      unchanged: 1,
    })
  })

  test('is not begun again by a repeat with its Idempotency-Key', async ({ api, owner }) => {
    const [{ id: one }, { id: two }] = [await newPortfolio(owner), await newPortfolio(owner)]
    const id = newId()
    const key = { 'idempotency-key': 'june' }
    const upload = await beginUpload(api.address, owner.token, one, { id }, tapeOf(1), key)
    await untilImport(owner, id, { status: 'running' })
    for (const portfolio of [one, two])
      expect((await importCsv(owner, portfolio, tapeOf(1), {}, key)).body).toMatchObject({
        status: 409,
        code: 'idempotency_in_progress',
      })
    upload.end()
    expect((await upload.answer).status).toBe(201)
    const again = await importCsv(owner, one, tapeOf(1), { id }, key)
    expect(again).toMatchObject({ status: 201, body: { id } })
  })

  test('keeps its portfolio from being deleted, and lets it be changed', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const id = newId()
    const upload = await beginUpload(api.address, owner.token, portfolio, { id })
    await untilImport(owner, id, { status: 'running' })
    expect((await owner.delete(`/portfolios/${portfolio}`)).status).toBe(409)
    expect((await owner.patch(`/portfolios/${portfolio}`, { name: 'Renamed' })).status).toBe(200)
    upload.end()
    expect((await upload.answer).status).toBe(201)
  })

  test('that is cut off midway fails as incomplete and loads nothing', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const id = newId()
    const upload = await beginUpload(api.address, owner.token, portfolio, { id }, tapeOf(10_000))
    await untilImport(owner, id, { status: 'running', received: 10_000 })
    upload.cut()
    await untilImport(owner, id, { status: 'failed', inserted: 0, failure: { code: 'upload_incomplete' } })
    expect(await countLoans(owner, portfolio)).toBe(0)
    expect((await importCsv(owner, portfolio, tapeOf(10_000))).body).toMatchObject({ inserted: 10_000 })
  })

  test('whose form does not end fails as incomplete', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const upload = await beginUpload(api.address, owner.token, portfolio, {}, tapeOf(10))
    upload.finish()
    const { status, body } = await upload.answer
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'upload_incomplete' })
    expect(await countLoans(owner, portfolio)).toBe(0)
  })

  test('that is cancelled, on whichever instance, loads nothing and answers its upload so', async ({
    api,
    owner,
    strict,
  }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const id = newId()
    const upload = await beginUpload(api.address, owner.token, portfolio, { id, as_of: '2024-01-31' }, tapeOf(20_000))
    await untilImport(owner, id, { status: 'running', received: 20_000 })
    const replica = await startApi({}, api)
    const asked = await new Client(replica.app, owner.token as string).post(`/imports/${id}/cancel`)
    await replica.close()
    expect(asked).toMatchObject({ status: 202, body: { id, status: 'running' } })
    expect(await upload.answer).toMatchObject({ status: 409, body: { code: 'import_cancelled', import_id: id } })
    upload.cut()
    await untilImport(owner, id, { status: 'cancelled', inserted: 0, failure: { code: 'import_cancelled' } })
    expect(await countLoans(owner, portfolio)).toBe(0)
    const again = await owner.post(`/imports/${id}/cancel`)
    expect(again.body).toMatchObject({
      status: 409,
      code: 'invalid_state',
      detail: expect.stringContaining('cancelled'),
    })
    const stranger = await strict.newOwner()
    expect((await new Client(strict.app, stranger.token as string).post(`/imports/${id}/cancel`)).status).toBe(404)
    expect((await importCsv(owner, portfolio, tapeOf(2))).body).toMatchObject({ status: 'completed', inserted: 2 })
  })

  test('whose caller is signed out midway loads nothing, and is told so', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const [writer, id] = [await api.signIn(owner.email), newId()]
    const upload = await beginUpload(api.address, writer.token, portfolio, { id }, tapeOf(10))
    await untilImport(owner, id, { status: 'running', received: 10 })
    await writer.post('/auth/logout')
    expect(await upload.answer).toMatchObject({ status: 401, body: { code: 'session_ended', import_id: id } })
    upload.cut()
    await untilImport(owner, id, { status: 'failed', inserted: 0, failure: { code: 'session_ended' } })
    expect(await countLoans(owner, portfolio)).toBe(0)
  })

  test('that has failed answers at once, and the connection serves the next request', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const upload = await beginUpload(api.address, owner.token, portfolio, {}, 'a,a\n')
    expect(await upload.answer).toMatchObject({ status: 422, body: { code: 'csv_header_invalid' } })
    upload.end()
  })
})

describe('limits of an import', () => {
  test('as many run at once as the service allows; one more is asked to come back, before its body is read', async ({
    strict,
  }) => {
    const owner = await strict.newOwner()
    const [{ id: one }, { id: two }] = [await newPortfolio(owner), await newPortfolio(owner)]
    const id = newId()
    const first = await beginUpload(strict.address, owner.token, one, { id })
    await untilImport(owner, id, { status: 'running' })
    const second = await beginUpload(strict.address, owner.token, two, {})
    const { status, body, headers } = await second.answer
    expect({ status, code: body.code, retryAfter: headers['retry-after'] }).toEqual({
      status: 503,
      code: 'busy',
      retryAfter: '5',
    })
    second.cut()
    first.cut()
    await untilImport(owner, id, { status: 'failed' })
    await expect.poll(async () => (await importCsv(owner, two, tapeOf(1))).status).toBe(201)
  })

  test('a client that sends nothing for too long is told so, and nothing is loaded', async ({ strict }) => {
    const owner = await strict.newOwner()
    const { id: portfolio } = await newPortfolio(owner)
    const id = newId()
    const upload = await beginUpload(strict.address, owner.token, portfolio, { id }, tapeOf(10))
    const { status, body } = await upload.answer
    expect({ status, code: body.code }).toEqual({ status: 408, code: 'request_timeout' })
    expect((await owner.get(`/imports/${id}`)).body).toMatchObject({
      status: 'failed',
      failure: { code: 'request_timeout' },
    })
    expect(await countLoans(owner, portfolio)).toBe(0)
    upload.cut()
  })

  test('a body over the limit is refused, wherever its bytes are', async ({ strict }) => {
    const owner = await strict.newOwner()
    const { id: portfolio } = await newPortfolio(owner)
    const tooMuch = { status: 413, code: 'payload_too_large' }
    expect((await importCsv(owner, portfolio, tapeOf(10_000))).body).toMatchObject(tooMuch)
    expect((await importCsv(owner, portfolio, '', { mapping: 'x'.repeat(250_000) })).body).toMatchObject(tooMuch)
    const endless = await beginUpload(strict.address, owner.token, portfolio, {}, tapeOf(10_000))
    expect((await endless.answer).body).toMatchObject(tooMuch)
    endless.cut()
    expect(await countLoans(owner, portfolio)).toBe(0)
  })
})
