import { STATUS_CODES } from 'node:http'
import type { FastifyContextConfig } from 'fastify'
import { type AnswerHeader, answerHeaders, countedAnswer, everyAnswer } from '../lib/answer-headers.ts'
import { problemType } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A POST for which an `Idempotency-Key` does nothing: a repeat is harmless, or must not get the first answer. */
    unkeyed?: true
    /** A POST that honours `If-Match`, as changes by PATCH, PUT and DELETE of what has a version do. */
    conditional?: true
  }
}

type Schema = { $ref?: string; type?: string | string[]; properties?: Record<string, Schema> }
type Answer = { description: string; headers?: object; content?: Record<string, { schema: Schema }> }
type Operation = { operationId: string; parameters?: object[]; responses: Record<string, Answer | { $ref: string }> }
type Item = Record<string, Operation>
export type Document = {
  paths: Record<string, Item>
  components: { schemas: Record<string, Schema>; headers?: object; responses?: Record<string, Answer> }
}

const requestHeader = (name: string, maxLength: number, description: string) => ({
  ...{ in: 'header', name, required: false, description },
  schema: { type: 'string', maxLength },
})
const idempotencyKey = requestHeader('idempotency-key', 255, 'a repeat within 24 hours gets the first answer')
const ifMatch = requestHeader('if-match', 50, 'ETag of the version to change; another one is 412')
const ifNoneMatch = requestHeader('if-none-match', 1_000, 'ETags of what is there already: 304 if it is still so')

/**
 * Adds what follows from the rest of the document: the headers that operations understand and answers carry. An error
 * becomes one component a status, so that generated clients know it by a name.
 * @param configs of the routes, by the id of their operation
 */
export function completeHeaders(document: Document, configs: ReadonlyMap<string, FastifyContextConfig>): void {
  const { components } = document
  const responses: Record<string, Answer> = {}
  const models = modelsOf(components.schemas)
  for (const item of Object.values(document.paths))
    for (const [method, operation] of Object.entries(item)) {
      const config = configs.get(operation.operationId) ?? {}
      const understood = understoodBy(method, item, config, models)
      // Copies, or the YAML of the document would be full of aliases.
      if (understood.length > 0)
        operation.parameters = [...(operation.parameters ?? []), ...structuredClone(understood)]
      if (understood.includes(ifMatch)) operation.responses[412] = mismatch()
      const counted = config.unlimited ? [] : countedAnswer
      for (const [status, answer] of Object.entries(operation.responses) as [string, Answer][]) {
        if (answer.description === 'Default Response') answer.description = String(STATUS_CODES[status])
        const names = [...everyAnswer, ...counted, ...carriedBy(status, answer, operation, models)]
        answer.headers = Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
        if (config.unlimited || answer.content?.[problemType] === undefined) continue
        const name = String(STATUS_CODES[status]).replace(/\W/g, '')
        responses[name] ??= answer
        operation.responses[status] = { $ref: `#/components/responses/${name}` }
      }
    }
  document.components = { ...components, headers: answerHeaders, responses }
}

const mismatch = (): Answer => ({
  description: String(STATUS_CODES[412]),
  content: { [problemType]: { schema: { $ref: '#/components/schemas/Problem' } } },
})

type Models = ReturnType<typeof modelsOf>

function modelsOf(schemas: Record<string, Schema>) {
  const resolve = ({ $ref, ...schema }: Schema = {}): Schema =>
    $ref === undefined ? schema : (schemas[$ref.replace('#/components/schemas/', '')] ?? {})
  /** Whether it is, or tells of, something whose changes are counted. */
  const isVersioned = (schema: Schema): boolean => {
    const { version, user } = resolve(schema).properties ?? {}
    return [version?.type].flat().includes('integer') || (user !== undefined && isVersioned(user))
  }
  const answers = ({ responses }: Operation) => [200, 201].map((status) => jsonOf(responses[status] as Answer))
  return { resolve, isVersioned, answersVersion: (operation: Operation) => answers(operation).some(isVersioned) }
}

const jsonOf = (answer: Answer | undefined): Schema => answer?.content?.['application/json']?.schema ?? {}

function understoodBy(method: string, item: Item, config: FastifyContextConfig, models: Models): object[] {
  const operation = item[method] as Operation
  const changed = method === 'delete' ? item.get : method === 'patch' || method === 'put' ? operation : undefined
  return [
    ...(method === 'post' && !config.unkeyed ? [idempotencyKey] : []),
    ...(config.conditional || (changed !== undefined && models.answersVersion(changed)) ? [ifMatch] : []),
    ...(operation.responses[304] ? [ifNoneMatch] : []),
  ]
}

/** What an answer carries because of its status and its content. */
function carriedBy(status: string, answer: Answer, { responses }: Operation, models: Models): AnswerHeader[] {
  const { content = {} } = answer
  const isGood = status < '400'
  const model = models.resolve(jsonOf(answer))
  const names: [AnswerHeader, boolean][] = [
    ['Location', status === '201'],
    ['WWW-Authenticate', status === '401'],
    ['Retry-After', /429|503/.test(status) && content[problemType] !== undefined],
    ['ETag', isGood && (models.isVersioned(model) || responses[304] !== undefined)],
    ['Link', model.properties?.next_cursor !== undefined],
    ['Content-Disposition', content['text/csv'] !== undefined || content['image/svg+xml'] !== undefined],
  ]
  return names.flatMap(([name, carries]) => (carries ? [name] : []))
}
