import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { writeJson } from '../db/embedded-host.ts'
import { keptSecrets, randomSecret } from '../lib/secrets.ts'

/** Adds `rotate-secrets`. */
export function addSecretsCommand(program: Command): void {
  program
    .command('rotate-secrets')
    .description('replace the secret that signs access tokens, so that those of today stay valid')
    .action(async () => {
      const { auth } = loadConfig()
      console.log(auth.secretsFile === undefined ? instructions(auth) : await rotate(auth.secretsFile, auth))
      console.log(
        'ENCRYPTION_KEY stays: refresh tokens, stored idempotent answers and second factors depend on it, and it has no pair.',
      )
    })
}

/** Development keeps its secrets itself: the new one is written beside the one it replaces. */
async function rotate(path: string, { accessTokenTtlS }: Config['auth']): Promise<string> {
  const kept = keptSecrets(path, false)
  await writeJson(path, { ...kept, jwtSecret: randomSecret(), jwtSecretPrevious: kept.jwtSecret })
  return `Wrote a new secret to ${path}: restart the service, which accepts tokens of the old one too.
Rotate again only after ${accessTokenTtlS} s: only the last secret before the present one counts.`
}

const instructions = ({ accessTokenTtlS }: Config['auth']) => `A new secret, shown this once:

  ${randomSecret()}

1. Set JWT_SECRET_PREVIOUS to what JWT_SECRET is now, and JWT_SECRET to the new secret.
   With several instances, first set only JWT_SECRET_PREVIOUS to the new secret on each, and restart them all:
   then each accepts what another signs while they are restarted one by one with the two as above.
2. Restart. Tokens of both secrets are valid.
3. After ${accessTokenTtlS} s, the life of an access token, take JWT_SECRET_PREVIOUS away.
`
