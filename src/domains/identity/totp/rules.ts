import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { deriveKey, deriveKeys, hmac, type Keys, type Secrets } from '../../../lib/crypto.ts'

const periodMs = 30_000
const recoveryCodes = 10

/** What seals secrets at rest. */
export const factorKeys = (encryptionKeys: Secrets): Keys => deriveKeys(encryptionKeys, 'totp secrets')

export const newSecret = (): string => new Secret({ size: 20 }).base32

const totp = (secret: string, label = '') =>
  new TOTP({ issuer: 'Tenon', label, algorithm: 'SHA1', digits: 6, period: periodMs / 1_000, secret })

/** What authenticator programs read, often as a QR code. */
export const otpauthUri = (secret: string, email: string): string => totp(secret, email).toString()

/**
 * The time step whose code this is: the present one, the one before or the one after; undefined where it is none.
 * @param nowMs by the database's clock
 */
export function stepOf(secret: string, code: string, nowMs: number): number | undefined {
  const delta = totp(secret).validate({ token: code, timestamp: nowMs, window: 1 })
  return delta === null ? undefined : Math.floor(nowMs / periodMs) + delta
}

const letters = 'abcdefghijklmnopqrstuvwxyz234567'

/** Fifty random bits each, written `abcde-fghij`. */
export const newRecoveryCodes = (): string[] =>
  Array.from({ length: recoveryCodes }, () => {
    const code = Array.from(randomBytes(10), (byte) => letters[byte & 31]).join('')
    return `${code.slice(0, 5)}-${code.slice(5)}`
  })

/** Whether a code is for recovery rather than of the moment. */
export const isRecoveryCode = (code: string): boolean => code.length > 6

/**
 * Keyed, because fifty bits under a plain hash could be found out from a stolen table; by the secret of the factor that
 * the code stands in for, which is sealed there: so the hash outlives a change of the encryption key, and no factor.
 */
export const recoveryHash = (secret: string, code: string): Buffer =>
  hmac(deriveKey(secret, 'recovery codes'), code.toLowerCase().replace('-', ''))
