import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { test as base, expect } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { cloneDatabase } from './database.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test asserts on what came back, whatever that is
type Json = any

export type Answer = { status: number; headers: Record<string, string | undefined>; body: Json; text: string }
type Headers = Record<string, string>

/** Somebody who calls the API; paths are below `/api/v1`. */
export class Client {
  readonly app: FastifyInstance
  readonly token: string | undefined

  constructor(app: FastifyInstance, token?: string) {
    this.app = app
    this.token = token
  }

  async send(method: string, path: string, payload?: unknown, headers: Headers = {}): Promise<Answer> {
    const url = path.startsWith('/api/') || !path.startsWith('/') ? path : `/api/v1${path}`
    const answer = await this.app.inject({
      method: method as NonNullable<InjectOptions['method']>,
      url,
      headers: { ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }), ...headers },
      ...(payload !== undefined && { payload: payload as object }),
    })
    const json = /[/+]json\b/.test(String(answer.headers['content-type']))
    return {
      status: answer.statusCode,
      headers: answer.headers as Answer['headers'],
      body: json ? answer.json() : undefined,
      text: answer.payload,
    }
  }

  get = (path: string, headers?: Headers) => this.send('GET', path, undefined, headers)
  post = (path: string, body?: unknown, headers?: Headers) => this.send('POST', path, body, headers)
  patch = (path: string, body?: unknown, headers?: Headers) => this.send('PATCH', path, body, headers)
  delete = (path: string, headers?: Headers) => this.send('DELETE', path, undefined, headers)
}

/** A signed-in user: his credentials, his organisation and a client in his name. */
export type Person = Client & { email: string; id: string; orgId: string; refreshToken: string }

export const password = 'Correct-Horse-7'

/** An address that nobody has. */
export const newEmail = (domain = 'example.com') => `user-${randomBytes(6).toString('hex')}@${domain}`

/** A running service over a database of its own. */
export type Api = {
  app: FastifyInstance
  config: Config
  /** The database, as the service's role and as the owner. */
  url: string
  ownerUrl: string
  anonymous: Client
  signIn(email: string): Promise<Person>
  /** A new organisation, seen by its owner. */
  newOwner(): Promise<Person>
  /** A new user of that owner's organisation. */
  newUser(owner: Client, role: string): Promise<Person>
  close(): Promise<void>
}

/**
 * The configuration tests run with: production's rules of the game, but limits that do not get in the way, and
 * background tasks only where a test runs them (`app.runTask`).
 */
export const testConfig = (overrides: Record<string, string> = {}): Config =>
  loadConfig({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    DATA_DIR: join(import.meta.dirname, '../../.data/test'),
    RATE_LIMIT_MAX: '1000000',
    RATE_LIMIT_AUTH_MAX: '1000000',
    RATE_LIMIT_IMPORT_MAX: '1000000',
    BACKGROUND_TASKS: 'off',
    ...overrides,
  })

export async function startApi(
  overrides: Record<string, string> = {},
  on?: { url: string; ownerUrl: string },
): Promise<Api> {
  const database = on ? { ...on, drop: async () => undefined } : await cloneDatabase()
  const config = testConfig(overrides)
  const app = await buildApp(config, database.url)
  await app.ready()
  app.lifecycle.state = 'ready'
  const anonymous = new Client(app)

  const signIn = async (email: string): Promise<Person> => {
    const { status, body } = await anonymous.post('/auth/login', { username: email, password })
    expect(status, JSON.stringify(body)).toBe(200)
    const client = new Client(app, body.access_token)
    const me = await client.get('/auth/me')
    return Object.assign(client, {
      email,
      id: me.body.user.id as string,
      orgId: me.body.organization?.id as string,
      refreshToken: body.refresh_token as string,
    })
  }

  return {
    app,
    config,
    url: database.url,
    ownerUrl: database.ownerUrl,
    anonymous,
    signIn,
    newOwner: async () => {
      const email = newEmail()
      const { status, body } = await anonymous.post('/auth/register', { email, password })
      expect(status, JSON.stringify(body)).toBe(201)
      return signIn(email)
    },
    newUser: async (owner, role) => {
      const email = newEmail()
      const { status, body } = await owner.post('/users', { email, password, role })
      expect(status, JSON.stringify(body)).toBe(201)
      return signIn(email)
    },
    close: async () => {
      await app.close()
      await database.drop()
    },
  }
}

/** A test of a service with some settings of its own. */
export const testWith = (settings: Record<string, string>) =>
  base.extend<{ api: Api }>({
    api: [
      // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
      async ({}, use) => {
        const api = await startApi(settings)
        await use(api)
        await api.close()
      },
      { scope: 'file' },
    ],
  })

/** A test with a service of its file's own, another instance of it, and the owner of a fresh organisation in it. */
export const test = testWith({}).extend<{ replica: Api; owner: Person }>({
  replica: [
    async ({ api }, use) => {
      const replica = await startApi({}, api)
      await use(replica)
      await replica.close()
    },
    { scope: 'file' },
  ],
  owner: async ({ api }, use) => use(await api.newOwner()),
})
