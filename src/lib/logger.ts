import { type DestinationStream, destination, type LoggerOptions } from 'pino'

/** The root of an error's causes: what wraps it (an ORM, say) repeats queries and their values. */
function rootOf(error: Error): Error {
  let root = error
  for (let depth = 0; root.cause instanceof Error && depth < 10; depth++) root = root.cause
  return root
}

type DatabaseFields = { code?: string; constraint_name?: string; table_name?: string; severity?: string }

/**
 * What the log tells of an error: enough to find it, nothing of the data. Postgres quotes offending values in its
 * messages, so quoted parts are left out.
 */
function serializeError(error: unknown) {
  if (!(error instanceof Error)) return { type: typeof error }
  const root = rootOf(error) as Error & DatabaseFields
  const { code, constraint_name, table_name } = root
  const message = root.message.replace(/"[^"]*"|'[^']*'/g, '"…"').slice(0, 500)
  const at = root.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 10)
    .map((line) => line.trim())
  return { type: root.name, code, message, constraint_name, table_name, at }
}

const secretFields = new Set([
  'password',
  'password_hash',
  'authorization',
  'cookie',
  'token',
  'access_token',
  'refresh_token',
  'secret',
])

/** The record without the values of fields that hold secrets, at any depth; most records hold none and stay as they are. */
function redacted(record: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const name in record) {
    const value = record[name]
    const kept = secretFields.has(name) ? '[redacted]' : isPlain(value) ? redacted(value) : value
    if (kept === value) continue
    copy ??= { ...record }
    copy[name] = kept
  }
  return copy ?? record
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

let second = 0
let secondText = ''

/** The time as ISO 8601; most lines share their second with the one before. */
function timestamp(): string {
  const now = Date.now()
  const ms = now % 1_000
  if (now - ms !== second) {
    second = now - ms
    secondText = new Date(second).toISOString().slice(0, 20)
  }
  return `,"time":"${secondText}${String(ms).padStart(3, '0')}Z"`
}

/**
 * One JSON line a record on standard output. Headers, bodies and queries are never logged, so no secret of theirs can be.
 * @param sync write each line before going on; otherwise lines that come while one is written go out together
 */
export const loggerOptions = (level: string, sync: boolean): LoggerOptions & { stream: DestinationStream } => ({
  level,
  timestamp,
  formatters: { level: (label) => ({ level: label }), bindings: () => ({}), log: redacted },
  serializers: { err: serializeError },
  stream: destination({ dest: 1, sync }),
})
