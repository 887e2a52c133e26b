import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HTTPMethods } from 'fastify'
import { describe, expect, test } from 'vitest'
import { variables } from '../../src/config.ts'
import { appWithoutDatabase } from '../helpers/contract.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const text = read('docs/security.md')

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

/** What docs/migrating.md says is ours: the code of each second column, and the first line of its table. */
const ours = read('docs/migrating.md')
  .split('\n\n')
  .filter((block) => block.startsWith('| '))
  .flatMap((table) => {
    const [head = '', , ...rows] = table.trimEnd().split('\n')
    return rows.flatMap((row) =>
      Array.from(row.split(' | ')[1]?.matchAll(/`([^`]+)`/g) ?? [], ([, code]) => ({ head, code: code as string })),
    )
  })

/** What the pattern finds among them, each once. */
const found = (pattern: RegExp) =>
  [...new Set(ours.map(({ code }) => code))].map((code) => pattern.exec(code)).filter((match) => match !== null)

/** Where several paths begin that are not named one by one. */
const areas = ['/platform', '/auth']

describe('what docs/migrating.md leads to', () => {
  test('are paths that there are', async () => {
    const app = await appWithoutDatabase({ NODE_ENV: 'development' })
    await app.ready()
    const paths = found(/^(?:([A-Z]+(?:, [A-Z]+)*) )?(\/[^ ?]*)$/)
    expect(paths.length).toBeGreaterThan(60)
    const has = (method: string, path: string) =>
      [path, `/api/v1${path}`].some((url) =>
        app.hasRoute({ method: method as HTTPMethods, url: url.replace(/\{(\w+)\}/g, ':$1') }),
      )
    for (const [code, methods, path] of paths)
      for (const method of methods?.split(', ') ?? ['GET'])
        expect(has(method, path as string) || areas.includes(code), code).toBe(true)
    await app.close()
  })

  test('are variables that the service reads', () => {
    const names = found(/^([A-Z]+(?:_[A-Z]+)+|HOST|PORT)(?:=.*)?$/).map(([, name]) => name)
    expect(names.length).toBeGreaterThan(25)
    expect(variables).toEqual(expect.arrayContaining(names))
  })

  test('are fields of the models that their table names', () => {
    const { schemas } = JSON.parse(read('openapi.json')).components
    const fields = ours.filter(({ head }) => head.includes(' here, in `'))
    expect(fields.length).toBeGreaterThan(40)
    for (const { head, code } of fields) {
      const models = Array.from(head.matchAll(/`(\w+)`/g), ([, name]) => name as string)
      if (/^[a-z_]+$/.test(code))
        expect(models.flatMap((name) => Object.keys(schemas[name].properties))).toContain(code)
    }
  })

  test('are commands that there are', () => {
    const { scripts } = JSON.parse(read('package.json'))
    const commands = found(/^npm run ([\w:]+)/).map(([, name]) => name)
    expect(commands.length).toBeGreaterThan(8)
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(commands))
  })
})
