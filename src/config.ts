import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { type Static, Type } from '@sinclair/typebox'
import { envSchema } from 'env-schema'
import { ConfigError, list, outgoingOf, proxiesOf, seconds } from './lib/config-values.ts'
import type { Secrets } from './lib/crypto.ts'
import { StringEnum } from './lib/schema.ts'
import { isWeak, keptSecrets, type SecretName, secretFault } from './lib/secrets.ts'

/** Every domain that `DOMAINS` can leave out; identity, organizations and audit are always there. */
const optionalDomains = ['imports', 'credit'] as const

/** Variables that may also be given as a file, by their name with `_FILE` (Docker and Kubernetes secrets). */
export const secretNames = [
  'DATABASE_URL',
  'MIGRATION_DATABASE_URL',
  'REDIS_URL',
  'SMTP_URL',
  'JWT_SECRET',
  'JWT_SECRET_PREVIOUS',
  'ENCRYPTION_KEY',
  'ENCRYPTION_KEY_PREVIOUS',
  'METRICS_TOKEN',
  'FIRST_SUPERUSER_PASSWORD',
] as const

const Duration = (fallback: string) => Type.String({ default: fallback, pattern: '^[1-9][0-9]{0,8}(s|m|h|d)?$' })
const Count = (fallback: number, minimum = 1, maximum = 1_000_000_000) =>
  Type.Integer({ default: fallback, minimum, maximum })
/** What a timer can wait; one that should wait longer rings at once. */
const secondsMax = 2_000_000
const Url = (...schemes: string[]) => Type.String({ pattern: `^(${schemes.join('|')})://[^\\s]+$` })

const Environment = Type.Object({
  NODE_ENV: StringEnum(['development', 'test', 'staging', 'production'], { default: 'development' }),
  HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  PORT: Type.Integer({ default: 8000, minimum: 0, maximum: 65_535 }),
  PUBLIC_URL: Type.Optional(Url('https?')),
  DATA_DIR: Type.String({ default: '.data', minLength: 1 }),
  LOG_LEVEL: StringEnum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  DOMAINS: Type.String({ default: 'all', minLength: 1 }),
  BACKGROUND_TASKS: StringEnum(['on', 'off'], { default: 'on' }),

  DATABASE_URL: Type.Optional(Url('postgres', 'postgresql')),
  MIGRATION_DATABASE_URL: Type.Optional(Url('postgres', 'postgresql')),
  DB_POOL_MAX: Count(5, 1, 200),
  DB_ACQUIRE_TIMEOUT_MS: Count(2_000),
  DB_MAX_LIFETIME_S: Count(3_600, 1, secondsMax),
  DB_STATEMENT_TIMEOUT_MS: Count(15_000),

  JWT_SECRET: Type.Optional(Type.String()),
  JWT_SECRET_PREVIOUS: Type.Optional(Type.String()),
  ENCRYPTION_KEY: Type.Optional(Type.String()),
  ENCRYPTION_KEY_PREVIOUS: Type.Optional(Type.String()),
  ACCESS_TOKEN_TTL: Duration('15m'),
  REFRESH_TOKEN_TTL: Duration('7d'),
  SESSION_MAX_TTL: Duration('90d'),
  REGISTRATION: StringEnum(['open', 'invite', 'closed'], { default: 'open' }),
  REQUIRE_VERIFIED_EMAIL: Type.Optional(Type.Boolean()),
  PASSWORD_COMPOSITION: StringEnum(['on', 'off'], { default: 'on' }),
  FIRST_SUPERUSER_EMAIL: Type.Optional(Type.String({ pattern: '^[^@\\s]+@[^@\\s]+$' })),
  FIRST_SUPERUSER_PASSWORD: Type.Optional(Type.String({ minLength: 8, maxLength: 128 })),
  DEFAULT_ORGANIZATION: Type.String({ default: 'Default Organization', minLength: 1, maxLength: 200 }),

  CORS_ORIGINS: Type.String({ default: '' }),
  TRUSTED_PROXIES: Type.String({ default: '' }),
  CSP_MODE: StringEnum(['strict', 'relaxed', 'disabled'], { default: 'strict' }),
  RATE_LIMIT_MAX: Count(1_000),
  RATE_LIMIT_AUTH_MAX: Count(30),
  RATE_LIMIT_IMPORT_MAX: Count(60),
  REDIS_URL: Type.Optional(Url('redis', 'rediss')),
  METRICS_TOKEN: Type.Optional(Type.String()),
  OUTGOING_ALLOW: Type.String({ default: '' }),

  IMPORT_CONCURRENCY: Count(2, 1, 50),
  IMPORT_MAX_BYTES: Count(2_147_483_648, 1, 1_099_511_627_776),
  IMPORT_IDLE_TIMEOUT_S: Count(30, 1, secondsMax),
  IMPORT_DEADLINE_S: Count(3_600, 1, secondsMax),

  MAIL_FROM: Type.String({ default: 'Tenon <no-reply@localhost>', minLength: 3 }),
  SMTP_URL: Type.Optional(Url('smtp', 'smtps')),
})

