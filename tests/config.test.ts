import { readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, test as base, beforeAll, describe, expect } from 'vitest'
import { loadConfig, secretNames, variables } from '../src/config.ts'
import { ConfigError } from '../src/lib/config-values.ts'

const strong = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'
const production = { NODE_ENV: 'production', JWT_SECRET: strong, ENCRYPTION_KEY: `${strong}+` }

/** What the configuration is refused with. */
function refusal(source: Record<string, string>): string {
  try {
    loadConfig({ NODE_ENV: 'test', JWT_SECRET: strong, ENCRYPTION_KEY: strong, ...source })
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error('The configuration should have been refused.')
}

const load = (source: Record<string, string>) =>
  loadConfig({ NODE_ENV: 'test', JWT_SECRET: strong, ENCRYPTION_KEY: strong, ...source })

const test = base.extend<{ folder: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenon-config-'))
    await use(folder)
    await rm(folder, { recursive: true })
  },
})

// Outside tests a .env of the working directory fills what the environment leaves out.
const home = process.cwd()
beforeAll(() => process.chdir(tmpdir()))
afterAll(() => process.chdir(home))

test('a time limit that no timer can keep is refused', () => {
  for (const name of ['IMPORT_IDLE_TIMEOUT_S', 'IMPORT_DEADLINE_S', 'DB_MAX_LIFETIME_S'])
    expect(refusal({ [name]: '2147484' })).toContain(name)
})

describe('secrets', () => {
  const placeholders = [
    'change-me-change-me-change-me-change-me',
    'your-secret-key-goes-here-and-is-long-enough',
    'please-replace-this-example-secret-0001',
    'a'.repeat(64),
    'abcabcabcabcabcabcabcabcabcabcabcabc',
    'MyVerySecurePassword-MyVerySecurePassword',
  ]

  for (const NODE_ENV of ['production', 'staging'])
    for (const name of ['JWT_SECRET', 'ENCRYPTION_KEY']) {
      test(`${NODE_ENV} refuses a missing, short or placeholder ${name} with a sentence that names it`, () => {
        const { [name]: _, ...without } = { ...production, NODE_ENV } as Record<string, string>
        const refused = (value: string) => {
          try {
            loadConfig({ ...without, [name]: value })
          } catch (error) {
            return (error as Error).message
          }
          return 'nothing'
        }
        expect(refused('')).toMatch(new RegExp(`^${name} is missing\\. Set ${name} \\(or ${name}_FILE\\)`))
        expect(refused('x'.repeat(31))).toMatch(new RegExp(`^${name} is too short \\(31 characters\\)`))
        for (const value of placeholders) expect(refused(value)).toMatch(new RegExp(`^${name} is a placeholder`))
      })
    }

  test('production refuses a weak previous secret and a weak metrics token too, and names everything at once', () => {
    const weak = { JWT_SECRET: 'x', JWT_SECRET_PREVIOUS: 'y', ENCRYPTION_KEY_PREVIOUS: 'y', METRICS_TOKEN: 'z' }
    const message = refusal({ NODE_ENV: 'production', ...weak })
    expect(message.split('\n').map((line) => line.split(' ')[0])).toEqual([
      'JWT_SECRET',
      'JWT_SECRET_PREVIOUS',
      'ENCRYPTION_KEY_PREVIOUS',
      'METRICS_TOKEN',
    ])
  })

  test('production takes strong secrets, and requires verified addresses unless told otherwise', () => {
    const config = loadConfig(production)
    expect(config.auth).toMatchObject({
      jwtSecrets: [strong],
      encryptionKeys: [`${strong}+`],
      requireVerifiedEmail: true,
      firstSuperuserPassword: undefined,
    })
    expect(loadConfig({ ...production, REQUIRE_VERIFIED_EMAIL: 'false' }).auth.requireVerifiedEmail).toBe(false)
    expect(load({}).auth.requireVerifiedEmail).toBe(false)
  })

  test('a refusal never tells the value it refuses', () => {
    expect(refusal({ ...production, JWT_SECRET: 'hunter2' })).not.toContain('hunter2')
    expect(refusal({ DATABASE_URL: 'mysql://me:hunter2@host/db' })).not.toContain('hunter2')
    expect(refusal({ FIRST_SUPERUSER_PASSWORD: 'hunter2' })).not.toContain('hunter2')
  })

  test('a secret can be given as a file, and its surrounding space does not count', async ({ folder }) => {
    const path = join(folder, 'secret')
    await writeFile(path, `${strong}\n`)
    const { JWT_SECRET: _, ...rest } = production
    expect(loadConfig({ ...rest, JWT_SECRET_FILE: path }).auth.jwtSecrets).toEqual([strong])
    await writeFile(path, 'postgres://me@host/db\n')
    expect(load({ DATABASE_URL_FILE: path }).database.url).toBe('postgres://me@host/db')
  })

  test('a secret given both ways, or as a file that is not there, is refused by name', async ({ folder }) => {
    const path = join(folder, 'absent')
    expect(refusal({ JWT_SECRET: strong, JWT_SECRET_FILE: path })).toBe(
      'Set either JWT_SECRET or JWT_SECRET_FILE, not both.',
    )
    expect(refusal({ METRICS_TOKEN_FILE: path })).toMatch(/^METRICS_TOKEN_FILE cannot be read: ENOENT/)
  })

  test('development makes its own secrets, readable by their owner only, and keeps them', async ({ folder }) => {
    const source = { NODE_ENV: 'test', DATA_DIR: join(folder, 'data') }
    const first = loadConfig(source).auth
    expect(first.jwtSecrets[0].length).toBeGreaterThanOrEqual(32)
    expect(first.encryptionKeys).not.toEqual(first.jwtSecrets)
    expect(loadConfig(source).auth).toEqual(first)
    expect(statSync(join(folder, 'data/secrets.json')).mode & 0o777).toBe(0o600)
    expect(loadConfig({ ...source, JWT_SECRET: strong }).auth).toMatchObject({
      jwtSecrets: [strong],
      encryptionKeys: first.encryptionKeys,
    })
  })
})

