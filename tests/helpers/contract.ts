import type { FastifyInstance } from 'fastify'
import type postgres from 'postgres'
import { expect } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { answerHeaders } from '../../src/lib/answer-headers.ts'
import { type Answer, password, testConfig } from './api.ts'

/** What the tests look at of a JSON Schema. */
export type Schema = {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  patternProperties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  default?: unknown
  examples?: unknown[]
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  maxLength?: number
  maxItems?: number
  maxProperties?: number
  nullable?: unknown
}

type Media = Record<string, { schema: Schema }>

type Parameter = { name: string; in: string; required?: boolean; example?: unknown; schema: Schema }

/** One operation of the document. */
export type Operation = {
  method: string
  path: string
  /** `GET /api/v1/loans`. */
  title: string
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  /** What its caller needs: a permission, `signed_in` or `public`. */
  permission: string | undefined
  /** Which of the guard's exceptions it states: keys, who acts as another, himself by this path parameter, a new proof. */
  apiKeys: boolean
  impersonated: boolean
  self: string | undefined
  stepUp: boolean
  parameters: Parameter[]
  body: { type: string; schema: Schema } | undefined
  responses: Record<string, Response>
}
type Response = { description: string; content?: Media; headers?: Record<string, { $ref: string }> }

export type Document = {
  paths: Record<string, Record<string, Omit<Operation, 'body'> & Raw>>
  components: {
    schemas: Record<string, Schema>
    headers: Record<string, { required?: true }>
    responses: Record<string, Response>
  }
  tags: { name: string }[]
}
type Raw = {
  security?: object[]
  'x-permission'?: string
  'x-api-keys'?: true
  'x-impersonated'?: true
  'x-self'?: string
  'x-step-up'?: true
  requestBody?: { content: Media }
}

/** The OpenAPI document, read operation by operation. */
export class Contract {
  readonly document: Document
  readonly operations: Operation[]

  constructor(document: Document) {
    this.document = document
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([verb, { security, requestBody, ...operation }]) => {
        const method = verb.toUpperCase()
        const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? []
        return {
          ...operation,
          responses: mapped(operation.responses, (response) => this.resolve(response)),
          method,
          path: withWords(path, operation.parameters),
          title: `${method} ${path}`,
          permission: security?.length === 0 ? 'public' : operation['x-permission'],
          apiKeys: operation['x-api-keys'] === true,
          impersonated: operation['x-impersonated'] === true,
          self: operation['x-self'],
          stepUp: operation['x-step-up'] === true,
          parameters: operation.parameters ?? [],
          body: type === undefined ? undefined : { type, schema: this.resolve(media?.schema ?? {}) },
        }
      }),
    )
  }

  find(method: string, path: string): Operation | undefined {
    return this.operations.find((operation) => operation.method === method && operation.path === path)
  }

  /** Follows a reference to its component. */
  resolve(referrer: Schema): Schema
  resolve<T>(referrer: T & { $ref?: string }): T
  resolve<T>(referrer: T & { $ref?: string }): T {
    const { $ref } = referrer
    if ($ref === undefined) return referrer
    const [, kind, name] = /^#\/components\/(\w+)\/([\w-]+)$/.exec($ref) ?? []
    const component = (this.document.components as Record<string, Record<string, unknown>>)[kind ?? '']?.[name ?? '']
    if (component === undefined) throw new Error(`${$ref} refers to nothing`)
    return component as T
  }

  /** The paths under which single resources are read by id. */
  collections(): string[] {
    return this.operations
      .filter(({ method, path }) => method === 'GET' && /^[^{]+\/\{[^}]+\}$/.test(path))
      .map(({ path }) => path.slice(0, path.lastIndexOf('/')))
  }

  /** Whether an operation answers with pages. */
  isList({ method, parameters }: Operation): boolean {
    return method === 'GET' && parameters.some(({ name }) => name === 'cursor')
  }
}

const mapped = <T>(values: Record<string, T>, map: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))

/** `/charts/{name}.svg` with the first of the words that `name` may be, for what only an id can stand in is made. */
const withWords = (path: string, parameters: Parameter[] = []): string =>
  parameters.reduce(
    (filled, { name, schema }) => filled.replace(`{${name}}`, (it) => String(schema.enum?.[0] ?? it)),
    path,
  )

