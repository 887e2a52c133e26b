import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { ConfigError } from '../lib/config-values.ts'
import { reasonOf } from './database.ts'
import { checkDatabase } from './doctor-database.ts'
import { type Finding, fail, ok } from './doctor-findings.ts'
import {
  checkMail,
  checkProxies,
  checkPublicUrl,
  checkRedis,
  checkStorage,
  checkVerification,
} from './doctor-service.ts'

/** Adds `doctor`. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'check configuration, database, storage, mail and backlog; changes nothing; exit code 1 on any failure',
    )
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await examine()
      console.log(json ? JSON.stringify(findings, null, 2) : findings.map(line).join('\n'))
      if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1
    })
}

async function examine(): Promise<Finding[]> {
  let config: Config
  try {
    config = loadConfig(undefined, {}, { readOnly: true })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.split('\n').map((fault) => fail('configuration', fault))
  }
  const checks: [string, (config: Config) => Finding[] | Promise<Finding[]>][] = [
    ['public_url', checkPublicUrl],
    ['proxies', checkProxies],
    ['storage', checkStorage],
    ['mail', checkMail],
    ['verification', checkVerification],
    ['redis', checkRedis],
    ['database', checkDatabase],
  ]
  const found = await Promise.all(
    checks.map(async ([name, check]) => {
      try {
        return await check(config)
      } catch (error) {
        return [fail(name, `The check itself failed: ${reasonOf(error)}.`)]
      }
    }),
  )
  return [ok('configuration', `Every variable is valid; the environment is ${config.environment}.`), ...found.flat()]
}

const line = ({ check, status, message }: Finding) => `${status.padEnd(4)}  ${check.padEnd(13)}  ${message}`
