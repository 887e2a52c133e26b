import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { tenon, tenonHere } from '../helpers/cli.ts'
import { test } from '../helpers/scratch.ts'
import { startServer } from '../helpers/server.ts'

describe('the commands on the embedded Postgres', { timeout: 90_000 }, () => {
  test('work beside a running service, which they leave running, and alone', async ({ folder }) => {
    await chmod(folder, 0o755)
    const env = { DATA_DIR: join(folder, 'data') }
    const server = await startServer(env)
    const login = async (password: string) => {
      const body = JSON.stringify({ username: 'root@example.com', password })
      const headers = { 'content-type': 'application/json' }
      return (await fetch(`${server.address}/api/v1/auth/login`, { method: 'POST', headers, body })).status
    }
    const made = await tenon(['create-superuser', '--email', 'root@example.com'], env)
    expect(made).toMatchObject({ code: 0, err: '' })
    expect(await login(/shown this once: (\S+)/.exec(made.out)![1]!)).toBe(200)
    const doctor = await tenonHere(['doctor'], env)
    expect(doctor).toMatchObject({ code: 0, out: expect.stringMatching(/^ok {4}rights/m) })
    expect(await tenonHere(['revoke-sessions', '--all'], env)).toMatchObject({ out: 'Ended 1 session of 1 user.\n' })
    expect(await login('wrong')).toBe(401)

    server.process.kill('SIGTERM')
    expect(await server.exited).toBe(0)
    expect(await tenon(['reset-password', '--email', 'root@example.com'], env)).toMatchObject({ code: 0, err: '' })
    const stopped = await tenonHere(['doctor'], env)
    expect(stopped).toMatchObject({ code: 0, out: expect.stringMatching(/^warn {2}database .+does not run/m) })
    await server.dispose()
  })

  test('say what is missing on a fresh one', async ({ folder }) => {
    await chmod(folder, 0o755)
    const { code, out, err } = await tenon(['revoke-sessions', '--all'], { DATA_DIR: join(folder, 'data') })
    expect([code, out]).toEqual([1, ''])
    expect(err.trim().split('\n').at(-1)).toMatch(/^The database is not as this version needs it: start the service/)
  })
})
