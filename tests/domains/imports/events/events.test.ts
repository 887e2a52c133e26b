import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { describe, expect } from 'vitest'
import { type Api, test as base, type Client, startApi } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { beginUpload, importCsv, rowsOf, tapeOf, untilImport } from '../../../helpers/imports.ts'

type Listening = Api & { address: string }
type Event = { event?: string; id?: string; data?: Record<string, unknown> }

/** A stream that is read as it comes. */
type Stream = {
  status: number | undefined
  headers: IncomingMessage['headers']
  events: Event[]
  text: () => string
  ended: Promise<unknown>
  close: () => void
}

const listening = async (use: (api: Listening) => Promise<void>, on?: Api) => {
  const api = await startApi({}, on)
  const address = await api.app.listen({ port: 0, host: '127.0.0.1' })
  await use(Object.assign(api, { address }))
  await api.close()
}

const test = base.extend<{ api: Listening; other: Listening }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  api: [async ({}, use) => listening(use), { scope: 'file' }],
  other: [async ({ api }, use) => listening(use, api), { scope: 'file' }],
})

const newId = () => `01a1fc48-63df-70bb-aa5f-${Math.random().toString(16).slice(2, 14).padEnd(12, '0')}`

const eventOf = (frame: string): Event => {
  const lines = frame.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)])
  const { data, ...rest } = Object.fromEntries(lines)
  return { ...rest, ...(data !== undefined && { data: JSON.parse(data) }) }
}

async function open({ address }: Listening, { token }: Client, id: string, lastId?: string): Promise<Stream> {
  const headers = { authorization: `Bearer ${token}`, ...(lastId !== undefined && { 'last-event-id': lastId }) }
  const request = http.get(`${address}/api/v1/imports/${id}/events`, { headers, agent: false })
  request.on('error', () => undefined)
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  const events: Event[] = []
  answer.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
    const frames = text.split('\n\n').slice(0, -1)
    events.splice(0, events.length, ...frames.map(eventOf).filter(({ event }) => event !== undefined))
  })
  answer.on('error', () => undefined)
  const ended = new Promise((done) => answer.once('close', done))
  return {
    status: answer.statusCode,
    headers: answer.headers,
    events,
    text: () => text,
    ended,
    close: () => request.destroy(),
  }
}

/** An import that has begun and waits for more. */
async function running(api: Listening, owner: Client) {
  const { id: portfolio } = await newPortfolio(owner)
  const id = newId()
  const upload = await beginUpload(api.address, owner.token, portfolio, { id })
  await untilImport(owner, id, { status: 'running' })
  return { id, portfolio, upload }
}

describe('the events of an import', () => {
  test('tell its counts while it runs, on every instance, and end with how it ended', async ({ api, other, owner }) => {
    const { id, upload } = await running(api, owner)
    const streams = [await open(api, owner, id), await open(other, owner, id)]
    for (const { status, headers } of streams) {
      expect([status, headers['content-type'], headers['cache-control']]).toEqual([
        200,
        'text/event-stream',
        'no-store',
      ])
    }
    await upload.send(rowsOf(500))
    for (const { events } of streams)
      await expect
        .poll(() => events.at(-1), { timeout: 10_000 })
        .toMatchObject({ event: 'progress', data: { id, status: 'running', received: 500 } })
    upload.end()
    for (const { events, ended, text } of streams) {
      await ended
      expect(text()).toMatch(/^retry: [0-9]+\n\n/)
      expect(events.at(-1)).toMatchObject({ event: 'completed', data: { id, status: 'completed', inserted: 500 } })
      expect(events.filter(({ event }) => event === 'completed')).toHaveLength(1)
      expect(new Set(events.map((event) => event.id)).size).toBe(events.length)
      expect(text()).not.toMatch(/org_id|request_hash|principal|idempotency/)
    }
  })

  test('go on after the last that was seen, on another instance too, and 204 says that none will come', async ({
    api,
    other,
    owner,
  }) => {
    const { id, upload } = await running(api, owner)
    const first = await open(api, owner, id)
    await expect.poll(() => first.events.length, { timeout: 5_000 }).toBe(1)
    first.close()
    const second = await open(other, owner, id, first.events[0]?.id)
    await upload.send(rowsOf(3))
    upload.end()
    await second.ended
    expect(second.events[0]?.data).toMatchObject({ received: 3 })
    expect(second.events.at(-1)?.event).toBe('completed')
    const again = await open(api, owner, id, second.events.at(-1)?.id)
    expect(again.status).toBe(204)
  })

  test('of an import that has ended are its last one, at once, whatever was seen before', async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const { body } = await importCsv(owner, portfolio, tapeOf(2))
    const stream = await open(api, owner, body.id, 'running-0-0-0-0-0-0')
    await stream.ended
    expect(stream.events).toMatchObject([{ event: 'completed', data: { inserted: 2 } }])
    const failed = await importCsv(owner, portfolio, 'a,a\n')
    const { text } = await owner.get(`/imports/${failed.body.import_id}/events`)
    expect(text).toContain('event: failed\n')
    expect(text).toContain('"code":"csv_header_invalid"')
  })

  test('tell within seconds that the upload was cut off', async ({ api, owner }) => {
    const { id, upload } = await running(api, owner)
    const stream = await open(api, owner, id)
    upload.cut()
    await stream.ended
    expect(stream.events.at(-1)).toMatchObject({ event: 'failed', data: { failure: { code: 'upload_incomplete' } } })
  })

  test('end when the session that asked for them ends, and when the right to read is gone', async ({ api, owner }) => {
    const { id, upload } = await running(api, owner)
    const [reader, demoted] = [await api.newUser(owner, 'member'), await api.newUser(owner, 'member')]
    const streams = [await open(api, reader, id), await open(api, demoted, id)]
    await reader.post('/auth/logout')
    const members = (await owner.get('/members')).body.data as { id: string; user_id: string }[]
    const member = members.find(({ user_id }) => user_id === demoted.id)
    expect((await owner.patch(`/members/${member?.id}`, { roles: ['guest'] })).status).toBe(200)
    for (const { ended, events } of streams) {
      await ended
      expect(events.map(({ event }) => event)).toEqual(events.map(() => 'progress'))
    }
    upload.cut()
  })

  test('of one caller come in ten streams at most', async ({ api, owner }) => {
    const { id, upload } = await running(api, owner)
    const streams = await Promise.all(Array.from({ length: 11 }, () => open(api, owner, id)))
    expect(streams.map(({ status }) => status).toSorted()).toEqual([...Array(10).fill(200), 429])
    for (const { close } of streams) close()
    const again = async () => {
      const stream = await open(api, owner, id)
      stream.close()
      return stream.status
    }
    await expect.poll(again, { timeout: 5_000 }).toBe(200)
    upload.cut()
  })

  test("of another organisation's import are those of none", async ({ api, owner }) => {
    const stranger = await api.newOwner()
    const { body } = await importCsv(owner, (await newPortfolio(owner)).id, tapeOf(1))
    expect((await open(api, stranger, body.id)).status).toBe(404)
    expect((await stranger.get(`/imports/${body.id}/mapping`)).status).toBe(404)
  })

  test('end when the service does', async ({ api }) => {
    await listening(async (leaving) => {
      const owner = await leaving.newOwner()
      const { id, upload } = await running(api, owner)
      const stream = await open(leaving, owner, id)
      await expect.poll(() => stream.events.length).toBe(1)
      await leaving.app.close()
      await stream.ended
      expect(stream.events.map(({ event }) => event)).toEqual(stream.events.map(() => 'progress'))
      upload.cut()
    }, api)
  })
})
