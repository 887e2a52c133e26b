import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Database } from './database.ts'

/** A server under test, in a process of its own. */
export type Server = { url: string; pid: number; stop(): Promise<void> }

export type Side = 'tenon' | 'bare'

const stopWithinMs = 10_000
const secrets = {
  JWT_SECRET: randomBytes(48).toString('base64url'),
  ENCRYPTION_KEY: randomBytes(48).toString('base64url'),
}

/** Both sides read the same configuration: production's, with limits out of the way and every request logged. */
export const environment = (database: Database) => ({
  ...secrets,
  NODE_ENV: 'production',
  DATABASE_URL: database.url,
  LOG_LEVEL: 'info',
  REQUIRE_VERIFIED_EMAIL: 'false',
  ACCESS_TOKEN_TTL: '12h',
  RATE_LIMIT_MAX: '1000000000',
  RATE_LIMIT_AUTH_MAX: '1000000',
  RATE_LIMIT_IMPORT_MAX: '1000000',
})

/**
 * Starts one side; what it logs goes to the null device.
 * @param options.cwd where there is no .env
 * @param options.profileDir where it leaves a CPU profile when it ends
 */
export async function startServer(
  side: Side,
  database: Database,
  options: { cwd: string; orgId?: string; profileDir?: string | undefined; signal: AbortSignal },
): Promise<Server> {
  const { cwd, orgId, profileDir, signal } = options
  signal.throwIfAborted()
  const child = fork(join(import.meta.dirname, `../servers/${side}.ts`), orgId === undefined ? [] : [orgId], {
    cwd,
    env: environment(database),
    execArgv: profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const stop = () => end(child)
  try {
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`The ${side} server ended with code ${code} before it listened.`)
    })
    const [message] = await Promise.race([once(child, 'message', { signal }), ended])
    ended.catch(() => undefined)
    return { url: (message as { address: string }).address, pid: child.pid as number, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  if (child.connected) child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs)
  await exited
  clearTimeout(timer)
}
