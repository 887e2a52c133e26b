import type { Multipart, MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { invalidField, Problem } from '../../../lib/errors.ts'
import { buildValidator } from '../../../lib/validator.ts'
import { printable } from './text.ts'

/** `idleMs`: how long the client may send nothing; `deadlineMs`: how long the whole upload may take. */
export type UploadLimits = { bytesMax: number; idleMs: number; deadlineMs: number }

const partLimits = { fieldNameSize: 100, fieldSize: 262_144, fields: 20, files: 2, parts: 22, headerPairs: 20 }

/** The text fields of a form: what each of them means, and what holds without any. */
export type Form<T> = {
  defaults: T
  /**
   * @param value text, or what the parser made of a part that said it is JSON
   * @throws Problem that names the field
   */
  read: (name: string, value: unknown) => Partial<T>
}

/** A multipart body on its way in: the options have arrived, the file follows. */
export type Upload<T> = {
  options: T
  fileName: string | null
  /**
   * The file, as it arrives; reading slowly slows the client down. It ends when the form has ended well.
   * @throws Problem `upload_incomplete`, `request_timeout`, `payload_too_large`, or what is wrong with the form
   */
  file: AsyncIterable<Buffer>
  /** How long the body may be. */
  bytesMax: number
  /** Has reading the file end with this problem. */
  breakOff(problem: Problem): void
  /** Stops the clocks, and reading. */
  close(): void
}

/** @throws Problem that names the field which is wrong, or a limit that was exceeded */
export async function openUpload<T extends object>(
  request: FastifyRequest,
  form: Form<T>,
  limits: UploadLimits,
): Promise<Upload<T>> {
  if (Number(request.headers['content-length']) > limits.bytesMax) throw tooLarge(limits)
  let file: MultipartFile | undefined
  const guard = guardBody(request, limits, (problem) => file?.file.destroy(problem))
  const parts = request.parts({ limits: { ...partLimits, fileSize: Number.POSITIVE_INFINITY } })
  const nextPart = () => guard.waiting(parts.next())
  try {
    const { options, file: part } = await readFields(nextPart, form)
    file = part
    return {
      options,
      fileName: printable(part.filename ?? '', 255) || null,
      file: fileOf(part, nextPart, guard),
      bytesMax: limits.bytesMax,
      breakOff: guard.fail,
      close: () => {
        guard.close()
        part.file.destroy()
      },
    }
  } catch (error) {
    guard.close()
    throw asProblem(error)
  }
}

const lingerMs = 10_000

/** What every route has that takes a file: the body's schema is only documented, as the form is read as it arrives. */
export const fileRoute = () => {
  const strict = buildValidator({})
  return {
    validatorCompiler: (part: Parameters<typeof strict>[0]) => (part.httpPart === 'body' ? () => true : strict(part)),
    preParsing: async ({ headers }: FastifyRequest) => {
      if (!/^multipart\/form-data\b/i.test(headers['content-type'] ?? ''))
        throw new Problem(
          'unsupported_media_type',
          'Send a form of Content-Type: multipart/form-data, with the file in its part `file`.',
        )
    },
    onResponse: discardRest,
  }
}

/** Reads and drops what the client still sends after its answer, for a while, so that it gets to reading the answer. */
async function discardRest({ raw }: FastifyRequest): Promise<void> {
  if (raw.complete || raw.destroyed) return
  raw.unpipe()
  raw.resume()
  const timer = setTimeout(() => raw.destroy(), lingerMs)
  raw.once('close', () => clearTimeout(timer))
}

type NextPart = () => Promise<IteratorResult<Multipart>>

const notTheFile = "is not the file, whose part is named `file`; send fields as text (curl: -F 'name=<FILE')"

async function readFields<T extends object>(
  nextPart: NextPart,
  form: Form<T>,
): Promise<{ options: T; file: MultipartFile }> {
  const options = { ...form.defaults }
  const seen = new Set<string>()
  for (;;) {
    const { value: part, done } = await nextPart()
    if (done) throw invalidField('/body/file', 'required', 'is required: the part of the form that carries the CSV')
    const name = String(part.fieldname)
    if (part.type === 'file') {
      if (name !== 'file') throw invalidField(`/body/${name.slice(0, 100)}`, 'unknown_field', notTheFile)
      return { options, file: part }
    }
    if (part.fieldnameTruncated || part.valueTruncated)
      throw invalidField(`/body/${name.slice(0, 100)}`, 'max_length', 'is too long')
    if (seen.has(name)) throw invalidField(`/body/${name}`, 'repeated', 'is there twice')
    seen.add(name)
    Object.assign(options, form.read(name, part.value))
  }
}

async function* fileOf({ file }: MultipartFile, nextPart: NextPart, guard: Guard): AsyncGenerator<Buffer> {
  const chunks = file[Symbol.asyncIterator]()
  try {
    for (let next = await guard.waiting(chunks.next()); !next.done; next = await guard.waiting(chunks.next()))
      yield next.value
    const { value: part, done } = await nextPart()
    if (!done)
      throw invalidField(
        `/body/${String(part.fieldname).slice(0, 100)}`,
        part.type === 'file' ? 'repeated' : 'late_field',
        part.type === 'file' ? 'is a second file; send one' : 'comes after the file; send it before',
      )
  } catch (error) {
    throw asProblem(error)
  }
}

type Guard = {
  /** Waits for the client: only meanwhile can it be late. */
  waiting<T>(promise: Promise<T>): Promise<T>
  /** Breaks the upload off, for the first reason that is given. */
  fail(problem: Problem): void
  close(): void
}

const tooLarge = ({ bytesMax }: UploadLimits) => new Problem('payload_too_large', `The body exceeds ${bytesMax} bytes.`)

/** Counts the body's bytes and watches the clock; the first limit that is exceeded breaks the upload off. */
function guardBody({ raw }: FastifyRequest, limits: UploadLimits, breakOff: (problem: Problem) => void): Guard {
  let broken: Problem | undefined
  let waits = false
  let reject: ((problem: Problem) => void) | undefined
  const fail = (problem: Problem) => {
    broken ??= problem
    breakOff(broken)
    reject?.(broken)
  }
  let bytes = 0
  const count = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.bytesMax) fail(tooLarge(limits))
  }
  const idle = setTimeout(() => {
    if (!waits) idle.refresh()
    else fail(new Problem('request_timeout', `Nothing arrived for ${limits.idleMs / 1_000} seconds.`))
  }, limits.idleMs)
  const deadline = setTimeout(
    () => fail(new Problem('request_timeout', `The upload took longer than ${limits.deadlineMs / 1_000} seconds.`)),
    limits.deadlineMs,
  )
  raw.on('data', count)
  return {
    fail,
    waiting: <T>(promise: Promise<T>) => {
      waits = true
      idle.refresh()
      return new Promise<T>((resolve, refuse) => {
        reject = refuse
        promise.then(resolve, refuse)
        if (broken) refuse(broken)
      }).finally(() => {
        waits = false
      })
    },
    close: () => {
      clearTimeout(idle)
      clearTimeout(deadline)
      raw.off('data', count)
    },
  }
}

/** Codes of a connection that ended before its request did. */
const cutOff = new Set(['FST_MP_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'])

/** What @fastify/multipart and its parser throw, in terms of the request. */
function asProblem(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Problem) return error
  const code = 'code' in error ? String(error.code) : ''
  if (cutOff.has(code) || /terminated early|Unexpected end/.test(error.message))
    return new Problem('upload_incomplete', 'The upload was cut off before its end.', { cause: error })
  if (code === 'FST_INVALID_JSON_FIELD_ERROR')
    return new Problem('multipart_invalid', 'A field says it is JSON and is not.', { cause: error })
  if (/^FST_(PARTS|FILES|FIELDS)_LIMIT$/.test(code))
    return new Problem('multipart_invalid', 'The form has too many parts.', { cause: error })
  if (code.startsWith('FST_') || /multipart|part header|boundary|needle/i.test(error.message))
    return new Problem('multipart_invalid', 'The multipart body cannot be read.', { cause: error })
  return error
}
