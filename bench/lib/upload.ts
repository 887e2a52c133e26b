import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

const chunkBytes = 262_144

/**
 * Streams a file as `multipart/form-data`, its fields before it.
 * @throws when aborted, or when the connection breaks before the answer
 */
export async function upload(
  url: string,
  options: { file: string; fields: Record<string, string>; headers: Record<string, string>; signal: AbortSignal },
): Promise<{ status: number; body: string }> {
  const { file, fields, headers, signal } = options
  const boundary = randomBytes(16).toString('hex')
  const part = (disposition: string) => `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n`
  const before = Object.entries(fields).map(([name, value]) => `${part(`name="${name}"`)}\r\n${value}\r\n`)
  const head = `${before.join('')}${part('name="file"; filename="tape.csv"')}content-type: text/csv\r\n\r\n`
  const tail = `\r\n--${boundary}--\r\n`
  const outgoing = request(url, {
    method: 'POST',
    signal,
    headers: {
      ...headers,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': Buffer.byteLength(head) + (await stat(file)).size + Buffer.byteLength(tail),
    },
  })
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  const sent = pipeline(async function* () {
    yield head
    yield* createReadStream(file, { highWaterMark: chunkBytes })
    yield tail
  }, outgoing)
  sent.catch(() => undefined) // an early answer may cut the upload off; what matters is the answer
  const [response] = await answered
  return { status: response.statusCode as number, body: await text(response) }
}
