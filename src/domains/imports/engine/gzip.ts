import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Problem } from '../../../lib/errors.ts'

/** How much an inflated file may be: bytes, and from `ratioFromBytes` on, times what was sent. */
type InflateLimits = { bytesMax: number }

/** No table of text inflates a hundredfold; a file made to exhaust whoever opens it does a thousandfold. */
const ratioMax = 200
const ratioFromBytes = 67_108_864

/**
 * The file as it is, or inflated where it begins as gzip does or is named `.gz`.
 * @throws Problem `gzip_invalid`, also for one that is cut off, or `payload_too_large`
 */
export async function* inflated(
  file: AsyncIterable<Buffer>,
  fileName: string | null,
  { bytesMax }: InflateLimits,
): AsyncGenerator<Buffer> {
  const { head, rest } = await peek(file)
  if (!(head[0] === 0x1f && head[1] === 0x8b) && !/\.gz$/i.test(fileName ?? '')) return yield* rest
  let sent = 0
  const gunzip = createGunzip({ chunkSize: 65_536 })
  const fed = pipeline(
    counted(rest, (bytes) => (sent += bytes)),
    gunzip,
  )
  // Its failure is the one that reading from it meets.
  fed.catch(() => undefined)
  let size = 0
  try {
    for await (const bytes of gunzip as AsyncIterable<Buffer>) {
      size += bytes.length
      if (size > bytesMax) throw tooLarge(`exceeds ${bytesMax} bytes`)
      if (size > ratioFromBytes && size > sent * ratioMax)
        throw tooLarge(`is more than ${ratioMax} times what was sent`)
      yield bytes
    }
    await fed
  } catch (error) {
    throw isZlib(error)
      ? new Problem('gzip_invalid', 'The file is no gzip, or is cut off or damaged.', { cause: error })
      : error
  }
}

const tooLarge = (what: string) => new Problem('payload_too_large', `The file, once inflated, ${what}.`)

const isZlib = (error: unknown) => error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')

/** The first two bytes, if there are so many, and all bytes. */
async function peek(file: AsyncIterable<Buffer>) {
  const pieces = file[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  let ended = false
  while (head.length < 2 && !ended) {
    const { value, done } = await pieces.next()
    ended = done === true
    if (value) head = Buffer.concat([head, value])
  }
  const rest = async function* () {
    yield head
    if (!ended) yield* { [Symbol.asyncIterator]: () => pieces }
  }
  return { head, rest: rest() }
}

async function* counted(file: AsyncIterable<Buffer>, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const bytes of file) {
    count(bytes.length)
    yield bytes
  }
}
