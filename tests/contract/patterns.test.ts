import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { meaningOf } from '../../src/lib/schema.ts'
import { strictAjv } from '../../src/lib/validator.ts'
import { readContract } from '../helpers/contract.ts'

const root = join(import.meta.dirname, '../..')
const withinMs = 50

const document = JSON.stringify((await readContract()).document)

/** Every value the document has under a key. */
const valuesOf = (key: string): string[] => {
  const found = new Set<string>()
  JSON.parse(document, (name, value) => {
    if (name === key && typeof value === 'string') found.add(value)
    if (key === 'pattern' && name === 'patternProperties') for (const pattern of Object.keys(value)) found.add(pattern)
    return value
  })
  return [...found].sort()
}

/** Short texts first, growing slowly, so that an exponential pattern is found out before it hangs. */
const lengths = [
  ...Array.from({ length: 20 }, (_, step) => 20 + 2 * step),
  ...Array.from({ length: 9 }, (_, doubling) => 100 * 2 ** doubling),
  50_000,
]

/** What a pattern may repeat, and an end that does not fit: where backtracking is worst. */
function* adversariesOf(pattern: string): Generator<(length: number) => string> {
  const words = pattern.match(/[A-Za-z0-9]{2,}/g) ?? []
  const characters = [...'aAz09-_., \t\n/\'"=:Té\u00a0', '😀', '\\']
  const pairs = ['a ', ' a', '0.', '-0', 'a,', '""', '"a', '\r\n', 'aA0', '0000-', '00:', '-a', 'a.']
  for (const piece of new Set([...characters, ...pairs, ...words.flatMap((word) => [word, `${word},`])]))
    for (const end of ['', '!', '\u0000', '\n']) yield (length) => piece.repeat(length / piece.length) + end
}

/** The slowest run in milliseconds; a slow one gets two more chances, for the machine may be busy. */
function slowestMs(pattern: string, run: (text: string) => unknown): number {
  const timed = (text: string) => {
    const start = performance.now()
    run(text)
    return performance.now() - start
  }
  let slowestMs = 0
  for (const adversary of adversariesOf(pattern))
    for (const text of lengths.map(adversary)) {
      let ms = timed(text)
      for (let again = 0; ms > withinMs && again < 2; again++) ms = Math.min(ms, timed(text))
      slowestMs = Math.max(slowestMs, ms)
      if (ms > withinMs) return ms
    }
  return slowestMs
}

/** The regular expressions written in our source. */
function expressionsOf(file: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.RegularExpressionLiteral) found.push(node.getText(source))
    ts.forEachChild(node, visit)
  }
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
  visit(source)
  return found
}

test('a text that a pattern refuses is told in words, not by the pattern', () => {
  expect(valuesOf('pattern').filter((pattern) => meaningOf(pattern) === undefined)).toEqual([])
})

describe(`50 KB of text take no longer than ${withinMs} ms`, () => {
  test.each(valuesOf('pattern'))('for the pattern %s', (pattern) => {
    const validate = strictAjv().compile({ type: 'string', pattern })
    expect(slowestMs(pattern, validate)).toBeLessThan(withinMs)
  })

  test.each(valuesOf('format').filter((format) => format !== 'binary'))('for the format %s', (format) => {
    const validate = strictAjv().compile({ type: 'string', format })
    expect(slowestMs(format, validate)).toBeLessThan(withinMs)
  })

  // The configuration and the commands read what the operator wrote; all else may read what a stranger wrote.
  const files = globSync('src/**/*.ts', { cwd: root, exclude: ['src/config.ts', 'src/cli/**'] })
  const expressions = files.flatMap((file) => expressionsOf(join(root, file)).map((text) => [text, file] as const))

  test.each(expressions)('for %s in %s', (text) => {
    const [, body = '', flags = ''] = /^\/(.*)\/([a-z]*)$/s.exec(text) ?? []
    const expression = new RegExp(body, flags)
    expect(slowestMs(body, (adversary) => adversary.replace(expression, ''))).toBeLessThan(withinMs)
  })
})
