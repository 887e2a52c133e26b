import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJson, run, writeJson } from './embedded-host.ts'

type Owner = { pid: number; startTime: string; postmaster: number }

/**
 * What identifies a running process: its start time (in the platform's own notation), because process ids are used again,
 * and its command line. Undefined when there is no such process, or only its zombie.
 */
async function inspect(pid: number): Promise<{ startTime: string; command: string } | undefined> {
  try {
    if (process.platform === 'linux') {
      const status = await readFile(`/proc/${pid}/stat`, 'utf8')
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
      // The second field is the program's name, which may itself hold spaces and parentheses.
      const fields = status.slice(status.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' ? undefined : { startTime: fields[19]!, command }
    }
    const line = await (process.platform === 'win32' ? queryWindows(pid) : queryUnix(pid))
    const [, state, startTime, command] = /^\s*(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*)/.exec(line) ?? []
    return startTime && !state!.startsWith('Z') ? { startTime, command: command! } : undefined
  } catch {
    return undefined
  }
}

function queryUnix(pid: number): Promise<string> {
  return run('/bin/ps', ['-ww', '-o', 'stat=', '-o', 'lstart=', '-o', 'command=', '-p', String(pid)])
}

async function queryWindows(pid: number): Promise<string> {
  const script = `$p = Get-CimInstance Win32_Process -Filter 'ProcessId=${pid}'
    if ($p) { 'R ' + $p.CreationDate.ToString('ddd MMM d HH:mm:ss yyyy') + ' ' + $p.CommandLine }`
  return (await run('powershell', ['-NoProfile', '-Command', script])).replaceAll('"', '')
}

/** Tells whether a process is the server of this very cluster, which is always started with `-D <cluster>` first. */
export async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  const [program, rest] = `${(await inspect(pid))?.command ?? ''} `.split(` -D ${cluster} `)
  return rest !== undefined && /postgres(\.exe)?$/.test(program!)
}

/** The server's own record of itself; undefined where there is none (Postgres removes it when it stops). */
export async function readPidFile(cluster: string): Promise<{ pid: number; port: number; ready: boolean } | undefined> {
  const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  return pid && port ? { pid, port, ready: lines[7]?.trim() === 'ready' } : undefined
}

/** Stops a server fast, and after `patienceMs` at once: what it could not write then is recovered at its next start. */
export async function shutDown(bin: string, pid: number, cluster: string, patienceMs: number): Promise<void> {
  for (const [signal, waitMs] of [
    ['INT', patienceMs],
    ['QUIT', 10_000],
  ] as const) {
    if (process.platform === 'win32') await run(join(bin, 'pg_ctl'), ['kill', signal, String(pid)])
    else if (await isPostmaster(pid, cluster)) process.kill(pid, `SIG${signal}`)
    for (const end = Date.now() + waitMs; Date.now() < end; await sleep(20)) {
      if (!(await isPostmaster(pid, cluster))) return
    }
  }
  throw new Error(`Postgres (process ${pid}) does not stop`)
}

/** Records that this process started the server, so that another can tell whether somebody still needs it. */
export async function writeOwner(file: string, postmaster: number): Promise<void> {
  const startTime = (await inspect(process.pid))?.startTime ?? ''
  await writeJson(file, { pid: process.pid, startTime, postmaster } satisfies Owner)
}

/** Tells whether the process that started this server still runs. */
export async function ownerLives(file: string, postmaster: number): Promise<boolean> {
  const owner = await readJson<Owner>(file)
  return owner?.postmaster === postmaster && (await inspect(owner.pid))?.startTime === owner.startTime
}

/** Forgets the record of `writeOwner`, unless it is about a later server. */
export async function removeOwner(file: string, postmaster: number): Promise<void> {
  if ((await readJson<Owner>(file))?.postmaster === postmaster) await rm(file, { force: true })
}

/**
 * Runs `work` while holding a lock on `file` against every other process. SQLite lends its file lock, the only one Node
 * offers that the system itself lifts when the holder dies, so there is never a stale one to break.
 */
export async function whileLocked<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = new DatabaseSync(file)
  try {
    for (const end = Date.now() + 120_000; !tryLock(lock); await sleep(25)) {
      if (Date.now() > end) throw new Error(`Another process has been starting Postgres for two minutes (${file})`)
    }
    return await work()
  } finally {
    lock.close()
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('begin exclusive')
    return true
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5) return false
    throw error
  }
}
