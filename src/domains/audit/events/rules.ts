import { createHash } from 'node:crypto'

/** The newest seal of a chain. */
export type Head = { seq: number; hash: Buffer }

/** Before the first seal. */
export const genesis: Head = { seq: 0, hash: Buffer.alloc(32) }

/** The hash of the next seal: of the one before and of the event's own. */
export const nextHash = (previous: Buffer, digest: Buffer): Buffer =>
  createHash('sha256').update(previous).update(digest).digest()

export const faultReasons = [
  /** The chain lacks a number. */
  'seal_missing',
  /** Sealed, or waiting for its seal, and not there any more. */
  'event_missing',
  /** The event, its seal or one before it is not what it was. */
  'hash_mismatch',
  /** There, but neither sealed nor waiting for it: it did not come the usual way. */
  'event_unknown',
  /** The seal that was kept elsewhere is another one now. */
  'anchor_mismatch',
  /** The chain ends before the seal that was kept elsewhere. */
  'chain_truncated',
] as const

export type Fault = { seq: number | null; event_id: string | null; reason: (typeof faultReasons)[number] }

/** A seal as it is stored, and the event it covers; `digest` is null when that is gone. */
export type Seal = Head & { event_id: string; digest: Buffer | null }

/** What is wrong with the seal that follows another. */
export function faultOf(previous: Head, { seq, hash, event_id, digest }: Seal, anchor?: Head): Fault | undefined {
  if (seq !== previous.seq + 1) return { seq: previous.seq + 1, event_id: null, reason: 'seal_missing' }
  if (digest === null) return { seq, event_id, reason: 'event_missing' }
  if (!nextHash(previous.hash, digest).equals(hash)) return { seq, event_id, reason: 'hash_mismatch' }
  if (anchor?.seq === seq && !anchor.hash.equals(hash)) return { seq, event_id, reason: 'anchor_mismatch' }
  return undefined
}
