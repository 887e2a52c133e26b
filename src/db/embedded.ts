import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { clustersOf, findPlace, type Place, readJson, run, writeJson } from './embedded-host.ts'
import {
  isPostmaster,
  ownerLives,
  readPidFile,
  removeOwner,
  shutDown,
  whileLocked,
  writeOwner,
} from './embedded-process.ts'

export type EmbeddedPostgres = {
  /** The service's role `tenon`, which is no superuser. */
  url: string
  /** The role `tenon_owner`, a superuser, who owns the database and runs the migrations. */
  ownerUrl: string
  /** Stops the server, if this call started it. */
  stop(): Promise<void>
}

type Settings = Record<string, string>
type Passwords = { tenon: string; tenon_owner: string }

const readyWithinMs = 60_000

/** For a small machine; durability keeps its default, which is on. The log gets no statements, for they hold data. */
const defaults: Settings = {
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  maintenance_work_mem: '128MB',
  max_connections: '100',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  wal_compression: 'on',
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
}

/**
 * Starts the Postgres 18 that comes with the project, on a free port of 127.0.0.1, with its data under `dataDir`, which is
 * made on first use. Where another living process has already started it, attaches to that; one left behind by a dead
 * process is stopped first.
 * @param options.settings server settings that replace the defaults
 * @throws Error that says what to do, where no binary fits the platform; with the end of the server's log, where it does
 *   not accept connections within 60 s
 */
export async function startEmbedded(options: {
  dataDir: string
  settings?: Settings
  log: (message: string) => void
}): Promise<EmbeddedPostgres> {
  await mkdir(options.dataDir, { recursive: true })
  const dataDir = await realpath(options.dataDir)
  const settings = { ...defaults, ...options.settings }
  return whileLocked(join(dataDir, 'postgres.lock'), () => start(dataDir, settings, options.log))
}

/** The embedded Postgres of a directory, where one runs; starts nothing and changes nothing. */
export async function findEmbedded(dataDir: string): Promise<EmbeddedPostgres | undefined> {
  const home = await realpath(dataDir).catch(() => dataDir)
  const passwords = await readJson<Passwords>(join(home, 'postgres.json'))
  if (!passwords) return undefined
  for (const cluster of clustersOf(home)) {
    const status = await readPidFile(cluster)
    if (status?.ready && (await isPostmaster(status.pid, cluster)))
      return describe(status.port, passwords, async () => undefined)
  }
  return undefined
}

async function start(dataDir: string, settings: Settings, log: (message: string) => void): Promise<EmbeddedPostgres> {
  const place = await findPlace(dataDir, log)
  const { cluster, bin } = place
  const ownerFile = join(dataDir, 'postgres.owner.json')
  const end = Date.now() + readyWithinMs
  for (let attempt = 1; ; attempt++) {
    const last = await readPidFile(cluster)
    const running = last && (await isPostmaster(last.pid, cluster)) ? last.pid : undefined
    const attached = running !== undefined && (await ownerLives(ownerFile, running))
    if (running && !attached) {
      log(`Postgres (process ${running}) was left behind by a process that has ended: stopping it`)
      await shutDown(bin, running, cluster, 10_000)
    }
    const passwords = await initialise(place, join(dataDir, 'postgres.json'), log)
    const pid = attached ? running : await launch(place, settings, last, attempt)
    const stop = async () => {
      await removeOwner(ownerFile, pid)
      await shutDown(bin, pid, cluster, 15_000)
    }
    try {
      if (!attached) await writeOwner(ownerFile, pid)
      const port = await untilReady(place, pid, passwords)
      if (port) return describe(port, passwords, attached ? async () => {} : stop)
    } catch (error) {
      if (!attached) await stop()
      throw error
    }
    const tail = await logTail(place)
    // The port was taken meanwhile, or the processes of a killed server are not gone yet.
    const passing = attached || /could not bind|is still in use|lock file .* (already exists|is empty)/.test(tail)
    if (!passing || Date.now() > end) throw new Error(`Postgres did not start. Its log ends:\n${tail}`)
    if (attempt === 1) log(`Postgres cannot start yet, trying again: ${tail}`)
    await sleep(200)
  }
}

function describe(port: number, passwords: Passwords, end: () => Promise<void>): EmbeddedPostgres {
  const url = (role: keyof Passwords) => `postgres://${role}:${passwords[role]}@127.0.0.1:${port}/tenon`
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= end()
    return stopped
  }
  return { url: url('tenon'), ownerUrl: url('tenon_owner'), stop }
}

