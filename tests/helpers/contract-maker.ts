import { randomBytes } from 'node:crypto'
import type { ValidateFunction } from 'ajv'
import { expect } from 'vitest'
import { strictAjv } from '../../src/lib/validator.ts'
import type { Answer, Client } from './api.ts'
import { type Contract, inspect, type Operation, requiredQuery, type Schema } from './contract.ts'
import type { Ready } from './contract-ready.ts'

export type Values = Record<string, unknown>
type Known = Record<string, (client: Client) => unknown>
export type Payload = { body?: unknown; headers?: Record<string, string> }

/** Fields that are likely to be unique, so that every example gets a value of its own. */
const unique = /(^|_)(email|username|name|code|number|slug)$/

/**
 * Makes what an operation needs from the document alone: the resources its path and its body refer to, and a body
 * out of the schema's `examples`.
 */
export class Maker {
  readonly contract: Contract
  /** A superuser, who makes what only he can. */
  platform: Client | undefined
  /** The id of everything made, by whom. */
  readonly made: { client: Client; id: string }[] = []
  readonly #known: Known
  readonly #ready: Record<string, Ready>

  /**
   * @param known values that no example can give, such as a live refresh token: by field name, or `operationId.field`
   * @param ready what makes operations possible, by their ids
   */
  constructor(contract: Contract, known: Known = {}, ready: Record<string, Ready> = {}) {
    this.contract = contract
    this.#known = known
    this.#ready = ready
  }

