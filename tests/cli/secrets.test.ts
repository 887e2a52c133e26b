import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { type Answer, password, startApi } from '../helpers/api.ts'
import { tenon, tenonHere } from '../helpers/cli.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { addFactor, codeAt } from '../helpers/factor.ts'
import { test } from '../helpers/scratch.ts'
import { type Server, startServer } from '../helpers/server.ts'
import { ownerSql } from '../helpers/sql.ts'

const strong = 'kJ8x-Qm2vT_r4Ze7Lw9Yb1Nc3Hd6Pf5Ga0Us'

const post = (server: Server, path: string, body: object, headers = {}) =>
  fetch(`${server.address}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
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

  test('of the encryption key loses no factor, code, session or idempotent answer, and lets the old key go in the end', {
    timeout: 90_000,
  }, async ({ folder }) => {
    const database = await cloneDatabase()
    const sql = ownerSql(database.ownerUrl)
    const env = { DATABASE_URL: database.url, MIGRATION_DATABASE_URL: database.ownerUrl, DATA_DIR: folder }
    const user = { username: 'kim@example.com', password }
    const before = await startApi({ DATA_DIR: folder }, database)
    await before.anonymous.post('/auth/register', { email: user.username, password })
    const kim = await before.signIn(user.username)
    const { secret, recoveryCodes } = await addFactor(kim, sql)
    const once = { 'idempotency-key': 'before' }
    const asked = [
      ['/organizations', { name: 'Twice' }],
      ['/portfolios', { name: 'Twice', currency: 'USD' }],
    ] as const
    const made = []
    for (const [path, body] of asked) made.push((await kim.post(path, body, once)).body)
    const refresh = { refresh_token: kim.refreshToken }
    const next = (await before.anonymous.post('/auth/refresh', refresh)).body
    await before.close()

    expect(await tenonHere(['rotate-secrets', '--encryption'], env)).toMatchObject({ code: 0, err: '' })
    await sql`update refresh_tokens set used_at = now() where used_at is not null`
    await sql`update users set totp_last_step = null`
    const server = await startServer({ ...env, LOG_LEVEL: 'silent' })
    onTestFinished(() => server.dispose())
    const send = async (path: string, body: object, headers = {}) =>
      (await (await post(server, path, body, headers)).json()) as Answer['body']
    expect((await send('/auth/refresh', refresh)).refresh_token).toBe(next.refresh_token)
    for (const [n, [path, body]] of asked.entries())
      expect(await send(path, body, { ...once, authorization: `Bearer ${kim.token}` })).toEqual(made[n])
    for (const totp_code of [codeAt(secret), recoveryCodes[0]])
      expect(await send('/auth/login', { ...user, totp_code })).toHaveProperty('access_token')
    await server.dispose()

    const doctor = async () =>
      JSON.parse((await tenonHere(['doctor', '--json'], env)).out).find(
        ({ check }: { check: string }) => check === 'encryption',
      )
    expect(await doctor()).toMatchObject({ status: 'ok', message: expect.stringContaining('still opens 1 second') })
    const early = await tenonHere(['rotate-secrets', '--encryption'], env)
    expect([early.code, early.err]).toEqual([1, expect.stringContaining('another rotation would lose')])

    const { encryptionKey, encryptionKeyPrevious } = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8'))
    const both = { ENCRYPTION_KEY: encryptionKey, ENCRYPTION_KEY_PREVIOUS: encryptionKeyPrevious }
    const sealing = await startApi(both, database)
    await sealing.app.runTask('reseal factors')
    await sealing.close()
    await sql`delete from idempotency_keys where key = 'before'`
    expect(await doctor()).toMatchObject({ status: 'ok', message: expect.stringMatching(/^Nothing needs/) })
    expect((await tenonHere(['doctor', '--json'], { ...env, ...both })).out).toContain('take it away')

    const alone = await startApi({ ENCRYPTION_KEY: encryptionKey }, database)
    await sql`update users set totp_last_step = null`
    for (const totp_code of [codeAt(secret), recoveryCodes[1]])
      expect((await alone.anonymous.post('/auth/login', { ...user, totp_code })).status).toBe(200)
    await alone.close()
    const stranger = await tenonHere(['doctor', '--json'], { ...env, ENCRYPTION_KEY: `${strong}+` })
    expect([stranger.code, stranger.out]).toEqual([1, expect.stringContaining('1 second factors were sealed with')])
    await sql.end()
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
