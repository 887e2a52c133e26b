import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'docs/security.md'), 'utf8')

/** `file.test.ts` “name” “name” … → [file, name] */
const cited = Array.from(text.matchAll(/`([\w/-]+\.test\.ts)`((?: “[^”]+”)+)/g)).flatMap(([, file, names]) =>
  Array.from((names as string).matchAll(/“([^”]+)”/g), ([, name]) => [file as string, name as string]),
)

describe('docs/security.md', () => {
  test('proves every promise', () => {
    const promises = text.slice(0, text.indexOf('\n## Threats')).match(/^\| (?!what is promised|---).*$/gm) ?? []
    expect(promises.length).toBeGreaterThan(20)
    for (const promise of promises) expect(promise).toMatch(/`[\w/-]+\.test\.ts` “[^”]+”.* \|$/)
  })

  test.each(cited)('cites %s, which has the test “%s”', (file, name) => {
    const path = join(root, 'tests', file)
    expect(existsSync(path) && readFileSync(path, 'utf8').replaceAll("\\'", "'")).toContain(name)
  })
})
