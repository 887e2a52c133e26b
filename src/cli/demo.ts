import { openAsBlob } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { randomPassword } from '../lib/crypto.ts'

const folder = join(import.meta.dirname, '../demo')

type Json = Record<string, unknown>
type Account = { email: string; password: string }
type Tape = Json & { errors: Json[] }

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('serve, and load a real loan tape through the API')
    .action(async () => {
      // Only here, for the other commands do without the service's modules and start sooner.
      const { explain, serve } = await import('../serve.ts')
      try {
        const config = loadConfig()
        const { address } = await serve(config)
        await play(address, await accountOf(config))
      } catch (error) {
        console.error(explain(error))
        process.exit(1)
      }
    })
}

/** The demo's own account; its random password is kept beside the data, so that the demo can run again. */
async function accountOf({ dataDir }: Config): Promise<Account> {
  const path = join(dataDir, 'demo-account.json')
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined) return JSON.parse(kept) as Account
  const account = { email: 'demo@example.com', password: randomPassword() }
  await mkdir(dataDir, { recursive: true })
  await writeFile(path, `${JSON.stringify(account, null, 2)}\n`, { mode: 0o600 })
  return account
}

/** What a new customer does first: register, make a portfolio, stream the tape in, read the figures. */
async function play(address: string, account: Account): Promise<void> {
  const call = async (
    method: string,
    path: string,
    body?: Json | FormData,
    token?: string,
  ): Promise<[number, Json]> => {
    const form = body instanceof FormData
    const response = await fetch(`${address}/api/v1${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && !form && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
    })
    return [response.status, (await response.json()) as Json]
  }
  const succeed = async (...[method, path, body, token]: Parameters<typeof call>): Promise<Json> => {
    const [status, answer] = await call(method, path, body, token)
    if (status < 300) return answer
    throw new Error(`${method} ${path} answered ${status} ${answer.code}: ${answer.detail}`)
  }

  const [registered, refusal] = await call('POST', '/auth/register', { ...account, organization_name: 'Demo Bank' })
  if (registered >= 300 && refusal.code !== 'email_taken') throw new Error(`Registration refused: ${refusal.detail}`)
  const { email: username, password } = account
  const { access_token } = await succeed('POST', '/auth/login', { username, password })
  const token = access_token as string

  const { data } = await succeed('GET', '/portfolios?code=SBA', undefined, token)
  const portfolio =
    (data as Json[])[0] ??
    (await succeed('POST', '/portfolios', { name: 'SBA 7(a) loans', code: 'SBA', currency: 'USD' }, token))

  const tape = new FormData()
  tape.set('mapping', await readFile(join(folder, 'sba-mapping.json'), 'utf8'))
  tape.set('mode', 'upsert')
  tape.set('on_error', 'skip')
  tape.set('file', await openAsBlob(join(folder, 'sba-loans-5000.csv')), 'sba-loans-5000.csv')
  const report = (await succeed('POST', `/portfolios/${portfolio.id}/loans/import`, tape, token)) as Tape
  const metrics = await succeed('GET', `/portfolios/${portfolio.id}/metrics`, undefined, token)

  print('Import of sba-loans-5000.csv', report, [
    'received',
    'inserted',
    'updated',
    'unchanged',
    'rejected',
    'duration_ms',
    'rows_per_second',
  ])
  console.log('Rejected rows')
  console.table(report.errors.map(({ line, column, code, message }) => ({ line, column, code, message })))
  print('Metrics of the portfolio', { ...metrics, ...prefixed('default_rate', metrics.default_rate as Json) }, [
    'loan_count',
    'original_principal',
    'charged_off_amount',
    'default_rate.by_count',
    'default_rate.by_original_principal',
    'loss_rate',
  ])
  console.table(metrics.by_status)
  console.log(`Sign in at ${address}/docs as ${username}; the password is in demo-account.json of the data directory.`)
}

const prefixed = (prefix: string, members: Json) =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [`${prefix}.${name}`, value]))

function print(title: string, values: Json, names: string[]) {
  console.log(title)
  console.table(Object.fromEntries(names.map((name) => [name, { value: values[name] }])))
}
