/** Runs in a thread of its own, one password after the other: see `hashing.ts`. */
import { argon2Sync, timingSafeEqual } from 'node:crypto'
import { hash, verify } from 'argon2'
import type { Work } from './hashing.ts'
import { serveJobs } from './job-thread.ts'

const phc = /^\$argon2id\$v=19\$([mtp]=\d+,[mtp]=\d+,[mtp]=\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/**
 * Compared here and now: a thread of libuv's pool, as `argon2.verify` takes one, sleeps between two hashes and is woken
 * beside the busy loop as often as on the idle core.
 */
function matches(against: string, message: string): boolean | Promise<boolean> {
  const [, cost, salt, tag] = phc.exec(against) ?? []
  if (!cost || !salt || !tag) return verify(against, message)
  const { m, t, p } = Object.fromEntries(cost.split(',').map((part) => part.split('=')))
  const expected = Buffer.from(tag, 'base64')
  const parameters = { memory: Number(m), passes: Number(t), parallelism: Number(p), tagLength: expected.length }
  const nonce = Buffer.from(salt, 'base64')
  return timingSafeEqual(argon2Sync('argon2id', { ...parameters, message, nonce }), expected)
}

serveJobs(({ password, ...work }: Work) =>
  'against' in work ? matches(work.against, password) : hash(password, work.cost),
)
