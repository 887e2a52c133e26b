import { createHash } from 'node:crypto'
import { importTerms } from '../../../db/tables/imports.ts'
import { invalidField } from '../../../lib/errors.ts'
import type { ImportMapping } from '../mappings/schemas.ts'
import { checkMapping, invalidMapping } from './check-mapping.ts'
import { compileDateFormat, isoFormat, type ReadDate } from './dates.ts'
import type { Target } from './target.ts'
import { type Encoding, encodings } from './text.ts'
import type { Form } from './upload.ts'

/** What a client can ask of an import. */
export type Options = {
  id?: string
  mapping?: ImportMapping
  /** The saved mapping that was asked for; `mapping` is then what it says by now. */
  mapping_id?: string
  /** The reporting date of the file, `YYYY-MM-DD`. */
  as_of?: string
  mode: (typeof importTerms.mode)[number]
  on_error: (typeof importTerms.on_error)[number]
  dry_run: boolean
  force: boolean
  delimiter?: string
  encoding?: Encoding
}

const defaults: Options = { mode: 'insert', on_error: 'abort', dry_run: false, force: false }

/** The form of an import into a target. */
export const importForm = (target: Target): Form<Options> => ({
  defaults,
  read: (name, value) => readField(name, value, target),
})

export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export const refused = (name: string, code: string, message: string) => invalidField(`/body/${name}`, code, message)

export const oneOf =
  <const T extends readonly string[]>(words: T) =>
  (text: string, name: string): T[number] => {
    if (!words.includes(text)) throw refused(name, 'enum', `must be one of ${words.join(', ')}`)
    return text
  }

/** @returns what is wrong with a text field that the form does not have */
export const unknownField = (name: string) =>
  name === 'file'
    ? refused(name, 'file', 'must be a file part: it has a filename')
    : refused(name.slice(0, 100), 'unknown_field', 'is not a known field')

export function asText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw refused(name.slice(0, 100), 'type', 'must be text')
  return value
}

const truth = (text: string, name: string) => oneOf(['true', 'false'])(text, name) === 'true'

function readId(text: string): string {
  if (!uuid.test(text)) throw refused('id', 'pattern', 'must be a UUID in lower case')
  return text
}

const isoDate = compileDateFormat(isoFormat) as ReadDate

function readAsOf(text: string, { name, snapshots }: Target): string {
  if (!snapshots) throw refused('as_of', 'unknown_field', `is not for ${name}, whose rows have dates of their own`)
  const date = isoDate(text)
  if (date === undefined) throw refused('as_of', 'date', `must be a date written ${isoFormat}`)
  return date
}

export function readDelimiter(text: string): string {
  const delimiter = text === 'tab' ? '\t' : text
  const code = delimiter.charCodeAt(0)
  if (delimiter.length !== 1 || code < 9 || code > 126 || '"\r\n'.includes(delimiter))
    throw refused('delimiter', 'pattern', 'must be one ASCII character, or the word tab')
  return delimiter
}

/** @throws Problem `invalid_mapping` */
function readMapping(sent: unknown, target: Target): Partial<Options> {
  if (typeof sent === 'string' && uuid.test(sent)) return { mapping_id: sent }
  try {
    return { mapping: checkMapping(typeof sent === 'string' ? JSON.parse(sent) : sent, target) }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalidMapping([['', 'json', 'is neither valid JSON nor the id of a saved mapping']])
  }
}

function readField(name: string, value: unknown, target: Target): Partial<Options> {
  if (name === 'mapping') return readMapping(value, target)
  const text = asText(name, value)
  switch (name) {
    case 'id':
      return { id: readId(text) }
    case 'as_of':
      return { as_of: readAsOf(text, target) }
    case 'mode':
      return { mode: oneOf(importTerms.mode)(text, name) }
    case 'on_error':
      return { on_error: oneOf(importTerms.on_error)(text, name) }
    case 'dry_run':
      return { dry_run: truth(text, name) }
    case 'force':
      return { force: truth(text, name) }
    case 'delimiter':
      return { delimiter: readDelimiter(text) }
    case 'encoding':
      return { encoding: oneOf(encodings)(text, name) }
    default:
      throw unknownField(name)
  }
}

/**
 * Stands for everything that was asked besides the file, so that a repeated request can be told from another. A saved
 * mapping is asked for by its id, whatever has become of it since.
 */
export function hashOptions(target: string, parentId: string, { mapping, ...options }: Options): string {
  const asked = options.mapping_id === undefined ? { ...options, mapping } : options
  return createHash('sha256')
    .update(JSON.stringify([target, parentId, Object.entries(asked).sort()]))
    .digest('hex')
}
