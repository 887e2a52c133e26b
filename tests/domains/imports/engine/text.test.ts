import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Decoder } from '../../../../src/domains/imports/engine/text.ts'

/** Decodes bytes that come in pieces of so many. */
function decode(bytes: Uint8Array, size = bytes.length + 1, decoder = new Decoder()) {
  let text = ''
  for (let at = 0; at < bytes.length; at += size) text += decoder.decode(bytes.subarray(at, at + size), false)
  text += decoder.decode(new Uint8Array(), true)
  return { text, encoding: decoder.encoding }
}

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16()

describe('the encoding of a file', () => {
  const text = 'name;ort\nMüller;Köln €\n'
  const cases: [string, Buffer, string, string][] = [
    ['ASCII', Buffer.from('a;b\n'), 'utf-8', 'a;b\n'],
    ['nothing', Buffer.from(''), 'utf-8', ''],
    ['one letter', Buffer.from('a'), 'utf-8', 'a'],
    ['UTF-8', Buffer.from(text), 'utf-8', text],
    ['UTF-8 with a mark', Buffer.from(`\uFEFF${text}`), 'utf-8', text],
    ['UTF-16LE with a mark', Buffer.from(`\uFEFF${text}`, 'utf16le'), 'utf-16le', text],
    ['UTF-16LE without', Buffer.from(text, 'utf16le'), 'utf-16le', text],
    ['UTF-16BE with a mark', utf16be(`\uFEFF${text}`), 'utf-16be', text],
    ['UTF-16BE without', utf16be(text), 'utf-16be', text],
    ['Latin-1', Buffer.from('Müller\nß', 'latin1'), 'latin1', 'Müller\nß'],
    ['Windows-1252', Buffer.from([0x35, 0x20, 0x80, 0x2c, 0x93, 0x61, 0x94]), 'latin1', '5 €,“a”'],
    ['Latin-1 whose last byte begins a character of UTF-8', Buffer.from('ABCDé', 'latin1'), 'latin1', 'ABCDé'],
    ['UTF-8 with a mark in the middle, which is a character', Buffer.from('ABCD\uFEFFé'), 'utf-8', 'ABCD\uFEFFé'],
  ]
  for (const [title, bytes, encoding, expected] of cases)
    test(`is found for ${title}, however its bytes are cut`, () => {
      for (const size of [1, 2, 3, 5, 1_000]) expect(decode(bytes, size)).toEqual({ text: expected, encoding })
    })

  test('is settled by the first character beyond ASCII: a later byte that does not fit becomes U+FFFD', () => {
    const bytes = Buffer.concat([Buffer.from('Müller,'), Buffer.from('Müller', 'latin1')])
    for (const size of [1, 1_000])
      expect(decode(bytes, size)).toEqual({ text: 'Müller,M\uFFFDller', encoding: 'utf-8' })
  })

  test('is UTF-8 after a megabyte of ASCII, whatever follows', () => {
    const bytes = Buffer.concat([Buffer.alloc(1_048_576, 'a'), Buffer.from('é', 'latin1')])
    const { text, encoding } = decode(bytes, 65_536)
    expect([encoding, text.length, text.at(-1)]).toEqual(['utf-8', 1_048_577, '\uFFFD'])
  })

  test('is what the client says, whatever the bytes look like', () => {
    expect(decode(Buffer.from('é'), 1, new Decoder('latin1'))).toEqual({ text: 'Ã©', encoding: 'latin1' })
    expect(decode(utf16be('aé'), 1, new Decoder('utf-16be'))).toEqual({ text: 'aé', encoding: 'utf-16be' })
  })

  test('never changes a text in UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 5 }), fc.integer({ min: 1, max: 7 }), (some, size) => {
        const given = `name${some}`
        expect(decode(Buffer.from(given), size).text).toBe(given)
      }),
    )
  })
})
