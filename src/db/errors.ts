import postgres from 'postgres'
import { Problem } from '../lib/errors.ts'

/** The error that Postgres itself sent, out of whatever wraps it (Drizzle adds the query and its values). */
export function databaseError(error: unknown): postgres.PostgresError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof postgres.PostgresError) return at
  return undefined
}

/**
 * Runs a change and turns the violation of a named constraint into the problem that stands for it.
 * @param meanings constraint or unique index → the problem to answer
 */
export async function withConstraints<T>(
  meanings: Record<string, () => Problem>,
  change: () => Promise<T>,
): Promise<T> {
  try {
    return await change()
  } catch (error) {
    throw meanings[databaseError(error)?.constraint_name ?? '']?.() ?? error
  }
}

/** A unique field whose value another resource of the organisation has. */
export const taken = (pointer: string, what: string) => () =>
  new Problem('already_exists', `Another ${what}.`, {
    errors: [{ pointer, code: 'unique', message: 'is already taken' }],
  })

/** A reference in the body to what this organisation does not have. */
export const missingReference =
  (pointer: string, what = 'nothing in') =>
  () => {
    const message = `refers to ${what} this organisation`
    return new Problem('not_found', `${pointer.replace('/body/', '')} ${message}.`, {
      errors: [{ pointer, code: 'reference', message }],
    })
  }