/** Makes the cluster under another name and renames it, so that one half made is never taken for a whole one. */
async function initialise(place: Place, passwordFile: string, log: (message: string) => void): Promise<Passwords> {
  const { cluster, bin, user } = place
  const known = await readJson<Passwords>(passwordFile)
  if (existsSync(cluster)) {
    if (known) return known
    if (dirname(cluster) === dirname(passwordFile)) {
      throw new Error(
        `${passwordFile}, which holds the passwords of ${cluster}, is missing: restore it, or remove both`,
      )
    }
    const aside = `${cluster}.${new Date().toISOString().replaceAll(':', '')}`
    log(`${cluster} belonged to an earlier ${dirname(passwordFile)}: it is kept as ${aside}`)
    await rename(cluster, aside)
  }
  const passwords = known ?? { tenon: randomPassword(), tenon_owner: randomPassword() }
  if (!known) await writeJson(passwordFile, passwords)
  const draftPrefix = `${basename(cluster)}.new-`
  for (const name of await readdir(dirname(cluster))) {
    if (name.startsWith(draftPrefix)) await rm(join(dirname(cluster), name), { recursive: true, force: true })
  }
  log(`Creating a Postgres cluster in ${cluster}`)
  const draft = await mkdtemp(join(dirname(cluster), draftPrefix))
  const [target, passwordCopy] = [join(draft, 'cluster'), join(draft, 'password')]
  await writeFile(passwordCopy, passwords.tenon_owner, { mode: 0o600 })
  if (user) for (const path of [draft, passwordCopy]) await chown(path, user.uid, user.gid)
  const ctype = { linux: 'C.UTF-8', darwin: 'en_US.UTF-8' }[process.platform as string] ?? 'C'
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', `--lc-ctype=${ctype}`]
  const access = ['-U', 'tenon_owner', '-A', 'scram-sha-256', `--pwfile=${passwordCopy}`]
  await run(join(bin, 'initdb'), ['-D', target, '-E', 'UTF8', ...locale, ...access, '--no-instructions'], user)
  await rename(target, cluster)
  await rm(draft, { recursive: true, force: true })
  return passwords
}

function randomPassword(): string {
  return randomBytes(24).toString('base64url')
}

/** Spawns the server in a session of its own, which neither Ctrl-C nor the end of this process reaches; gives its pid. */
async function launch(
  { cluster, logFile, bin, user }: Place,
  settings: Settings,
  last: { pid: number; port: number } | undefined,
  attempt: number,
): Promise<number> {
  // Whoever stays attached to an earlier server finds the new one on the same port.
  const port = attempt === 1 && last ? last.port : await freePort()
  const all = { ...settings, listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '' }
  const args = ['-D', cluster, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // A stale postmaster.pid may name a process that is now another program's. Told it is a forebear, Postgres disregards
  // it, and still makes sure that no process of the old server uses the data, which removing the file would not.
  const env = last ? { PG_GRANDPARENT_PID: String(last.pid) } : {}
  const output = await open(logFile, 'w', 0o600)
  try {
    const stdio = ['ignore', output.fd, output.fd] as const
    const options = { ...user, cwd: '/', env, detached: true, windowsHide: true, stdio: [...stdio] }
    const server = spawn(join(bin, 'postgres'), args, options)
    await once(server, 'spawn')
    server.unref()
    return server.pid!
  } finally {
    await output.close()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Waits until the server takes a connection, and gives its port; undefined if the server has ended. */
async function untilReady(place: Place, pid: number, passwords: Passwords): Promise<number | undefined> {
  for (const end = Date.now() + readyWithinMs; Date.now() < end; await sleep(15)) {
    const status = await readPidFile(place.cluster)
    if (status?.pid === pid && status.ready && (await prepareDatabase(status.port, passwords))) return status.port
    if (!(await isPostmaster(pid, place.cluster))) return undefined
  }
  throw new Error(
    `Postgres took no connection within ${readyWithinMs / 1000} s. Its log ends:\n${await logTail(place)}`,
  )
}

/** Makes the service's role and the database where they are missing. False if the server takes no connections yet. */
async function prepareDatabase(port: number, passwords: Passwords): Promise<boolean> {
  const access = { username: 'tenon_owner', password: passwords.tenon_owner, database: 'postgres' }
  const sql = postgres({ host: '127.0.0.1', port, ...access, max: 1, connect_timeout: 5, onnotice: () => {} })
  try {
    const [has] = await sql`select exists(select from pg_roles where rolname = 'tenon') as role,
      exists(select from pg_database where datname = 'tenon') as database`
    if (!has?.role) await sql.unsafe(`create role tenon login password '${passwords.tenon}'`)
    if (!has?.database) await sql`create database tenon owner tenon_owner`
    await sql`grant connect on database tenon to tenon`
    return true
  } catch (error) {
    const { code } = error as { code?: string }
    if (['57P03', 'ECONNREFUSED', 'ECONNRESET', 'CONNECTION_CLOSED', 'CONNECT_TIMEOUT'].includes(code ?? ''))
      return false
    throw error
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function logTail({ logFile }: Place): Promise<string> {
  return (await readFile(logFile, 'utf8').catch(() => '')).trim().slice(-2_000)
}