/** The query an operation cannot do without, of its examples; empty for most. */
export const requiredQuery = ({ parameters }: Operation): string =>
  parameters
    .filter((parameter) => parameter.in === 'query' && parameter.required)
    .map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`)
    .join('&')

/** The path of an operation with an id in place of each parameter, and its example where a parameter is no id. */
export const pathWith = ({ path, parameters }: Operation, id: () => string): string =>
  path.replace(/\{([^}]+)\}/g, (_, name) => {
    const example = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.example
    return example === undefined ? id() : String(example)
  })

/** The service without a database: enough for its routes and its document. */
export const appWithoutDatabase = (settings: Record<string, string> = {}): Promise<FastifyInstance> =>
  buildApp(testConfig(settings), 'postgres://nobody@127.0.0.1:1/none')

export async function readContract(): Promise<Contract> {
  const app = await appWithoutDatabase()
  await app.ready()
  const document = app.swagger() as unknown as Document
  await app.close()
  return new Contract(document)
}

/** Every schema inside a schema, itself included, each with where it is. */
export function* schemasIn(contract: Contract, schema: Schema, at: string): Generator<[string, Schema]> {
  const { properties, patternProperties, additionalProperties, anyOf, items } = contract.resolve(schema)
  yield [at, contract.resolve(schema)]
  const values = [...Object.values(patternProperties ?? {}), ...[additionalProperties ?? []].flat()]
  const inside = [
    ...Object.entries(properties ?? {}),
    ...values.filter((value) => typeof value === 'object').map((value) => ['*', value] as const),
    ...(anyOf ?? []).map((option) => ['', option] as const),
    ...(items ? [['items', items] as const] : []),
  ]
  for (const [name, value] of inside) yield* schemasIn(contract, value, `${at}/${name}`)
}

const forbiddenKey = /^(org_id|answer|password|totp_secret|totp_last_step)$|_hash$/

/** Fails on an answer that the document does not name, or that tells what nobody may read. */
export function inspect(operation: Operation, { status, headers, body, text }: Answer): void {
  expect(Object.keys(operation.responses), `${status} is not documented: ${text}`).toContain(String(status))
  expect(text).not.toContain(password)
  expect(text).not.toContain('$argon2')
  expect(keysIn(body).filter((key) => forbiddenKey.test(key))).toEqual([])
  inspectHeaders(operation, status, headers)
  if (status < 400) return
  expect(headers['content-type']).toBe('application/problem+json')
  expect(body).toMatchObject({ status, code: expect.any(String), request_id: headers['x-request-id'] })
  if (status === 401) expect(headers['www-authenticate']).toMatch(/^Bearer realm="tenon"/)
}

/** Headers that an answer has or not for what it is; tests of them are elsewhere. */
const atTimes: string[] = ['Link', 'Content-Disposition', 'X-Impersonated-By']

/** Fails on a header that is promised and not sent, or sent and not promised. */
function inspectHeaders({ title, responses }: Operation, status: number, headers: Answer['headers']): void {
  const documented = Object.keys(responses[status]?.headers ?? {})
  const sent = Object.keys(answerHeaders).filter((name) => headers[name.toLowerCase()] !== undefined)
  const owed = documented.filter((name) => !atTimes.includes(name))
  expect(documented, `${title} ${status} sends what is not documented`).toEqual(expect.arrayContaining(sent))
  expect(sent, `${title} ${status} documents what is not sent`).toEqual(expect.arrayContaining(owed))
}

/** Every key of a JSON value, however deep. */
function keysIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const own = Array.isArray(value) ? [] : Object.keys(value)
  return [...own, ...Object.values(value).flatMap(keysIn)]
}

export type TableState = Record<string, { rows: number; hash: string }>

/**
 * How many rows each table has and a hash of them, so that two states can be compared.
 * @param except tables that may differ
 */
export async function stateOf(sql: postgres.Sql, except: readonly string[] = []): Promise<TableState> {
  const tables = await sql`
    select tablename as name from pg_tables where schemaname = 'public' and tablename <> all(${[...except]})`
  const each = tables.map(
    // A sum needs no order; sorting every table by the text of its rows took most of the time.
    ({ name }) => `select '${name}' as name, count(*)::int as rows,
      coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash from "${name}" t`,
  )
  const states = await sql.unsafe<{ name: string; rows: number; hash: string }[]>(each.join(' union all '))
  return Object.fromEntries(states.map(({ name, ...state }) => [name, state]))
}
