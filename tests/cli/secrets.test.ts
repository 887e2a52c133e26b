import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { password } from '../helpers/api.ts'
import { tenon, tenonHere } from '../helpers/cli.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { test } from '../helpers/scratch.ts'
import { type Server, startServer } from '../helpers/server.ts'

const strong = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'

const post = (server: Server, path: string, body: object) =>
  fetch(`${server.address}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

const me = async (server: Server, token: string) =>
  (await fetch(`${server.address}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } })).status

describe('rotate-secrets', () => {
  test('keeps tokens of the last secret valid over a restart, and only of that one', { timeout: 90_000 }, async ({
    folder,
  }) => {
    const database = await cloneDatabase()
    const env = { DATABASE_URL: database.url, MIGRATION_DATABASE_URL: database.ownerUrl, DATA_DIR: folder }
    const running: Server[] = []
    onTestFinished(async () => {
      for (const server of running) await server.dispose()
    })
    const restart = async () => {
      await running.at(-1)?.dispose()
      running.push(await startServer({ ...env, LOG_LEVEL: 'silent' }))
      return running.at(-1) as Server
    }
    const signIn = async (server: Server) =>
      (await (await post(server, '/auth/login', { username: 'kim@example.com', password })).json()) as {
        access_token: string
        refresh_token: string
      }
    const first = await restart()
    await post(first, '/auth/register', { email: 'kim@example.com', password })
    const oldest = await signIn(first)

    expect(await tenon(['rotate-secrets'], env)).toMatchObject({ code: 0, err: '' })
    const second = await restart()
    expect(await me(second, oldest.access_token)).toBe(200)
    const middle = await signIn(second)

    expect(await tenonHere(['rotate-secrets'], env)).toMatchObject({ code: 0 })
    const third = await restart()
    expect(await me(third, middle.access_token)).toBe(200)
    expect(await me(third, oldest.access_token)).toBe(401)
    expect((await post(third, '/auth/refresh', { refresh_token: oldest.refresh_token })).status).toBe(200)

    await third.dispose()
    await database.drop()
  })

  test('writes both secrets at once for nobody else to read, shows neither, and leaves the encryption key', async ({
    folder,
  }) => {
    const path = join(folder, 'data', 'secrets.json')
    const read = async () => JSON.parse(await readFile(path, 'utf8'))
    const env = { DATA_DIR: join(folder, 'data') }
    await tenonHere(['rotate-secrets'], env)
    const before = await read()
    const { code, out } = await tenonHere(['rotate-secrets'], env)
    const after = await read()
    expect(code).toBe(0)
    expect(after).toEqual({ ...before, jwtSecret: expect.any(String), jwtSecretPrevious: before.jwtSecret })
    expect(after.jwtSecret).not.toBe(before.jwtSecret)
    for (const secret of Object.values(after)) expect(out).not.toContain(secret)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(folder, 'data'))).toEqual(['secrets.json'])
  })

  test('only says what to set where the environment gives the secret, and never shows the present one', async ({
    folder,
  }) => {
    const dataDir = join(folder, 'data')
    await mkdir(dataDir)
    for (const NODE_ENV of ['production', 'development']) {
      const env = { NODE_ENV, DATA_DIR: dataDir, JWT_SECRET: strong, ENCRYPTION_KEY: `${strong}+` }
      const { code, out } = await tenonHere(['rotate-secrets'], env)
      expect(code).toBe(0)
      expect(out).toContain('JWT_SECRET_PREVIOUS')
      expect(out).not.toContain(strong)
      const fresh = /^ {2}(\S{64})$/m.exec(out)?.[1] as string
      expect(
        (await tenonHere(['rotate-secrets'], { ...env, JWT_SECRET: fresh, JWT_SECRET_PREVIOUS: strong })).code,
      ).toBe(0)
    }
    expect(await readdir(dataDir)).toEqual([])
  })
})
