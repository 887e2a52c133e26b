import type { Db } from './client.ts'

const statements = new WeakMap<object, Map<string, Map<string, unknown>>>()

/** In place of a name: Drizzle then runs the query with its placeholders, but has the server forget it. */
export const unprepared = undefined as unknown as string

/**
 * How many shapes of one statement are kept prepared. A list has one for each sort and set of filters; further ones are
 * sent unprepared, or whoever tries them all would flood the server.
 */
const shapesMax = 30

/**
 * The prepared statement of this name on this handle, built at first use. Drizzle rebuilds an unprepared
 * query each time and the server parses it anew: a prepared get by id measured three times as fast.
 * @param build ends in `.prepare(name)`; the name is empty where preparing stopped being worth it
 * @param shape what tells apart the forms of one statement
 */
export function prepared<P>(db: Db, name: string, build: (db: Db, name: string) => P, shape = ''): P {
  const ofHandle = statements.get(db) ?? new Map<string, Map<string, unknown>>()
  statements.set(db, ofHandle)
  const known = ofHandle.get(name) ?? new Map<string, unknown>()
  ofHandle.set(name, known)
  const found = known.get(shape)
  if (found !== undefined) return found as P
  if (known.size >= shapesMax) return build(db, unprepared)
  const made = build(db, `${name} ${shape}`.trim())
  known.set(shape, made)
  return made
}
