import { type Command, Option } from 'commander'
import type { Db } from '../db/client.ts'
import { canonicalEmail } from '../lib/email.ts'
import { hashPassword } from '../lib/password.ts'
import {
  type Ended,
  findOrganization,
  findUser,
  makeSuperuser,
  removeFactor,
  revokeSessions,
  sessionsAt,
  sessionsOf,
  setPassword,
} from './account-queries.ts'
import { onServiceDatabase } from './database.ts'
import { choosePassword, type PasswordOptions, withPassword } from './password.ts'

const say = (...lines: string[]) => console.log(lines.join('\n'))

/** Adds `create-superuser`, `reset-password` and `revoke-sessions`. */
export function addAccountCommands(program: Command): void {
  withPassword(
    program
      .command('create-superuser')
      .description('make a superuser, or make one of an account; without a password, a random one is shown once')
      .option('--email <email>', 'whose; by default FIRST_SUPERUSER_EMAIL')
      .option('--organization <name>', 'an organisation that the superuser shall own, made if need be'),
  ).action(createSuperuser)

  withPassword(
    program
      .command('reset-password')
      .description('set the password of an account and end its sessions; by default a random one, shown once')
      .requiredOption('--email <email>', 'whose')
      .option('--remove-second-factor', 'of somebody who has lost it and his recovery codes'),
  ).action(resetPassword)

  program
    .command('revoke-sessions')
    .description('end sessions at once, on every instance')
    .addOption(new Option('--email <email>', 'those of one user').conflicts(['organization', 'all']))
    .addOption(new Option('--organization <code>', 'those of all members of an organisation').conflicts('all'))
    .option('--all', 'everybody’s')
    .action(endThem)
}

async function createSuperuser(options: PasswordOptions & { email?: string; organization?: string }) {
  await onServiceDatabase(async ({ transaction }, { auth }) => {
    const wanted = options.email ?? auth.firstSuperuserEmail
    if (wanted === undefined) throw new Error('Say who: --email, or FIRST_SUPERUSER_EMAIL.')
    const email = addressOf(wanted)
    const name = options.organization?.trim()
    if (name !== undefined && (name === '' || name.length > 200))
      throw new Error('The name of an organisation has 1 to 200 characters.')
    const { password, given } = await choosePassword(options, auth.passwordComposition, [email])
    const password_hash = await hashPassword(password)
    const { made, passwordSet } = await transaction((db) => makeSuperuser(db, { email, password_hash }, given, name))
    say(`${email} is a superuser${made ? ', newly made' : ''}.`)
    if (!passwordSet) say('The password is the one the account had.')
    else if (!given) say(`Password, shown this once: ${password}`)
    if (passwordSet && !made) say('Sessions of the account have ended.')
  })
}

async function resetPassword(options: PasswordOptions & { email: string; removeSecondFactor?: boolean }) {
  await onServiceDatabase(async ({ db, transaction }, { auth }) => {
    const user = await knownUser(db, options.email)
    const own = [user.email, user.username ?? undefined]
    const { password, given } = await choosePassword(options, auth.passwordComposition, own)
    const password_hash = await hashPassword(password)
    const ended = await transaction(async (handle) => {
      if (options.removeSecondFactor) await removeFactor(handle, user.id)
      return setPassword(handle, user, password_hash)
    })
    say(`${user.email} has a new password. ${inNumbers(ended)}`)
    if (!given) say(`Password, shown this once: ${password}`)
    if (!user.is_active) say('The account is switched off, so nobody can sign in to it yet.')
  })
}

async function endThem(options: { email?: string; organization?: string; all?: boolean }) {
  const { email, organization: code, all } = options
  if (email === undefined && code === undefined && !all)
    throw new Error('Say whose sessions: --email, --organization or --all.')
  await onServiceDatabase(async ({ db, transaction }) => {
    if (email !== undefined) {
      const { id } = await knownUser(db, email)
      const subject = { subject_type: 'user', subject_id: id }
      return say(inNumbers(await transaction((handle) => revokeSessions(handle, sessionsOf(id), subject))))
    }
    if (code !== undefined) {
      const organization = await findOrganization(db, code)
      if (organization === undefined) throw new Error(`No organisation has the code ${code}.`)
      const subject = { subject_type: 'organization', subject_id: organization.id }
      const run = (handle: Db) => revokeSessions(handle, sessionsAt(handle, organization.id), subject)
      return say(inNumbers(await transaction(run)))
    }
    const everybody = { subject_type: 'platform', subject_id: null }
    say(inNumbers(await transaction((handle) => revokeSessions(handle, undefined, everybody))))
  })
}

function addressOf(text: string): string {
  const email = canonicalEmail(text)
  if (email === undefined) throw new Error(`${text} is no e-mail address.`)
  return email
}

async function knownUser(db: Db, text: string) {
  const email = addressOf(text)
  const user = await findUser(db, email)
  if (user === undefined) throw new Error(`No account has the address ${email}.`)
  return user
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

const inNumbers = ({ sessions, users }: Ended) => `Ended ${count(sessions, 'session')} of ${count(users, 'user')}.`
