import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { authorization } from './client.ts'
import type { Context } from './context.ts'
import { environment } from './servers.ts'

/** A statement as the service sent it. */
export type Statement = { text: string; parameters: unknown[] }
/** What is asked of the service. */
export type Asked = { path: string; body?: object }

/**
 * What the service sends to read loans when it is asked this: a service in this process answers once each, and the driver
 * tells what it sends.
 * @throws Error where an answer is not 2xx or read no loans
 */
export async function statementsOf({ database, account }: Context, requests: Asked[]): Promise<Statement[][]> {
  const config = loadConfig(environment(database))
  const app = await buildApp({ ...config, logLevel: 'silent' }, database.url)
  try {
    await app.ready()
    app.lifecycle.state = 'ready'
    let sent: Statement[] = []
    app.pools.requests.sql.options.debug = (_connection, text, parameters) => void sent.push({ text, parameters })
    const found: Statement[][] = []
    for (const { path, body } of requests) {
      sent = []
      const answer = await app.inject({
        ...{ method: body === undefined ? 'GET' : 'POST', url: path, headers: authorization(account) },
        ...(body !== undefined && { payload: body }),
      })
      const statements = sent.filter(({ text }) => /\bloan(s|_versions)\b/.test(text))
      if (answer.statusCode >= 300 || statements.length === 0) throw new Error(`${path}: ${answer.payload}`)
      found.push(statements)
    }
    return found
  } finally {
    await app.close()
  }
}

/** The statement for psql: prepared as the driver does it, its parameters as literals. */
export const preparedAs = (name: string, { text, parameters }: Statement) => ({
  prepare: `prepare ${name} as ${text}`,
  execute: parameters.length === 0 ? `execute ${name}` : `execute ${name}(${parameters.map(literal).join(', ')})`,
})

const literal = (value: unknown): string =>
  value === null || value === undefined ? 'null' : `'${String(value).replaceAll("'", "''")}'`
