import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/** 256 random bits as base64url text. */
export const randomToken = () => randomBytes(32).toString('base64url')

/** A password that meets every rule, with 96 random bits. */
export const randomPassword = () => `${randomBytes(12).toString('base64url')}-Aa1`

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

export const hmac = (key: KeyObject, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** A key for one purpose, derived from a configured secret (HKDF-SHA256), so that no two purposes share a key. */
export const deriveKey = (secret: string, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, 'tenon', purpose, 32)))

/** A configured secret and the one before it, if that still counts: what the first makes, both open. */
export type Secrets = readonly [string, ...string[]]

/** The keys of one purpose, in the order of the secrets they are derived from. */
export type Keys = readonly [KeyObject, ...KeyObject[]]

export const deriveKeys = ([present, ...before]: Secrets, purpose: string): Keys => [
  deriveKey(present, purpose),
  ...before.map((secret) => deriveKey(secret, purpose)),
]

/** Names a secret without telling it, so that what was made with it says which of two it was. */
export const keyId = (secret: string): string => sha256(`kid:${secret}`).toString('base64url').slice(0, 8)

/** Compares two texts in time that depends on neither. */
export const sameText = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))

const ivBytes = 12
const tagBytes = 16

/** Encrypts text with AES-256-GCM under the first key: iv, tag, ciphertext. */
export function seal(keys: Keys, text: string): Buffer {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', keys[0], iv)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), sealed])
}

/** @throws when the bytes were sealed with none of these keys, or were changed */
export function unseal(keys: Keys, sealed: Buffer): string {
  const text = tryUnseal(keys, sealed)
  if (text === undefined) throw new Error('sealed with another ENCRYPTION_KEY, or damaged')
  return text
}

/** @returns undefined when none of these keys opens the bytes */
export function tryUnseal(keys: readonly KeyObject[], sealed: Buffer): string | undefined {
  for (const key of keys) {
    try {
      return open(key, sealed)
    } catch {
      // The next one may have sealed it.
    }
  }
  return undefined
}

function open(key: KeyObject, sealed: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
  decipher.setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes))
  return decipher.update(sealed.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8')
}
