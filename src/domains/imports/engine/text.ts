/** The encodings a file can be said to have. Windows-1252 is what `latin1` means to spreadsheets and browsers alike. */
export const encodings = ['utf-8', 'utf-16le', 'latin1'] as const
export type Encoding = (typeof encodings)[number]

const labels = { 'utf-8': 'utf-8', 'utf-16le': 'utf-16le', latin1: 'windows-1252' }

export type Decode = (bytes: Uint8Array, last: boolean) => string

/**
 * Turns the bytes of a file into text, piece by piece; a byte order mark is left out, and what the encoding does not
 * allow becomes U+FFFD.
 * @param encoding as the client says; without it a byte order mark decides, and then UTF-8
 */
export function createDecoder(encoding?: Encoding): Decode {
  let decoder: InstanceType<typeof TextDecoder> | undefined
  return (bytes, last) => {
    decoder ??= new TextDecoder(labels[encoding ?? (startsUtf16(bytes) ? 'utf-16le' : 'utf-8')])
    return decoder.decode(bytes, { stream: !last })
  }
}

const startsUtf16 = ([first, second]: Uint8Array) => first === 0xff && second === 0xfe

/** Text as Postgres can store it, without NUL and lone surrogates, and no longer than `lengthMax` characters. */
export const printable = (text: string, lengthMax = Number.POSITIVE_INFINITY): string =>
  text.slice(0, lengthMax).replaceAll('\u0000', '\uFFFD').toWellFormed()
