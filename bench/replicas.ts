import { authorization, call } from './lib/client.ts'
import { type Context, withServers } from './lib/context.ts'
import { median } from './lib/load.ts'
import type { Server } from './lib/servers.ts'

const times = 50
const deafTimes = 5
const password = 'Correct-Horse-7'

type Person = { id: string; memberId: string; token: string; path: string; refused: number }

/**
 * How long another instance on the same database goes on admitting whom this one has shut out.
 * @returns what to say of it
 */
export async function replicas(context: Context): Promise<string> {
  return withServers(context, ['tenon'], async ({ tenon: first }) =>
    withServers(context, ['tenon'], async ({ tenon: second }) => {
      const { account, database, signal } = context
      const admin = authorization(account)
      let made = 0
      const person = async (path: string, refused: number): Promise<Person> => {
        const email = `replica-${made++}@example.com`
        const user = await call<{ id: string }>(`${first.url}/api/v1/users`, {
          json: { email, password, role: 'member' },
          headers: admin,
        })
        const [member] = await database.sql`select id from members where user_id = ${user.id}`
        const { access_token: token } = await call<{ access_token: string }>(`${first.url}/api/v1/auth/login`, {
          json: { username: email, password },
        })
        return { id: user.id, memberId: member?.id, token, path, refused }
      }
      const measure = async (who: Person, change: () => Promise<unknown>) => {
        await untilAnswered(second, who)
        await change()
        return delayMs(second, who)
      }
      const send = (method: string, path: string, token: string, body?: object) =>
        ended(`${first.url}/api/v1${path}`, method, token, body)
      const deaf = () =>
        database.sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity
          where datname = current_database() and application_name = 'tenon-access'`

      const lines: string[] = []
      const report = (what: string, delays: number[]) =>
        lines.push(
          `${what}: median ${median(delays).toFixed(1)} ms, worst ${Math.max(...delays).toFixed(1)} ms (${delays.length})`,
        )
      const kinds: [string, string, number, (who: Person) => Promise<unknown>][] = [
        ['a session signed out', '/auth/me', 401, ({ token }) => send('POST', '/auth/logout', token)],
        [
          'a role changed',
          '/portfolios',
          403,
          ({ memberId }) => send('PATCH', `/members/${memberId}`, account.token, { roles: ['guest'] }),
        ],
        [
          'a member removed',
          '/portfolios',
          401,
          ({ memberId }) => send('DELETE', `/members/${memberId}`, account.token),
        ],
      ]
      for (const [what, path, refused, change] of kinds) {
        const delays: number[] = []
        for (let index = 0; index < times; index++) {
          signal.throwIfAborted()
          const who = await person(path, refused)
          delays.push(await measure(who, () => change(who)))
        }
        report(what, delays)
      }
      const delays: number[] = []
      for (let index = 0; index < deafTimes; index++) {
        const who = await person('/auth/me', 401)
        delays.push(
          await measure(who, async () => {
            await deaf()
            await send('POST', '/auth/logout', who.token)
          }),
        )
      }
      report('a session signed out just after every LISTEN connection was killed', delays)
      return `replicas: from the answer of one instance to the first refusal of the other\n  - ${lines.join('\n  - ')}`
    }),
  )
}

async function ended(url: string, method: string, token: string, body?: object) {
  const answer = await fetch(url, {
    method,
    headers: { ...authorization({ token }), ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`)
  await answer.arrayBuffer()
}

const statusOf = async ({ url }: Server, { token, path }: Person) => {
  const answer = await fetch(`${url}/api/v1${path}`, { headers: authorization({ token }) })
  await answer.arrayBuffer()
  return answer.status
}

/** Twice, so that the second is answered from what is cached. */
async function untilAnswered(server: Server, who: Person) {
  for (let index = 0; index < 2; index++) {
    const status = await statusOf(server, who)
    if (status !== 200) throw new Error(`the other instance answered ${status} before anything changed`)
  }
}

/** Asks without a pause until refused. */
async function delayMs(server: Server, who: Person): Promise<number> {
  const start = performance.now()
  while ((await statusOf(server, who)) !== who.refused)
    if (performance.now() - start > 10_000) throw new Error('the other instance never learnt of it')
  return performance.now() - start
}
