import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Outcome = { code: number | null; out: string; err: string }

/** Where processes of the tests find the modules that others of them compiled. */
const compileCache = join(import.meta.dirname, '../../.data/test/compile-cache')

const entry = join(import.meta.dirname, '../../src/cli.ts')

/** Runs `npm run tenon -- …` as its own process, with this environment and no other variable but PATH and HOME. */
export async function tenon(args: string[], env: Record<string, string>, input = ''): Promise<Outcome> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: tmpdir(),
    env: { PATH, HOME, NODE_ENV: 'test', NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: 'pipe',
  })
  const outcome: Outcome = { code: null, out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (outcome.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (outcome.err += text))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { ...outcome, code }
}
