import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { writeJson } from '../db/embedded-host.ts'
import { keptSecrets, randomSecret, type SecretName } from '../lib/secrets.ts'
import { onServiceDatabase } from './database.ts'
import { findAged } from './encryption.ts'

/** A secret that is rotated, and what is to be known of that. */
type Rotation = { name: SecretName; variable: string; file: string | undefined; until: string }

/** Adds `rotate-secrets`. */
export function addSecretsCommand(program: Command): void {
  program
    .command('rotate-secrets')
    .description('replace the secret that signs access tokens, so that those of today stay valid')
    .option('--encryption', 'the key that seals second factors and idempotent answers instead')
    .action(async ({ encryption }: { encryption?: true }) => {
      const { auth } = loadConfig()
      if (encryption && auth.encryptionKeys.length > 1) await assertUnneeded()
      const rotation = encryption ? ofEncryptionKey(auth) : ofJwtSecret(auth)
      console.log(rotation.file === undefined ? instructions(rotation) : await rotate(rotation.file, rotation))
    })
}

const ofJwtSecret = ({ jwtSecretFile, accessTokenTtlS }: Config['auth']): Rotation => ({
  name: 'jwtSecret',
  variable: 'JWT_SECRET',
  file: jwtSecretFile,
  until: `After ${accessTokenTtlS} s, the life of an access token`,
})

const ofEncryptionKey = ({ encryptionKeyFile }: Config['auth']): Rotation => ({
  name: 'encryptionKey',
  variable: 'ENCRYPTION_KEY',
  file: encryptionKeyFile,
  until:
    'When npm run tenon -- doctor says that nothing needs it any more (second factors are sealed anew within a minute, answers kept for a day)',
})

/** The key before the present one is lost by a rotation. @throws Error while anything needs it */
const assertUnneeded = () =>
  onServiceDatabase(async ({ db }, { auth }) => {
    const { factors, answers } = await findAged(db, auth.encryptionKeys)
    if (factors + answers > 0)
      throw new Error(
        `The key before the present one still opens ${factors} second factors and ${answers} idempotent answers, which another rotation would lose: have the service run with both, and rotate again when npm run tenon -- doctor says that nothing needs it any more.`,
      )
  })

/** Development keeps its secrets itself: the new one is written beside the one it replaces. */
async function rotate(path: string, { name, until }: Rotation): Promise<string> {
  const kept = keptSecrets(path, false)
  await writeJson(path, { ...kept, [name]: randomSecret(), [`${name}Previous`]: kept[name] })
  return `Wrote a new secret to ${path}: restart the service, which takes what was made with the old one too.
Only the last secret before the present one counts. Rotate again only so much later:
${until}.`
}

const instructions = ({ variable, until }: Rotation) => `A new secret, shown this once:

  ${randomSecret()}

1. Set ${variable}_PREVIOUS to what ${variable} is now, and ${variable} to the new secret.
   With several instances, first set only ${variable}_PREVIOUS to the new secret on each, and restart them all:
   then each takes what another makes while they are restarted one by one with the two as above.
2. Restart. What was made with either is good.
3. ${until}, take ${variable}_PREVIOUS away.
`
