import type { LoggerOptions } from 'pino'

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

/** One JSON line a record; headers, bodies and queries are never logged, so no secret of theirs can be. */
export const loggerOptions = (level: string): LoggerOptions => ({
  level,
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { level: (label) => ({ level: label }), bindings: () => ({}) },
  serializers: { err: serializeError },
  redact: {
    paths: ['*.password', '*.authorization', '*.token', 'password', 'authorization', 'token'],
    censor: '[redacted]',
  },
})
