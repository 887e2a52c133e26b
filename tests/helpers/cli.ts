import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { format } from 'node:util'
import { vi } from 'vitest'
import { runCommand } from '../../src/cli/program.ts'

export type Outcome = { code: number | null; out: string; err: string }

/** Where processes of the tests find the modules that others of them compiled. */
const compileCache = join(import.meta.dirname, '../../.data/test/compile-cache')

const entry = join(import.meta.dirname, '../../src/cli.ts')

const environment = (env: Record<string, string>) => {
  const { PATH = '', HOME = '' } = process.env
  return { PATH, HOME, NODE_ENV: 'test', ...env }
}

/** Runs `npm run tenon -- …` as its own process, with this environment and no other variable but PATH and HOME. */
export async function tenon(args: string[], env: Record<string, string>, input = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: tmpdir(),
    env: { NODE_COMPILE_CACHE: compileCache, ...environment(env) },
    stdio: 'pipe',
  })
  const outcome: Outcome = { code: null, out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (outcome.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (outcome.err += text))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { ...outcome, code }
}

/**
 * Runs the same command in this process, at a tenth of what one of its own costs; one at a time, because environment,
 * working directory, standard input, outputs and exit code are those of this process for as long.
 */
export async function tenonHere(args: string[], env: Record<string, string>, input = ''): Promise<Outcome> {
  const before = { env: process.env, exitCode: process.exitCode, cwd: process.cwd() }
  const said = { log: '', error: '' }
  const take = (output: keyof typeof said) =>
    vi.spyOn(console, output).mockImplementation((...words) => {
      said[output] += `${format(...words)}\n`
    })
  const standardInput = Readable.from([input]) as typeof process.stdin
  const spies = [take('log'), take('error'), vi.spyOn(process, 'stdin', 'get').mockReturnValue(standardInput)]
  try {
    process.env = environment(env)
    process.exitCode = undefined
    process.chdir(tmpdir())
    await runCommand(args)
    return { code: Number(process.exitCode ?? 0), out: said.log, err: said.error }
  } finally {
    process.env = before.env
    process.exitCode = before.exitCode
    process.chdir(before.cwd)
    for (const spy of spies) spy.mockRestore()
  }
}
