import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { readContract, type Schema, schemasIn } from '../helpers/contract.ts'

const root = join(import.meta.dirname, '../..')
const contract = await readContract()
const { components, paths } = contract.document

/** Every object in the document, whatever it is. */
function* objectsIn(value: unknown): Generator<Schema> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Schema
  for (const member of Object.values(value)) yield* objectsIn(member)
}

/** What a request may hold: each parameter and each body. */
const requests = contract.operations.flatMap(({ title, parameters, body }) => [
  ...parameters.map(({ name, schema }) => [`${title} ?${name}`, schema] as const),
  ...(body ? [[`${title} body`, body.schema] as const] : []),
])

const typesOf = ({ type = [] }: Schema) => [type].flat()

/** The places in requests where the rule does not hold. */
const breaches = (holds: (schema: Schema) => boolean) =>
  requests
    .flatMap(([at, schema]) => [...schemasIn(contract, schema, at)])
    .filter(([, schema]) => !holds(schema))
    .map(([at]) => at)

describe('the committed document', () => {
  test('is the one the routes make', async () => {
    const committed = await readFile(join(root, 'openapi.json'), 'utf8')
    const current = `${JSON.stringify(contract.document, null, 2)}\n`
    expect(committed === current, 'openapi.json is stale; run: npm run tenon -- openapi').toBe(true)
  })

  test('passes redocly lint with its recommended rules', async () => {
    const cli = join(root, 'node_modules/@redocly/cli/bin/cli.js')
    const lint = promisify(execFile)(process.execPath, [cli, 'lint', 'openapi.json', '--format=json'], {
      cwd: root,
      env: { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    })
    const { stdout } = await lint.catch((error: { stdout: string }) => error)
    const { totals, problems } = JSON.parse(stdout)
    expect({ errors: totals.errors, problems }).toEqual({ errors: 0, problems: expect.anything() })
  })
})

describe('the models', () => {
  test('are named components', () => {
    for (const name of Object.keys(components.schemas)) expect(name).toMatch(/^([A-Z][a-z0-9]*)+$/)
    for (const { title, method, responses, body } of contract.operations) {
      for (const [status, { content = {} }] of Object.entries(responses))
        for (const [type, { schema }] of Object.entries(content))
          if (/[/+]json$/.test(type)) expect(schema.$ref, `${title} ${status}`).toBeDefined()
      const content = paths[title.split(' ')[1] as string]?.[method.toLowerCase()]?.requestBody?.content
      for (const media of Object.values(content ?? {})) expect(media.schema.$ref, `${title} body`).toBeDefined()
      expect(body === undefined).toBe(content === undefined)
    }
  })

  test('are all used, and every reference leads to one', () => {
    const references = [...objectsIn(contract.document)].map(({ $ref }) => $ref).filter((ref) => ref !== undefined)
    for (const ref of references) expect(contract.resolve({ $ref: ref }), ref).toBeDefined()
    for (const [kind, named] of Object.entries(components))
      if (kind !== 'securitySchemes')
        expect(Object.keys(named).filter((name) => !references.includes(`#/components/${kind}/${name}`))).toEqual([])
  })

  test('say null in their type, and closed sets of words as an enum', () => {
    for (const schema of objectsIn(contract.document)) {
      expect(schema).not.toHaveProperty('nullable')
      expect(schema).not.toHaveProperty('const')
      if (schema.enum !== undefined) expect(schema.type, JSON.stringify(schema)).toBeDefined()
      for (const option of schema.anyOf ?? []) expect(option.type ?? option.$ref).toBeDefined()
    }
  })
})

describe('an answer', () => {
  test('says in words what it is, and an operation who may ask for it', () => {
    for (const { title, description, responses } of contract.operations) {
      expect(description, title).toMatch(/^(?:.+\n\n)?(Needs|For|Open) [^\n]+\.$/s)
      for (const response of Object.values(responses)) expect(response.description).not.toMatch(/^(Default Response)?$/)
    }
  })

  test('has the type that is sent: events, pictures and files among them', () => {
    const types = contract.operations.flatMap(({ responses }) => Object.keys(responses[200]?.content ?? {}))
    expect([...new Set(types)].sort()).toEqual([
      'application/json',
      'application/x-ndjson',
      'image/svg+xml',
      'text/csv',
      'text/event-stream',
    ])
  })
})

describe('a request', () => {
  test('may leave out whatever has a default', () => {
    for (const { title, parameters } of contract.operations)
      for (const { name, required, schema } of parameters)
        expect(required && schema.default !== undefined, `${title} ?${name}`).toBe(false)
    const optional = ({ properties = {}, required = [] }: Schema) =>
      required.every((name) => properties[name]?.default === undefined)
    expect(breaches(optional)).toEqual([])
  })

  test('is bounded in every string, list, map and number', () => {
    const bounded = (schema: Schema) => {
      const { maxLength, enum: words, format, maxItems, minimum, maximum, maxProperties, properties } = schema
      const types = typesOf(schema)
      if (types.includes('string') && maxLength === undefined && !words && format === undefined) return false
      if (types.includes('array') && maxItems === undefined) return false
      if (types.includes('integer') && (minimum === undefined || maximum === undefined)) return false
      return !types.includes('object') || properties !== undefined || maxProperties !== undefined
    }
    expect(breaches(bounded)).toEqual([])
  })

  test('holds no field the document does not name', () => {
    const strict = ({ properties, additionalProperties }: Schema) =>
      properties === undefined || additionalProperties === false
    expect(breaches(strict)).toEqual([])
  })

  test('that carries a file says which part it is', () => {
    const forms = contract.operations.filter(({ body }) => body?.type === 'multipart/form-data')
    for (const { title, body } of forms) {
      const files = Object.values(body?.schema.properties ?? {}).filter(({ format }) => format === 'binary')
      expect(
        files.map(({ type }) => type),
        title,
      ).toEqual(['string'])
    }
  })
})
