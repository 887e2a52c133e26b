import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { expect } from 'vitest'

/** The service as its own process, as `npm start` runs it. */
export type Server = {
  /** `http://127.0.0.1:<port>` */
  address: string
  process: ChildProcess
  /** Its working directory, empty but for what it wrote, such as `.data`. */
  folder: string
  /** Everything it wrote to its outputs so far. */
  output(): string
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | string | null>
  /** Ends it, if it runs still, and removes its directory. */
  dispose(): Promise<void>
}

const entry = join(import.meta.dirname, '../../src/server.ts')

/** Starts the service on a free port, with this environment and no other variable but PATH and HOME. */
export async function startServer(env: Record<string, string>): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'tenon-server-'))
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [entry], {
    cwd: folder,
    env: { PATH, HOME, NODE_ENV: 'test', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const dispose = async () => {
    child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  const address = () => / {2}API {6}(http:\/\/\S+)\/api\/v1/.exec(stripVTControlCharacters(output))?.[1]
  try {
    await expect
      .poll(() => address() ?? child.exitCode, { timeout: 60_000, interval: 20, message: 'the service starts' })
      .not.toBeNull()
    if (address() === undefined) throw new Error(`The service did not start:\n${output}`)
  } catch (error) {
    await dispose()
    throw error
  }
  return { address: address() as string, process: child, folder, output: () => output, exited, dispose }
}
