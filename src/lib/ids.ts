import { randomFillSync } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'

const idsAtOnce = 256
const randomBytes = 16

/**
 * Makes UUIDv7 in ascending order. Random bytes are drawn for many ids at once: drawn one by one they were more than
 * half of the time an import took.
 */
export function createIdSource(): () => string {
  const random = new Uint8Array(idsAtOnce * randomBytes)
  let used = idsAtOnce
  let msecs = 0
  let seq = 0
  return () => {
    if (used === idsAtOnce) {
      randomFillSync(random)
      used = 0
      seq ||= new DataView(random.buffer).getUint32(0) >>> 1
    }
    msecs = Math.max(msecs, Date.now())
    seq++
    return uuidv7({ msecs, seq, random: random.subarray(used * randomBytes, ++used * randomBytes) })
  }
}

/** The id of a new row. */
export const newId = createIdSource()
