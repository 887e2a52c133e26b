import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Context } from './context.ts'

export const hasPsql = () => spawnSync('psql', ['--version']).status === 0

/** How psql reaches the database of this run. */
export function psqlAt(url: string) {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    args: [
      '-h',
      hostname,
      '-p',
      port || '5432',
      '-U',
      decodeURIComponent(username),
      '-d',
      pathname.slice(1),
      '-X',
      '-w',
    ],
    env: { ...process.env, PGPASSWORD: decodeURIComponent(password) },
  }
}

/** One psql that stays open, so that no connecting is measured. */
export type Psql = {
  /** Runs one statement. @returns its time in ms, as psql's \timing tells it @throws Error with what psql said */
  run(statement: string): Promise<number>
  close(): void
}

/** With the settings of the service's own connections. */
export function openPsql({ database, signal }: Context): Psql {
  const { args, env } = psqlAt(database.url)
  const psql = spawn('psql', [...args, '-q', '-t', '-v', 'ON_ERROR_STOP=1'], { env, stdio: 'pipe', signal })
  psql.on('error', () => undefined) // aborted; whoever waits sees the output end
  let complaint = ''
  psql.stderr.on('data', (text) => {
    complaint += text
  })
  const lines = createInterface({ input: psql.stdout })[Symbol.asyncIterator]()
  psql.stdin.write("\\timing on\nset timezone = 'UTC';\nset jit = off;\nset plan_cache_mode = force_custom_plan;\n")
  const nextTime = async () => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`psql: ${complaint}`)
      const ms = /^Time: ([0-9.]+) ms/.exec(value)?.[1]
      if (ms !== undefined) return Number(ms)
    }
  }
  const ready = nextTime().then(nextTime).then(nextTime)
  return {
    run: async (statement) => {
      await ready
      psql.stdin.write(`${statement};\n`)
      return nextTime()
    },
    close: () => void psql.stdin.end(),
  }
}
