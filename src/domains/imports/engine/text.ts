import { isUtf8 } from 'node:buffer'
import { importTerms } from '../../../db/tables/imports.ts'

/** The encodings a file can be said to have. Windows-1252 is what `latin1` means to spreadsheets and browsers alike. */
export const encodings = importTerms.encoding
export type Encoding = (typeof encodings)[number]

const labels = { 'utf-8': 'utf-8', 'utf-16le': 'utf-16le', 'utf-16be': 'utf-16be', latin1: 'windows-1252' }

/** A file that is ASCII so far, in bytes, is UTF-8 whatever follows. */
const undecidedMax = 1_048_576

/** As much of a file as tells UTF-16, and of a character as tells UTF-8. */
const tellingBytes = 4

/**
 * Turns the bytes of a file into text, piece by piece; a byte order mark is left out, and what the encoding does not
 * allow becomes U+FFFD.
 *
 * Where the client does not say the encoding, the file does, however its bytes are cut: by a byte order mark, by the
 * zeros that UTF-16 has beside ASCII, or by its first character beyond ASCII, which is UTF-8 or makes it Windows-1252.
 */
export class Decoder {
  #encoding: Encoding | undefined
  #decoder: InstanceType<typeof TextDecoder> | undefined
  #held: Buffer = Buffer.alloc(0)
  #ascii = 0

  constructor(encoding?: Encoding) {
    if (encoding !== undefined) this.#decide(encoding)
  }

  /** What it reads; UTF-8 while every character was ASCII. */
  get encoding(): Encoding {
    return this.#encoding ?? 'utf-8'
  }

  decode(bytes: Uint8Array, last: boolean): string {
    if (this.#decoder !== undefined) return this.#decoder.decode(bytes, { stream: !last })
    const all = Buffer.concat([this.#held, bytes])
    if (this.#ascii === 0) {
      if (all.length < tellingBytes && !last) return this.#hold(all)
      const told = startOf(all)
      if (told !== undefined) return this.#decide(told).decode(all, { stream: !last })
    }
    const end = endOfAscii(all)
    const text = all.toString('latin1', 0, end)
    const rest = all.subarray(end)
    const beyond = this.#ascii + end >= undecidedMax
    if (rest.length === 0 && !beyond) {
      this.#ascii += end
      return text + this.#hold(rest)
    }
    const size = sizeOf(rest[0] ?? 0)
    if (!beyond && rest.length < size && !last) {
      this.#ascii += end
      return text + this.#hold(rest)
    }
    const isValid = beyond || (size > 0 && isUtf8(rest.subarray(0, size)))
    return text + this.#decide(isValid ? 'utf-8' : 'latin1', end > 0 || this.#ascii > 0).decode(rest, { stream: !last })
  }

  #hold(bytes: Buffer): string {
    this.#held = bytes
    return ''
  }

  /** @param midway what looks like a byte order mark is a character there */
  #decide(encoding: Encoding, midway = false) {
    this.#encoding = encoding
    this.#decoder = new TextDecoder(labels[encoding], { ignoreBOM: midway })
    return this.#decoder
  }
}

/** The encoding that the first bytes of a file tell by themselves. */
function startOf([a, b, c, d]: Uint8Array): Encoding | undefined {
  if (a === 0xff && b === 0xfe) return 'utf-16le'
  if (a === 0xfe && b === 0xff) return 'utf-16be'
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8'
  if (a && b === 0 && c && d === 0) return 'utf-16le'
  return a === 0 && b && c === 0 && d ? 'utf-16be' : undefined
}

function endOfAscii(bytes: Uint8Array): number {
  let at = 0
  while (at < bytes.length && (bytes[at] as number) < 0x80) at++
  return at
}

/** How many bytes the character has in UTF-8 that begins with this one; 0 where none does. */
const sizeOf = (first: number) => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0)

/** Text as Postgres can store it, without NUL and lone surrogates, and no longer than `lengthMax` characters. */
export const printable = (text: string, lengthMax = Number.POSITIVE_INFINITY): string =>
  text.slice(0, lengthMax).replaceAll('\u0000', '\uFFFD').toWellFormed()
