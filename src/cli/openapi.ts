import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'

const path = join(import.meta.dirname, '../../openapi.json')

/** The committed document: it needs no database, only the routes. */
async function openapiText(): Promise<string> {
  const { buildApp } = await import('../app.ts')
  const config = loadConfig({ NODE_ENV: 'test' }, { LOG_LEVEL: 'silent' })
  const app = await buildApp(config, 'postgres://nobody@127.0.0.1:1/none')
  await app.ready()
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`
  await app.close()
  return text
}

export function addOpenapiCommand(program: Command): void {
  program
    .command('openapi')
    .description('write openapi.json from the routes')
    .option('--check', 'only tell whether the committed document is the current one')
    .action(async ({ check }: { check?: boolean }) => {
      const text = await openapiText()
      if (!check) return writeFile(path, text)
      const committed = await readFile(path, 'utf8').catch(() => '')
      if (committed !== text) throw new Error('openapi.json is not what the routes say; run: npm run tenon -- openapi')
    })
}
