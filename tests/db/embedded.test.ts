import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, realpath, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbedded } from '../../src/db/embedded.ts'
import { findPackage } from '../../src/db/embedded-host.ts'
import { isPostmaster } from '../../src/db/embedded-process.ts'

const settings = { fsync: 'off', shared_buffers: '16MB' }
const run = promisify(execFile)
const isRoot = process.getuid?.() === 0

/** A directory as a first start leaves it, to begin from where the first start is not what is tested. */
let used = ''
let root = ''
let messages: string[] = []
const started: EmbeddedPostgres[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  used = await mkdtemp(join(tmpdir(), 'tenon-embedded-used-'))
  await chmod(used, 0o755)
  await (await startEmbedded({ dataDir: used, settings, log: () => undefined })).stop()
})

afterAll(() => rm(used, { recursive: true }))

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'tenon-embedded-')))
  await chmod(root, 0o755)
  messages = []
})

afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL')
  for (const server of started.splice(0)) await server.stop()
  await rm(root, { recursive: true, force: true })
})

/** Makes a directory that was used before. */
async function use(dataDir = join(root, 'data')) {
  await run('cp', ['-a', used, dataDir])
}

async function start(dataDir = join(root, 'data')) {
  const server = await startEmbedded({ dataDir, settings, log: (message) => messages.push(message) })
  started.push(server)
  return server
}

/** Another process that starts on the same directory, prints its owner's address, and stops when its standard input closes. */
async function startInChild(dataDir = join(root, 'data')) {
  const script = `import { startEmbedded } from ${JSON.stringify(new URL('../../src/db/embedded.ts', import.meta.url).href)}
    const server = await startEmbedded({ dataDir: process.argv[1], settings: ${JSON.stringify(settings)}, log() {} })
    console.log(server.ownerUrl)
    process.stdin.on('end', () => server.stop()).resume()`
  const args = ['--input-type=module', '-e', script, dataDir]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = await once(child.stdout, 'data')
  return { child, ownerUrl: String(line).trim() }
}

async function end(child: ChildProcess, signal?: NodeJS.Signals) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  if (signal) child.kill(signal)
  else child.stdin?.end()
  await exit
}

async function query(url: string, text: string) {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return [...(await sql.unsafe(text))]
  } finally {
    await sql.end()
  }
}

