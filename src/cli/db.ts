import { readFile, writeFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { startEmbedded } from '../db/embedded.ts'
import {
  assertSupported,
  type MigrateOptions,
  MigrationError,
  type MigrationState,
  migrate,
  migrationStates,
  newestApplied,
  rollback,
  serverVersion,
} from '../db/migrate.ts'
import { ConfigError } from '../lib/config-values.ts'
import { generate } from './generate.ts'
import { schemaDocs, schemaDocsPath } from './schema-docs.ts'

const say = (message: string) => console.log(message)

/** Adds `db generate|apply|auto|current|list|check|rollback|docs`. */
export function addDbCommands(program: Command): void {
  const db = program.command('db').description('migrations and the description of the schema')
  const drop = () => new Option('--drop', 'what looks like a rename is a drop and an add: the old data goes')

  db.command('generate')
    .description('write the migration from the newest snapshot to the tables of src/db/tables, and its way back')
    .argument('<name...>', 'what it does, such as: add user preferences')
    .addOption(drop())
    .addOption(new Option('--custom', 'write empty files, to be filled by hand').conflicts('drop'))
    .action(async (name: string[], options: { drop?: boolean; custom?: boolean }) => {
      await writeMigration(name, options)
    })

  db.command('apply')
    .description('apply the pending migrations')
    .action(() => onDatabase(apply))

  db.command('auto')
    .description('generate, then apply')
    .argument('<name...>', 'what it does, such as: add user preferences')
    .addOption(drop())
    .action(async (name: string[], options: { drop?: boolean }) => {
      await writeMigration(name, options)
      await onDatabase(apply)
    })

  db.command('current')
    .description('the migration applied last')
    .action(() =>
      onDatabase(async ({ url }) => say(newestApplied(await migrationStates(url)) ?? 'No migration applied.')),
    )

  db.command('list')
    .description('every migration, its state and when it was applied')
    .action(() => onDatabase(async ({ url }) => say(table(await migrationStates(url)))))

  db.command('check')
    .description('connect and compare: exit code 1 when not up to date, 2 when it cannot be checked')
    .action(check)

  db.command('rollback')
    .description('undo the migration applied last, by its down file')
    .option('--yes', 'in production too')
    .action(async (options: { yes?: boolean }) => {
      const config = loadConfig()
      if (config.production && !options.yes)
        throw new Error(`This is ${config.environment}: a rollback may lose data. Say --yes if you mean it.`)
      await onDatabase(async ({ url, ...rest }) => {
        if ((await rollback(url, rest)) === undefined) say('No migration applied.')
      }, config)
    })

  db.command('docs')
    .description('write docs/schema.md')
    .option('--check', 'write nothing; exit code 1 when it is stale')
    .action(async (options: { check?: boolean }) => {
      const docs = await schemaDocs()
      if (!options.check) return writeFile(schemaDocsPath, docs)
      if ((await readFile(schemaDocsPath, 'utf8').catch(() => '')) === docs) return
      console.error('docs/schema.md is stale: run npm run db -- docs.')
      process.exitCode = 1
    })
}

async function writeMigration(name: string[], options: { drop?: boolean; custom?: boolean }) {
  const tag = await generate(name.join(' '), options)
  if (tag === undefined) return say('No changes: the newest migration and the tables agree.')
  await writeFile(schemaDocsPath, await schemaDocs())
  say(
    `Wrote drizzle/${tag}.sql and drizzle/${tag}.down.sql. Read them, and commit them with drizzle/meta and docs/schema.md.`,
  )
}

export type Target = MigrateOptions & { url: string }

async function apply({ url, ...options }: Target) {
  if ((await migrate(url, options)).length === 0) say('Nothing to apply.')
}

async function check() {
  try {
    await onDatabase(async ({ url }) => {
      const version = await serverVersion(url)
      say(`Postgres ${version}`)
      assertSupported(version)
      const wrong = (await migrationStates(url)).filter(({ state }) => state !== 'applied')
      say(wrong.length > 0 ? table(wrong) : 'Up to date.')
      if (wrong.length > 0) process.exitCode = 1
    })
  } catch (error) {
    if (error instanceof MigrationError || error instanceof ConfigError) throw error
    const { message, code } = error as NodeJS.ErrnoException
    console.error(`The database cannot be checked: ${message || code}`)
    process.exitCode = 2
  }
}

/** Runs on MIGRATION_DATABASE_URL, else DATABASE_URL, else the embedded Postgres, which it starts if it must. */
export async function onDatabase(work: (target: Target) => Promise<void>, config: Config = loadConfig()) {
  const { url, migrationUrl } = config.database
  if (url !== undefined || migrationUrl !== undefined) {
    const serviceRole = url && decodeURIComponent(new URL(url).username)
    return work({ url: (migrationUrl ?? url) as string, log: say, ...(serviceRole ? { serviceRole } : {}) })
  }
  const embedded = await startEmbedded({ dataDir: config.dataDir, log: say })
  try {
    await work({ url: embedded.ownerUrl, log: say, serviceRole: decodeURIComponent(new URL(embedded.url).username) })
  } finally {
    await embedded.stop()
  }
}

function table(states: MigrationState[]): string {
  const width = Math.max(0, ...states.map(({ tag }) => tag.length))
  const line = ({ tag, state, applied_at }: MigrationState) =>
    `${tag.padEnd(width)}  ${state.padEnd(8)} ${applied_at ?? ''}`.trimEnd()
  return states.map(line).join('\n')
}
