import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { BackupError, backup, type Done, openOwner, restore } from '../db/backup.ts'
import { verifyChain } from '../domains/audit/events/queries.ts'
import { onDatabase, type Target } from './db.ts'

const say = (message: string) => console.log(message)

/** Adds `backup`, `restore` and `rehearse-restore`. */
export function addBackupCommands(program: Command): void {
  program
    .command('backup')
    .description('write every table into a new directory, while the service goes on')
    .argument('<directory>')
    .action((folder: string) => onDatabase(async ({ url }) => report(await backup(url, folder))))

  program
    .command('restore')
    .description('fill an empty database from such a directory')
    .argument('<directory>')
    .action((folder: string) => onDatabase(async ({ url, ...rest }) => report(await restore(url, folder, rest))))

  program
    .command('rehearse-restore')
    .description('back up, restore into a database made for it, compare, verify the audit chains, and drop it again')
    .action(() => onDatabase(rehearse))
}

function report(tables: Done[]) {
  console.table(Object.fromEntries(tables.map(({ name, rows, ms }) => [name, { rows, ms: Math.round(ms) }])))
}

/** What a rehearsal shows of a table. @throws BackupError when the database restored is not the one backed up */
export async function rehearse({ url, serviceRole }: Pick<Target, 'url' | 'serviceRole'>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tenon-rehearsal-'))
  const name = `tenon_rehearsal_${randomBytes(6).toString('hex')}`
  const scratch = Object.assign(new URL(url), { pathname: `/${name}` }).href
  const admin = openOwner(url)
  try {
    const written = await backup(url, join(folder, 'backup'))
    await admin.sql.unsafe(`create database ${name}`).catch((cause: unknown) => {
      throw new BackupError('The rehearsal needs a role that may create databases: alter role … createdb.', { cause })
    })
    const read = await restore(scratch, join(folder, 'backup'), serviceRole === undefined ? {} : { serviceRole })
    const rows = written.map(({ name, rows, ms }) => {
      const restored = read.find((one) => one.name === name)
      return [name, { rows, backup_ms: Math.round(ms), restore_ms: Math.round(restored?.ms ?? Number.NaN) }]
    })
    console.table(Object.fromEntries(rows))
    const { chains, events } = await verifyChains(scratch)
    say(`Restored ${written.length} tables, the same as before; ${chains} audit chains over ${events} events hold.`)
  } finally {
    await admin.sql.unsafe(`drop database if exists ${name} with (force)`)
    await admin.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** @throws BackupError naming the first chain that does not hold */
async function verifyChains(url: string) {
  const pool = openOwner(url)
  try {
    const organizations = await pool.sql<
      { org_id: string }[]
    >`select org_id from audit_events union select org_id from audit_seals`
    const actor = { user_id: null, principal: 'system', request_id: 'rehearsal', ip: '' }
    let count = 0
    for (const { org_id } of organizations) {
      const { valid, events, first_fault } = await verifyChain({ db: pool.db, org_id, actor })
      if (!valid) throw new BackupError(`The audit chain of ${org_id} does not hold: ${JSON.stringify(first_fault)}`)
      count += events
    }
    return { chains: organizations.length, events: count }
  } finally {
    await pool.close()
  }
}
