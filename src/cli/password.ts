import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { randomPassword } from '../lib/crypto.ts'
import { passwordFault } from '../lib/password.ts'

export type PasswordOptions = { password?: string; passwordStdin?: boolean; passwordFile?: string }

/** The three ways to give a password; without any, one is made. */
export const withPassword = (command: Command): Command =>
  command
    .addOption(new Option('--password-stdin', 'read the password from standard input').conflicts('passwordFile'))
    .option('--password-file <path>', 'read the password from a file')
    .addOption(
      new Option(
        '--password <password>',
        'the password itself, which other users of this machine can see while the command runs',
      ).conflicts(['passwordStdin', 'passwordFile']),
    )

/**
 * The password that the options give, or a random one.
 * @param own the address and the username, which it must not be
 * @throws Error with a sentence when it is too weak
 */
export async function choosePassword(options: PasswordOptions, composition: boolean, own: (string | undefined)[]) {
  const given = await givenPassword(options)
  const fault = given === undefined ? undefined : passwordFault(given, composition, own)
  if (fault !== undefined) throw new Error(`The password ${fault}.`)
  return { password: given ?? randomPassword(), given: given !== undefined }
}

async function givenPassword({ password, passwordStdin, passwordFile }: PasswordOptions): Promise<string | undefined> {
  if (passwordStdin) return firstLine(await text(process.stdin))
  if (passwordFile === undefined) return password
  return firstLine(
    await readFile(passwordFile, 'utf8').catch((error: Error) => {
      throw new Error(`The password file cannot be read: ${error.message}.`)
    }),
  )
}

/** Files and pipes end with a line break that is not meant. */
const firstLine = (content: string) => content.replace(/\r?\n$/, '')
