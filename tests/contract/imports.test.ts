import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect } from 'vitest'
import { test as base } from '../helpers/scratch.ts'
import { architectureFaults } from './imports.ts'

/** Makes a little project: path → content. */
const test = base.extend<{ faultsOf: (files: Record<string, string>) => Promise<string[]> }>({
  faultsOf: async ({ folder }, use) =>
    use(async (files) => {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true })
        await writeFile(join(folder, path), text)
      }
      return (await architectureFaults(folder)).faults
    }),
})

const leaf = 'export type T = string\n'
const using = (...paths: string[]) => paths.map((path) => `import '${path}'\n`).join('')

describe('the architecture gate', () => {
  test('is content with imports that go down', async ({ faultsOf }) => {
    const faults = await faultsOf({
      'src/lib/text.ts': leaf,
      'src/config.ts': `${using('./lib/text.ts')}process.env`,
      'src/db/client.ts': using('drizzle-orm', '../config.ts', '../lib/text.ts'),
      'src/domains/credit/loans/queries.ts': using('drizzle-orm/pg-core', '../../../db/client.ts'),
      'src/domains/credit/loans/routes.ts': using('./queries.ts'),
      'src/cli/db.ts': using('../config.ts'),
      'tests/domains/credit/loans/loans.test.ts': leaf,
    })
    expect(faults).toEqual([])
  })

  test('refuses a cycle, even one of types', async ({ faultsOf }) => {
    const type = (from: string) => `import type { T } from './${from}.ts'\nexport type { T }\n`
    const faults = await faultsOf({ 'src/lib/a.ts': type('b'), 'src/lib/b.ts': type('a') })
    expect(faults).toContain('no cycle: src/lib/a.ts → src/lib/b.ts')
  })

  test('refuses an import that goes up, or out to the tests', async ({ faultsOf }) => {
    const faults = await faultsOf({
      'src/lib/text.ts': using('../config.ts', '../../tests/helpers/api.ts'),
      'src/config.ts': leaf,
      'src/plugins/auth.ts': using('../domains/credit/queries.ts'),
      'src/domains/credit/queries.ts': leaf,
      'src/serve.ts': using('./server.ts'),
      'src/server.ts': leaf,
      'tests/helpers/api.ts': leaf,
    })
    expect(faults.sort()).toEqual([
      'imports go down only: src/lib/text.ts → src/config.ts',
      'imports go down only: src/lib/text.ts → tests/helpers/api.ts',
      'imports go down only: src/plugins/auth.ts → src/domains/credit/queries.ts',
      'imports go down only: src/serve.ts → src/server.ts',
    ])
  })

  test('refuses what would bring Vega, or the inside of a thread, into the main one', async ({ faultsOf }) => {
    const faults = await faultsOf({
      'src/lib/job-thread.ts': leaf,
      'src/lib/hash-thread.ts': using('./job-thread.ts'),
      'src/lib/hashing.ts': using('./job-thread.ts', './hash-thread.ts'),
      'src/domains/credit/charts/render.ts': using('vega'),
      'src/domains/credit/charts/render-thread.ts': using('./render.ts', '../../../lib/job-thread.ts'),
      'src/domains/credit/charts/drawing.ts': using('./render.ts', 'vega-lite'),
    })
    const rule = 'what a thread of its own loads, nothing else does'
    expect(faults.filter((fault) => fault.startsWith(rule)).sort()).toEqual([
      `${rule}: src/domains/credit/charts/drawing.ts → src/domains/credit/charts/render.ts`,
      `${rule}: src/domains/credit/charts/drawing.ts → vega-lite`,
      `${rule}: src/lib/hashing.ts → src/lib/hash-thread.ts`,
    ])
  })

  test('refuses a domain that imports another', async ({ faultsOf }) => {
    const faults = await faultsOf({
      'src/domains/credit/loans/queries.ts': using('../portfolios/queries.ts', '../../files/queries.ts'),
      'src/domains/credit/portfolios/queries.ts': leaf,
      'src/domains/files/queries.ts': leaf,
    })
    expect(faults).toEqual([
      'domains do not import each other: src/domains/credit/loans/queries.ts → src/domains/files/queries.ts',
    ])
  })

  test('refuses SQL outside queries.ts and db, and the environment outside config.ts', async ({ faultsOf }) => {
    const faults = await faultsOf({
      'src/domains/credit/loans/rules.ts': using('drizzle-orm', '../../../lib/text.ts'),
      'src/lib/text.ts': 'export const home = process.env.HOME\n',
    })
    expect(faults).toEqual([
      'only queries.ts, db and cli speak SQL: src/domains/credit/loans/rules.ts → drizzle-orm',
      'only config.ts reads the environment: src/lib/text.ts',
    ])
  })

  test('refuses a file that belongs to no layer, an import of nothing, and a resource without a test', async ({
    faultsOf,
  }) => {
    const faults = await faultsOf({
      'src/app.ts': using('./services/mail.ts', './lib/gone.ts', './domains/credit/loans/routes.ts'),
      'src/services/mail.ts': leaf,
      'src/domains/credit/loans/routes.ts': leaf,
    })
    expect(faults.sort()).toEqual([
      'every file is in a layer: src/services/mail.ts is in none',
      'every import is found: src/app.ts → ./lib/gone.ts',
      'tests mirror src: tests/domains/credit/loans has no test',
    ])
  })

  test('refuses to say yes where it saw nothing', async ({ faultsOf }) => {
    expect(await faultsOf({ 'src/app.ts': leaf })).toEqual(['imports are seen: none was'])
  })
})
