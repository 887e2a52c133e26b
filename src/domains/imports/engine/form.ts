import { createHash } from 'node:crypto'
import { importTerms } from '../../../db/tables/imports.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import type { ImportMapping } from '../imports/schemas.ts'
import { checkMapping } from './mapping.ts'
import type { Target } from './target.ts'
import { type Encoding, encodings } from './text.ts'

/** What a client can ask of an import. */
export type Options = {
  id?: string
  mapping?: ImportMapping
  mode: (typeof importTerms.mode)[number]
  on_error: (typeof importTerms.on_error)[number]
  dry_run: boolean
  force: boolean
  delimiter?: string
  encoding?: Encoding
}

export const optionDefaults = { mode: 'insert', on_error: 'abort', dry_run: false, force: false } as const

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const refused = (name: string, code: string, message: string) => invalidField(`/body/${name}`, code, message)

const oneOf =
  <const T extends readonly string[]>(words: T) =>
  (text: string, name: string): T[number] => {
    if (!words.includes(text)) throw refused(name, 'enum', `must be one of ${words.join(', ')}`)
    return text
  }

const truth = (text: string, name: string) => oneOf(['true', 'false'])(text, name) === 'true'

function readId(text: string): string {
  if (!uuid.test(text)) throw refused('id', 'pattern', 'must be a UUID in lower case')
  return text
}

function readDelimiter(text: string): string {
  const delimiter = text === 'tab' ? '\t' : text
  const code = delimiter.charCodeAt(0)
  if (delimiter.length !== 1 || code < 9 || code > 126 || '"\r\n'.includes(delimiter))
    throw refused('delimiter', 'pattern', 'must be one ASCII character, or the word tab')
  return delimiter
}

/** As JSON writes what Postgres cannot store: NUL, and half of a surrogate pair. */
const unstorable = /(?<!\\)\\u(0000|d[89a-f][0-9a-f]{2})/

/** @throws Problem `invalid_mapping` */
function readMapping(text: unknown, target: Target): ImportMapping {
  try {
    const mapping: unknown = typeof text === 'string' ? JSON.parse(text) : text
    if (unstorable.test(JSON.stringify(mapping)))
      throw new Problem('invalid_mapping', '/body/mapping holds a character that cannot be stored.', {
        errors: [
          { pointer: '/body/mapping', code: 'invalid_character', message: 'holds a character that cannot be stored' },
        ],
      })
    return checkMapping(mapping, target)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new Problem('invalid_mapping', '/body/mapping is not valid JSON.', {
      errors: [{ pointer: '/body/mapping', code: 'json', message: 'is not valid JSON' }],
    })
  }
}

/**
 * One text field of the form as an option.
 * @param value text, or what the parser made of a part that said it is JSON
 * @throws Problem that names the field
 */
export function readField(name: string, value: unknown, target: Target): Partial<Options> {
  if (name === 'mapping') return { mapping: readMapping(value, target) }
  if (typeof value !== 'string') throw refused(name.slice(0, 100), 'type', 'must be text')
  switch (name) {
    case 'id':
      return { id: readId(value) }
    case 'mode':
      return { mode: oneOf(importTerms.mode)(value, name) }
    case 'on_error':
      return { on_error: oneOf(importTerms.on_error)(value, name) }
    case 'dry_run':
      return { dry_run: truth(value, name) }
    case 'force':
      return { force: truth(value, name) }
    case 'delimiter':
      return { delimiter: readDelimiter(value) }
    case 'encoding':
      return { encoding: oneOf(encodings)(value, name) }
    case 'file':
      throw refused(name, 'file', 'must be a file part: it has a filename')
    default:
      throw refused(name.slice(0, 100), 'unknown_field', 'is not a known field')
  }
}

/** Stands for everything that was asked besides the file, so that a repeated request can be told from another. */
export const hashOptions = (target: string, parentId: string, options: Options): string =>
  createHash('sha256')
    .update(JSON.stringify([target, parentId, Object.entries(options).sort()]))
    .digest('hex')