describe('the embedded Postgres', { timeout: 30_000 }, () => {
  test('keeps its data from one start to the next', async () => {
    const first = await start()
    await query(first.ownerUrl, 'create table kept as select 42 as answer')
    await first.stop()
    await expect(query(first.url, 'select 1')).rejects.toThrow()
    const second = await start()
    expect(await query(second.ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(messages).toEqual([expect.stringContaining('Creating a Postgres cluster')])
  })

  test('serves UTF-8 in UTC on 127.0.0.1 alone, to a role that is no superuser, and keeps the passwords to itself', async () => {
    await use()
    const { url, ownerUrl } = await start()
    const [service] = await query(
      url,
      `select current_database() as database, rolsuper, rolcreaterole, rolcreatedb,
        current_setting('listen_addresses') as addresses,
        current_setting('timezone') as timezone, current_setting('server_encoding') as encoding,
        current_setting('synchronous_commit') as durable from pg_roles where rolname = current_user`,
    )
    expect(service).toEqual({
      database: 'tenon',
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      addresses: '127.0.0.1',
      timezone: 'UTC',
      encoding: 'UTF8',
      durable: 'on',
    })
    expect(
      await query(ownerUrl, `select datdba::regrole::text as owner from pg_database where datname = 'tenon'`),
    ).toEqual([{ owner: 'tenon_owner' }])
    const wrong = new URL(url)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
    expect((await stat(join(root, 'data', 'postgres.json'))).mode & 0o777).toBe(0o600)
  })

  test('left behind by a killed process, is stopped by the next start, which has its data and its port', async () => {
    await use()
    const { child, ownerUrl } = await startInChild()
    await query(ownerUrl, 'create table kept as select 42 as answer')
    const pid = Number((await readFile(join(root, 'data/postgres/postmaster.pid'), 'utf8')).split('\n')[0])
    await end(child, 'SIGKILL')
    expect(await query(ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    const next = await start()
    expect(messages).toEqual([expect.stringContaining(`process ${pid}) was left behind`)])
    expect(await isPostmaster(pid, join(root, 'data/postgres'))).toBe(false)
    expect(next.ownerUrl).toBe(ownerUrl)
    expect(await query(ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('is not fooled by a stale postmaster.pid whose process id another program has now', async () => {
    await use()
    const first = await start()
    const cluster = join(root, 'data/postgres')
    const pidFile = await readFile(join(cluster, 'postmaster.pid'), 'utf8')
    await first.stop()
    const { uid, gid } = await stat(cluster)
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot ? { uid, gid } : {}) })
    children.push(stranger)
    for (const pid of [stranger.pid, process.pid]) {
      await writeFile(join(cluster, 'postmaster.pid'), pidFile.replace(/^\d+/, String(pid)), { mode: 0o600 })
      await chown(join(cluster, 'postmaster.pid'), uid, gid)
      const server = await start()
      expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
      await server.stop()
    }
    expect(stranger.exitCode).toBeNull()
    expect(stranger.signalCode).toBeNull()
  })

  test('runs beside one of another directory', async () => {
    for (const name of ['one', 'two']) await use(join(root, name))
    const [one, two] = await Promise.all([start(join(root, 'one')), start(join(root, 'two'))])
    await query(one.ownerUrl, 'create table here as select 1')
    expect(await query(two.ownerUrl, `select to_regclass('here') as found`)).toEqual([{ found: null }])
  })

  test('is shared by a second process, whose stop leaves it running', async () => {
    await use()
    const server = await start()
    const { child, ownerUrl } = await startInChild()
    expect(ownerUrl).toBe(server.ownerUrl)
    await end(child)
    expect(child.exitCode).toBe(0)
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('starts once when three ask at the same time', async () => {
    const [here, there, elsewhere] = await Promise.all([start(), startInChild(), startInChild()])
    expect([there.ownerUrl, elsewhere.ownerUrl]).toEqual([here.ownerUrl, here.ownerUrl])
  })

  test('heals a first start that was cut off, in initdb or after it', async () => {
    const half = join(root, 'data', 'postgres.new-cutoff')
    await mkdir(join(half, 'cluster'), { recursive: true })
    await writeFile(join(half, 'cluster', 'PG_VERSION'), '18\n')
    const first = await start()
    expect((await readdir(join(root, 'data'))).filter((name) => name.includes('.new-'))).toEqual([])
    const maintenance = first.ownerUrl.replace(/tenon$/, 'postgres')
    await query(maintenance, 'drop database tenon')
    await query(maintenance, 'drop role tenon')
    await first.stop()
    const second = await start()
    expect(await query(second.url, 'select current_database() as database')).toEqual([{ database: 'tenon' }])
  })

  test('shows the end of its log when it cannot start', async () => {
    await use()
    const starting = startEmbedded({ dataDir: join(root, 'data'), settings: { shared_buffers: 'plenty' }, log() {} })
    await expect(starting).rejects.toThrow('invalid value for parameter "shared_buffers": "plenty"')
  })

  test('says what to do where there is none for the platform', async () => {
    await expect(findPackage('plan9-mips')).rejects.toThrow('set DATABASE_URL to a Postgres 15 or newer')
  })

  test.skipIf(!isRoot)('serves root (only root can have this case) a directory that only root may enter', async () => {
    await chmod(root, 0o700)
    const dataDir = join(root, 'data')
    const hidden = join('/var/lib/tenon', createHash('sha256').update(dataDir).digest('hex').slice(0, 16))
    try {
      const first = await start()
      await query(first.ownerUrl, 'create table kept as select 42 as answer')
      await first.stop()
      expect(messages).toContainEqual(expect.stringContaining(`its data lies in ${hidden}`))
      const second = await start()
      expect(await query(second.ownerUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
      await second.stop()

      await rm(dataDir, { recursive: true })
      const third = await start()
      expect(await query(third.ownerUrl, `select to_regclass('kept') as found`)).toEqual([{ found: null }])
      expect(messages).toContainEqual(expect.stringContaining('is kept as'))
      await third.stop()
    } finally {
      await rm(hidden, { recursive: true, force: true })
      await rmdir('/var/lib/tenon').catch(() => {})
    }
  })
})
