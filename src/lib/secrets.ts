import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** The secrets that can be rotated. */
export type SecretName = 'jwtSecret' | 'encryptionKey'

/** What development keeps in `DATA_DIR/secrets.json`. */
export type KeptSecrets = Record<SecretName, string> & Partial<Record<`${SecretName}Previous`, string>>

/** A secret as production asks for it. */
export const randomSecret = () => randomBytes(48).toString('base64url')

/**
 * Reads the secrets that a file keeps, and makes the file where it is missing.
 * @param readOnly gives secrets that nobody keeps instead of making the file
 */
export function keptSecrets(path: string, readOnly: boolean): KeptSecrets {
  if (!existsSync(path)) {
    const made = { jwtSecret: randomSecret(), encryptionKey: randomSecret() }
    if (readOnly) return made
    mkdirSync(dirname(path), { recursive: true })
    // Whole from the moment it is there, and only the first of several that start together makes it.
    const draft = `${path}.${process.pid}`
    writeFileSync(draft, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 })
    try {
      linkSync(draft, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      unlinkSync(draft)
    }
  }
  return JSON.parse(readFileSync(path, 'utf8')) as KeptSecrets
}

const secretMin = 32
const placeholder = /change.?(me|this|in)|example|placeholder|your.?(secret|key)|secret.?key|password|0123456789/i

/** What is wrong with a secret, as a sentence naming its variable; undefined when it will do. */
export function secretFault(name: string, value: string | undefined): string | undefined {
  const remedy = `Set ${name} (or ${name}_FILE) to at least ${secretMin} random characters, such as the output of: openssl rand -base64 48`
  if (value === undefined) return `${name} is missing. ${remedy}`
  if (value.length < secretMin) return `${name} is too short (${value.length} characters). ${remedy}`
  if (placeholder.test(value) || new Set(value).size < 10) return `${name} is a placeholder. ${remedy}`
  return undefined
}

/** A password from an example file, or one that everybody tries first. */
export const isWeak = (password: string) => placeholder.test(password) || /^(admin|root|super)/i.test(password)