/** Every variable the service reads, but for the `_FILE` forms of secrets. */
export const variables: readonly string[] = Object.keys(Environment.properties)

/** The whole configuration: validated, frozen, and the only thing that knows the environment. */
export type Config = Readonly<ReturnType<typeof build>>

/**
 * Reads, validates and freezes the configuration.
 * @param source the environment; `.env` in the working directory fills what it leaves out
 * @param overrides what a command decides whatever the environment says
 * @param options.readOnly keep no secrets in DATA_DIR where there are none yet
 * @throws ConfigError with one sentence a line, each naming its variable
 */
export function loadConfig(
  source: NodeJS.ProcessEnv = process.env,
  overrides: Record<string, string> = {},
  { readOnly = false } = {},
): Config {
  const env = withSecretFiles({ ...readDotenv(source), ...dropEmpty(source), ...overrides })
  let values: Static<typeof Environment>
  try {
    values = envSchema({ schema: Environment, data: env, env: false })
  } catch (error) {
    throw new ConfigError(describe(error))
  }
  return deepFreeze(build(values, readOnly))
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}

function build(env: Static<typeof Environment>, readOnly: boolean) {
  const production = env.NODE_ENV === 'production' || env.NODE_ENV === 'staging'
  const dataDir = resolve(env.DATA_DIR)
  const secrets = production ? productionSecrets(env) : developmentSecrets(env, dataDir, readOnly)
  const trustedProxies = proxiesOf(env.TRUSTED_PROXIES)
  return {
    environment: env.NODE_ENV,
    production,
    host: env.HOST,
    port: env.PORT,
    publicUrl: (env.PUBLIC_URL ?? `http://${env.HOST.includes(':') ? `[${env.HOST}]` : env.HOST}:${env.PORT}`).replace(
      /\/+$/,
      '',
    ),
    dataDir,
    logLevel: env.LOG_LEVEL,
    domains: domainsOf(env.DOMAINS),
    backgroundTasks: env.BACKGROUND_TASKS === 'on',
    database: {
      url: env.DATABASE_URL,
      migrationUrl: env.MIGRATION_DATABASE_URL,
      poolMax: env.DB_POOL_MAX,
      acquireTimeoutMs: env.DB_ACQUIRE_TIMEOUT_MS,
      maxLifetimeS: env.DB_MAX_LIFETIME_S,
      statementTimeoutMs: env.DB_STATEMENT_TIMEOUT_MS,
    },
    auth: {
      ...secrets,
      accessTokenTtlS: seconds(env.ACCESS_TOKEN_TTL),
      refreshTokenTtlS: seconds(env.REFRESH_TOKEN_TTL),
      sessionMaxTtlS: seconds(env.SESSION_MAX_TTL),
      registration: env.REGISTRATION,
      requireVerifiedEmail: env.REQUIRE_VERIFIED_EMAIL ?? production,
      passwordComposition: env.PASSWORD_COMPOSITION === 'on',
      firstSuperuserEmail: env.FIRST_SUPERUSER_EMAIL,
      firstSuperuserPassword: env.FIRST_SUPERUSER_PASSWORD,
      defaultOrganization: env.DEFAULT_ORGANIZATION,
    },
    http: {
      corsOrigins: list(env.CORS_ORIGINS),
      trustedProxies: trustedProxies.length > 0 ? trustedProxies : false,
      cspMode: env.CSP_MODE,
      rateLimitMax: env.RATE_LIMIT_MAX,
      rateLimitAuthMax: env.RATE_LIMIT_AUTH_MAX,
      rateLimitImportMax: env.RATE_LIMIT_IMPORT_MAX,
      redisUrl: env.REDIS_URL,
      metricsToken: env.METRICS_TOKEN,
    },
    imports: {
      concurrency: env.IMPORT_CONCURRENCY,
      maxBytes: env.IMPORT_MAX_BYTES,
      idleTimeoutS: env.IMPORT_IDLE_TIMEOUT_S,
      deadlineS: env.IMPORT_DEADLINE_S,
    },
    outgoing: { allow: outgoingOf(env.OUTGOING_ALLOW) },
    mail: { from: env.MAIL_FROM, smtpUrl: env.SMTP_URL },
  } as const
}

