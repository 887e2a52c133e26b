import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { test } from '../helpers/scratch.ts'
import { startServer } from '../helpers/server.ts'

const root = join(import.meta.dirname, '../..')
const blocksOf = (page: string) =>
  Array.from(
    readFileSync(join(root, 'docs', page), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms),
    ([, block]) => block as string,
  )

/** Ends at the first command that fails, and at the first answer of 400 or more, having said which. */
const strict = `set -eo pipefail
curl() { command curl --fail-with-body -sS "$@" || { echo "refused: curl $*" >&2; return 22; }; }
`

const lacks = ['bash', 'curl'].filter((program) => spawnSync(program, ['--version']).status !== 0)

test('every command of docs/accounts.md and docs/credit.md works, in its order', { timeout: 60_000 }, async ({
  url,
  skip,
}) => {
  skip(lacks.length > 0, `needs ${lacks.join(' and ')}`)
  const server = await startServer({ NODE_ENV: 'development', DATABASE_URL: url, LOG_LEVEL: 'silent' })
  const walk = async (page: string, blocksMin: number) => {
    const blocks = blocksOf(page)
    expect(blocks.length).toBeGreaterThan(blocksMin)
    const password = /^ {2}password (\S+)$/m.exec(server.output())?.[1] as string
    const script = blocks.join('').replace('http://127.0.0.1:8000', server.address).replace("'…'", `'${password}'`)
    const bash = spawn('bash', ['-c', strict + script], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [bash.stdout, bash.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    const [code] = await once(bash, 'close')
    expect(code, output.slice(-2_000)).toBe(0)
  }
  try {
    await Promise.all([walk('accounts.md', 20), walk('credit.md', 2)])
  } finally {
    await server.dispose()
  }
})