describe('values', () => {
  test('an unknown domain is refused with those that are known', () => {
    expect(refusal({ DOMAINS: 'credit,laser' })).toBe(
      'DOMAINS names an unknown domain "laser"; known are: imports, credit.',
    )
    expect([...load({ DOMAINS: ' credit ' }).domains]).toEqual(['credit'])
    expect([...load({ DOMAINS: 'all' }).domains]).toEqual(['imports', 'credit'])
  })

  test('a port that is none is refused by name', () => {
    for (const PORT of ['http', '-1', '65536', '80.5', '1e99']) expect(refusal({ PORT }), PORT).toMatch(/^PORT must be/)
    expect(load({ PORT: '0' }).port).toBe(0)
    expect(load({ PORT: '' }).port).toBe(8000)
  })

  test('durations are given in seconds, minutes, hours or days', () => {
    const seconds = { '90': 90, '90s': 90, '15m': 900, '12h': 43_200, '7d': 604_800 }
    for (const [text, value] of Object.entries(seconds))
      expect(load({ ACCESS_TOKEN_TTL: text }).auth.accessTokenTtlS).toBe(value)
    for (const text of ['0', '-5m', '1.5h', '15 m', '2w', 'm', '9999999999s'])
      expect(refusal({ ACCESS_TOKEN_TTL: text }), text).toMatch(/^ACCESS_TOKEN_TTL must match/)
  })

  test('a choice outside its list is refused with the list', () => {
    expect(refusal({ NODE_ENV: 'prod' })).toContain('development, test, staging, production')
    expect(refusal({ CSP_MODE: 'none' })).toMatch(/^CSP_MODE .*strict, relaxed, disabled/)
    expect(refusal({ REGISTRATION: 'yes' })).toMatch(/^REGISTRATION .*open, invite, closed/)
    expect(refusal({ REQUIRE_VERIFIED_EMAIL: 'maybe' })).toMatch(/^REQUIRE_VERIFIED_EMAIL must be boolean/)
  })

  test('a proxy that is no address is refused by name', () => {
    expect(refusal({ TRUSTED_PROXIES: '10.0.0.0/8,proxy' })).toMatch(/^TRUSTED_PROXIES .*"proxy"/)
    expect(load({ TRUSTED_PROXIES: '10.0.0.0/8, loopback,::1' }).http.trustedProxies).toEqual([
      '10.0.0.0/8',
      'loopback',
      '::1',
    ])
  })

  test('a host that may be called is a name, an address or a network', () => {
    const allow = ['hooks.internal', 'localhost', '10.0.0.0/8', '127.0.0.1', 'fd00::/8', '::1']
    expect(load({ OUTGOING_ALLOW: allow.join(', ') }).outgoing.allow).toEqual(allow)
    expect(load({}).outgoing.allow).toEqual([])
    for (const host of ['http://hooks.internal', '10.0.0.0/33', '*.internal', '999.1', 'a b'])
      expect(refusal({ OUTGOING_ALLOW: host }), host).toMatch(/^OUTGOING_ALLOW names/)
  })

  test('nothing of the configuration can be changed once it is loaded', () => {
    const config = load({ CORS_ORIGINS: 'https://a.example' })
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(config)).toBe(true)
  })
})

test('.env.example tells of every variable once, and of no other but those of compose.yaml', () => {
  const read = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8')
  const [text, compose] = [read('.env.example'), read('compose.yaml')]
  const told = [...text.matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name as string)
  const ours = told.filter((name) => variables.includes(name) || !compose.includes(`\${${name}`))
  expect(ours.toSorted()).toEqual(variables.toSorted())
  for (const name of secretNames) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
})
