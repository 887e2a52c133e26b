import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cruise, type ICruiseResult } from 'dependency-cruiser'

/** The layers, lowest first: a file imports from its own layer and from those below it. */
const layers = [
  '^src/lib/',
  '^src/config\\.ts$',
  '^src/db/',
  '^src/plugins/',
  '^src/domains/',
  '^src/(access|app)\\.ts$',
  '^src/service\\.ts$',
  '^src/serve\\.ts$',
  '^src/(server\\.ts$|cli\\.ts$|cli/)',
]

const error = (name: string, from: object, to: object) => ({ name, severity: 'error' as const, from, to })

/** Types count as imports, too: what only the compiler needs still binds two files together. */
const rules = [
  error('no cycle', {}, { circular: true }),
  error('every import is found', {}, { couldNotResolve: true, path: '^\\.' }),
  ...layers
    .slice(0, -1)
    .map((path, rank) =>
      error('imports go down only', { path }, { path: `${layers.slice(rank + 1).join('|')}|^(tests|bench)/` }),
    ),
  error(
    'domains do not import each other',
    { path: '^src/domains/([^/]+)/' },
    { path: '^src/domains/', pathNot: '^src/domains/$1/' },
  ),
  error(
    'only queries.ts, db and cli speak SQL',
    { path: '^src/', pathNot: '^src/(db/|cli/|domains/.+/queries\\.ts$)' },
    { path: '(^|/)(drizzle-orm|drizzle-kit)(/|$)' },
  ),
  error(
    'what a thread of its own loads, nothing else does',
    { path: '^src/', pathNot: '/render(-thread)?\\.ts$' },
    { path: '/charts/render\\.ts$|-thread\\.ts$|(^|/)(vega|vega-lite)(/|$)', pathNot: '/job-thread\\.ts$' },
  ),
]

/**
 * What breaks the architecture.
 * @param root the folder that holds `src` and `tests`
 * @returns one sentence a fault, and how much was looked at
 */
export async function architectureFaults(root: string) {
  const files = globSync('src/**/*.ts', { cwd: root })
  const options = {
    baseDir: root,
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    validate: true,
    ruleSet: { forbidden: rules },
  }
  const { modules, summary } = (await cruise(['src'], options, { extensions: ['.ts'] })).output as ICruiseResult
  const own = modules.filter(({ source }) => source.startsWith('src/'))
  const edges = own.flatMap(({ dependencies }) => dependencies.filter(({ resolved }) => resolved.startsWith('src/')))
  const unread = files.filter((file) => !own.some(({ source }) => source === file))
  const faults = [
    ...summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`),
    ...files
      .filter((file) => !layers.some((layer) => new RegExp(layer).test(file)))
      .map((file) => `every file is in a layer: ${file} is in none`),
    ...unread.map((file) => `every file is read: ${file} was not`),
    ...files
      .filter((file) => file !== 'src/config.ts' && readFileSync(join(root, file), 'utf8').includes('process.env'))
      .map((file) => `only config.ts reads the environment: ${file}`),
    ...files
      .filter((file) => /^src\/domains\/.+\/routes\.ts$/.test(file))
      .map((file) => dirname(file).replace('src', 'tests'))
      .filter((folder) => globSync('*.test.ts', { cwd: join(root, folder) }).length === 0)
      .map((folder) => `tests mirror src: ${folder} has no test`),
  ]
  if (edges.length === 0) faults.push('imports are seen: none was')
  return { faults, modules: own.length, edges: edges.length }
}

if (import.meta.main) {
  const { faults, modules, edges } = await architectureFaults(join(import.meta.dirname, '../..'))
  for (const fault of faults) console.error(fault)
  console.log(`${modules} modules, ${edges} imports among them, ${faults.length} faults`)
  if (faults.length > 0) process.exitCode = 1
}