function readDotenv(source: NodeJS.ProcessEnv): Record<string, string | undefined> {
  return source.NODE_ENV !== 'test' && existsSync('.env') ? dropEmpty(parseEnv(readFileSync('.env', 'utf8'))) : {}
}

/** An empty variable means an unset one: compose files and CI systems cannot say it otherwise. */
function dropEmpty(env: Record<string, string | undefined>) {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
}

function withSecretFiles(env: Record<string, string | undefined>) {
  const read = { ...env }
  for (const name of secretNames) {
    const path = env[`${name}_FILE`]
    if (path === undefined) continue
    if (env[name] !== undefined) throw new ConfigError(`Set either ${name} or ${name}_FILE, not both.`)
    try {
      read[name] = readFileSync(path, 'utf8').trim()
    } catch (error) {
      throw new ConfigError(`${name}_FILE cannot be read: ${(error as Error).message}.`)
    }
  }
  return read
}

function productionSecrets(env: Static<typeof Environment>) {
  const faults = [secretFault('JWT_SECRET', env.JWT_SECRET), secretFault('ENCRYPTION_KEY', env.ENCRYPTION_KEY)]
  for (const name of ['JWT_SECRET_PREVIOUS', 'ENCRYPTION_KEY_PREVIOUS', 'METRICS_TOKEN'] as const)
    if (env[name] !== undefined) faults.push(secretFault(name, env[name]))
  if (env.FIRST_SUPERUSER_PASSWORD !== undefined && isWeak(env.FIRST_SUPERUSER_PASSWORD))
    faults.push(
      'FIRST_SUPERUSER_PASSWORD is a placeholder or easily guessed. Set it to a password of your own, such as the output of: openssl rand -base64 24',
    )
  const found = faults.filter((fault) => fault !== undefined)
  if (found.length > 0) throw new ConfigError(found.join('\n'))
  return {
    jwtSecrets: pair(env.JWT_SECRET as string, env.JWT_SECRET_PREVIOUS),
    encryptionKeys: pair(env.ENCRYPTION_KEY as string, env.ENCRYPTION_KEY_PREVIOUS),
    /** The file that holds each; undefined where the environment gives it. */
    jwtSecretFile: undefined,
    encryptionKeyFile: undefined,
  }
}

/** Development and tests make their own secrets once and keep them, so that a restart logs nobody out. */
function developmentSecrets(env: Static<typeof Environment>, dataDir: string, readOnly: boolean) {
  const path = join(dataDir, 'secrets.json')
  const choose = (name: SecretName, given: string | undefined, previous: string | undefined) => {
    if (given !== undefined) return { secrets: pair(given, previous), file: undefined }
    const kept = keptSecrets(path, readOnly)
    return { secrets: pair(kept[name], kept[`${name}Previous`] ?? previous), file: path }
  }
  const jwt = choose('jwtSecret', env.JWT_SECRET, env.JWT_SECRET_PREVIOUS)
  const encryption = choose('encryptionKey', env.ENCRYPTION_KEY, env.ENCRYPTION_KEY_PREVIOUS)
  return {
    jwtSecrets: jwt.secrets,
    encryptionKeys: encryption.secrets,
    jwtSecretFile: jwt.file,
    encryptionKeyFile: encryption.file,
  }
}

const pair = (present: string, previous: string | undefined): Secrets =>
  previous === undefined || previous === present ? [present] : [present, previous]

function domainsOf(value: string): ReadonlySet<string> {
  const names = value === 'all' ? [...optionalDomains] : list(value)
  for (const name of names)
    if (!(optionalDomains as readonly string[]).includes(name))
      throw new ConfigError(`DOMAINS names an unknown domain "${name}"; known are: ${optionalDomains.join(', ')}.`)
  return new Set(names)
}

type AjvError = { instancePath: string; message?: string; params?: { allowedValues?: string[]; pattern?: string } }

function describe(error: unknown): string {
  const { errors } = error as { errors?: AjvError[] }
  if (!errors) throw error
  return errors
    .map(({ instancePath, message, params }) => {
      const allowed = params?.allowedValues ? `: ${params.allowedValues.join(', ')}` : ''
      return `${instancePath.slice(1)} ${message}${allowed}. See .env.example.`
    })
    .join('\n')
}
