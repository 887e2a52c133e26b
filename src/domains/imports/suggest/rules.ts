import { asText, oneOf, readDelimiter, refused, unknownField, uuid } from '../engine/form.ts'
import { inflated } from '../engine/gzip.ts'
import { Head, readSample } from '../engine/head.ts'
import { Decoder, type Encoding, encodings } from '../engine/text.ts'
import type { Form, Upload } from '../engine/upload.ts'
import { defaultTarget } from '../mappings/rules.ts'
import type { FileHead } from './suggest.ts'

/** What a client can ask of a suggestion. */
export type SuggestionOptions = { target: string; portfolio_id?: string; delimiter?: string; encoding?: Encoding }

export const suggestionForm: Form<SuggestionOptions> = {
  defaults: { target: defaultTarget },
  read: (name, value) => {
    const text = asText(name, value)
    switch (name) {
      case 'target':
        return { target: text }
      case 'portfolio_id':
        if (!uuid.test(text)) throw refused(name, 'pattern', 'must be a UUID in lower case')
        return { portfolio_id: text }
      case 'delimiter':
        return { delimiter: readDelimiter(text) }
      case 'encoding':
        return { encoding: oneOf(encodings)(text, name) }
      default:
        throw unknownField(name)
    }
  },
}

/** How much of a file is looked at, in bytes once it is inflated. */
const bytesMax = 1_048_576

/**
 * Reads the head of an uploaded file.
 * @throws Problem for what is no CSV
 */
export async function readFileHead({ options, file, fileName }: Upload<SuggestionOptions>): Promise<FileHead> {
  const decoder = new Decoder(options.encoding)
  let complete = true
  async function* pieces() {
    let bytes = 0
    for await (const chunk of inflated(file, fileName, { bytesMax: Number.POSITIVE_INFINITY })) {
      complete = bytes + chunk.length <= bytesMax
      yield decoder.decode(chunk.subarray(0, bytesMax - bytes), false)
      bytes += chunk.length
      if (!complete) return
    }
    yield decoder.decode(new Uint8Array(), true)
  }
  const head = new Head(pieces())
  await head.fill(Number.POSITIVE_INFINITY)
  const delimiter = options.delimiter ?? (await head.delimiter())
  return { sample: readSample(head.text, delimiter, complete), encoding: decoder.encoding, delimiter, complete }
}