  /** Fills `/portfolios/{id}/metrics` with the ids of fresh resources of this client. */
  async path(template: string, client: Client): Promise<string> {
    let prefix = ''
    let path = ''
    for (const segment of template.split('/').slice(1)) {
      const value = segment.startsWith('{')
        ? (this.#exampleAt(`${prefix}/${segment}`) ?? (await this.make(prefix, client, path)).id)
        : segment
      path += `/${value}`
      prefix += `/${segment}`
    }
    return path === '' ? '/' : path
  }

  /**
   * A new resource of a collection: from a POST to it, or from the POST that answers with its model; where there is
   * neither, the first one that is there.
   * @param collection the path's template; `path` is the same with ids, where it lies in another resource
   */
  async make(collection: string, caller: Client, path?: string): Promise<Values & { id: string }> {
    const creator = this.#creator(collection)
    const client = this.keeper(creator ?? this.contract.find('GET', collection), caller)
    if (creator === undefined) {
      const { body } = await client.get(path ?? collection)
      expect(body?.data?.[0], `${collection}: nothing makes one and none is there`).toBeDefined()
      return body.data[0]
    }
    const inside = creator.path === collection ? path : undefined
    const answer = await this.send(creator, client, inside ?? (await this.path(creator.path, client)))
    expect(answer.status, `${creator.title}: ${answer.text}`).toBeOneOf([200, 201, 202])
    this.made.push({ client, id: answer.body.id })
    return answer.body
  }

  /** Who makes what an operation needs: the caller, or a superuser where that is the platform's. */
  keeper(operation: Operation | undefined, caller: Client): Client {
    return operation?.permission === 'platform:manage' ? (this.platform ?? caller) : caller
  }

  /** Calls an operation at a path and inspects the answer; the payload is made by the caller unless given. */
  async send(operation: Operation, client: Client, path: string, payload?: Payload): Promise<Answer> {
    const { body, headers } = payload ?? (await this.payload(operation, client, path))
    const query = path.includes('?') ? '' : requiredQuery(operation)
    const url = `${path.startsWith('/api/') ? '' : 'http://localhost'}${path}${query && `?${query}`}`
    const answer = await client.send(operation.method, url, body, headers)
    inspect(operation, answer)
    return answer
  }

  /**
   * A body that this client may send, in the content type of the operation.
   * @param at the path with its ids; the operation is then made possible there
   */
  async payload({ title, path, body, operationId }: Operation, client: Client, at?: string): Promise<Payload> {
    const id = at?.match(/[0-9a-f-]{36}/g)?.at(-1)
    const given = id === undefined ? undefined : await this.#ready[operationId as string]?.(id)
    if (body === undefined) return {}
    const values = given ?? (await this.#values(body.schema, client, operationId, path))
    if (body.type !== 'multipart/form-data') {
      expect(values, `${title}: no property has an example`).not.toEqual({})
      return { body: values }
    }
    const form = new FormData()
    for (const [name, schema] of Object.entries(body.schema.properties ?? {}))
      if (schema.format === 'binary')
        form.set(name, new Blob([String(values[name] ?? (await this.#file(path, client)))]), 'example.csv')
      else if (values[name] !== undefined)
        form.set(name, typeof values[name] === 'string' ? values[name] : JSON.stringify(values[name]))
    const encoded = new Response(form)
    return {
      body: Buffer.from(await encoded.arrayBuffer()),
      headers: { 'content-type': encoded.headers.get('content-type') as string },
    }
  }

  /** The collection a field refers to: `/api/v1/portfolios` for `portfolio_id`. */
  collectionOf(field: string): string | undefined {
    const name = field.replace(/_id$/, '').replaceAll('_', '-')
    const plural = name.endsWith('y') ? `${name.slice(0, -1)}ies` : `${name}s`
    const named = this.contract.collections().filter((path) => path.endsWith(`/${plural}`))
    return named.find((path) => !path.includes('/platform/')) ?? named[0]
  }

  /** What stands at the end of this path where it is no id. */
  #exampleAt(template: string): unknown {
    const operation = this.contract.operations.find(({ path }) => path.startsWith(template))
    const name = template.slice(template.lastIndexOf('{') + 1, -1)
    return operation?.parameters.find((one) => one.in === 'path' && one.name === name)?.example
  }

  #creator(collection: string): Operation | undefined {
    const { operations } = this.contract
    const item = operations.find(
      ({ method, path }) => method === 'GET' && path.startsWith(`${collection}/{`) && path.endsWith('}'),
    )
    const model = item && modelOf(item)
    const makes = (operation: Operation) => model !== undefined && modelOf(operation) === model
    return this.contract.find('POST', collection) ?? operations.find((one) => one.method === 'POST' && makes(one))
  }

  async #values(schema: Schema, client: Client, operationId?: string, path?: string): Promise<Values> {
    const values: Values = {}
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const resolved = this.contract.resolve(property)
      const required = schema.required?.includes(name)
      if (resolved.format === 'binary' || (!required && resolved.examples === undefined)) continue
      const known = this.#known[`${operationId}.${name}`]
      values[name] = known ? await known(client) : await this.#value(name, resolved, client, path)
    }
    return values
  }

  async #value(name: string, schema: Schema, client: Client, path?: string): Promise<unknown> {
    if (this.#known[name]) return this.#known[name](client)
    // The items of POST /things/bulk.
    if (name === 'items') return [await this.#item(this.contract.resolve(schema.items ?? {}), client, path)]
    const collection = name.endsWith('_id') ? this.collectionOf(name) : undefined
    if (collection !== undefined) return (await this.make(collection, client)).id
    const example = schema.examples?.[0] ?? schema.enum?.[0]
    if (example === undefined && schema.type === 'object') return this.#values(schema, client)
    expect(example, `the required property ${name} needs an example in its schema`).toBeDefined()
    return unique.test(name) && typeof example === 'string' ? fresh(name, example, schema) : example
  }

  async #item(schema: Schema, client: Client, path = ''): Promise<Values> {
    const values = await this.#values({ ...schema, required: without(schema.required, 'id') }, client)
    if (schema.properties?.id === undefined) return values
    return { ...values, id: (await this.make(path.replace(/\/bulk$/, ''), client)).id }
  }

  /** A CSV of one row, for an import into the collection that the path names. */
  async #file(path: string, client: Client): Promise<string> {
    const collections = path.split('/').map((segment) => `/api/v1/${segment}`)
    const target = collections.map((collection) => this.contract.find('POST', collection)).findLast((one) => one?.body)
    expect(target, `${path} does not say what its file holds`).toBeDefined()
    const row = Object.entries(await this.#values(target?.body?.schema ?? {}, client))
    const cells = row.filter(([name]) => !name.endsWith('_id'))
    const quoted = (values: unknown[]) => values.map((value) => `"${String(value).replaceAll('"', '""')}"`).join(',')
    return `${quoted(cells.map(([name]) => name))}\n${quoted(cells.map(([, value]) => value))}\n`
  }
}

const without = (names: string[] = [], name: string) => names.filter((one) => one !== name)

/** The model of an operation's success. */
export function modelOf({ responses }: Operation): string | undefined {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? []
  return success?.content?.['application/json']?.schema.$ref
}

const ajv = strictAjv()
const validators = new WeakMap<Schema, ValidateFunction>()

/** The example made unlike any other, where the schema allows it. */
function fresh(name: string, example: string, schema: Schema): string {
  const mark = randomBytes(6).toString('hex')
  const marked = name.endsWith('email') ? `${mark}-${example}` : `${example}-${mark}`
  const validate = validators.get(schema) ?? ajv.compile(schema)
  validators.set(schema, validate)
  return validate(marked) ? marked : example
}
