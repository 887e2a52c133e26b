import closeWithGrace from 'close-with-grace'
import type { Config } from './config.ts'
import { ConfigError } from './lib/config-values.ts'
import { type Service, startService } from './service.ts'

const closeWithinMs = 20_000

/** Starts the service, says where it is, and closes it gracefully at SIGTERM or SIGINT. */
export async function serve(config: Config): Promise<Service> {
  if (config.production && config.database.url === undefined)
    console.warn('DATABASE_URL is not set: serving from the embedded Postgres, which nobody backs up.')
  const service = await startService(config, (message) => console.log(message))
  const { app } = service
  closeWithGrace({ delay: closeWithinMs, logger: false }, async ({ err }) => {
    if (err) app.log.fatal({ err }, 'stopping after an error nobody caught')
    app.lifecycle.state = 'stopping'
    await service.close()
  })
  announce(service)
  return service
}

function announce({ address, superuser }: Service) {
  const lines = [
    `  API      ${address}/api/v1`,
    `  Swagger  ${address}/docs`,
    `  ReDoc    ${address}/redoc`,
    `  Health   ${address}/health`,
  ]
  if (superuser)
    lines.push(
      '',
      '  First superuser, shown this once:',
      `  e-mail   ${superuser.email}`,
      `  password ${superuser.password}`,
    )
  console.log(['', ...lines, ''].join('\n'))
}

/** Why the service did not start, in words for whoever started it. */
export function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `Port ${port} is in use: stop what listens there, or set PORT to another one.`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
