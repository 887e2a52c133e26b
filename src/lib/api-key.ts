import { randomToken, sha256 } from './crypto.ts'

/** Every API key begins so, which tells it from an access token, and a scanner of leaked secrets what it found. */
export const apiKeyPrefix = 'tn_'

/** A new key; its prefix may be shown, the rest is shown once. */
export function newApiKey(): { key: string; prefix: string } {
  const key = `${apiKeyPrefix}${randomToken()}`
  return { key, prefix: key.slice(0, 11) }
}

const wellFormed = /^tn_[\w-]{43}$/

/** Under what a key is cached and looked up, the key itself being kept nowhere; undefined for what no key looks like. */
export const keyCredential = (key: string): string | undefined =>
  wellFormed.test(key) ? `key:${sha256(key).toString('hex')}` : undefined

/** The hash that a credential of `keyCredential` names; undefined for a session's id. */
export const keyHashOf = (credential: string): Buffer | undefined =>
  credential.startsWith('key:') ? Buffer.from(credential.slice(4), 'hex') : undefined
