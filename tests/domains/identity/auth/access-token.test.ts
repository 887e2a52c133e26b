import { createHmac } from 'node:crypto'
import { describe, expect } from 'vitest'
import { test as base, Client, type Person, startApi } from '../../../helpers/api.ts'

type Members = Record<string, unknown>

const decode = (part: string | undefined): Members => JSON.parse(Buffer.from(part ?? '', 'base64url').toString())
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token of the owner's, to be signed anew after some change to its header or its claims. */
type Forge = (changes: { header?: Members; claims?: Members; secret?: string; hash?: string }) => string

const test = base.extend<{ forge: Forge; status: (token: string) => Promise<[number, string | undefined]> }>({
  forge: async ({ api, owner }, use) => {
    const [header, claims] = owner.token!.split('.').slice(0, 2).map(decode)
    await use((changes) => {
      const signed = `${encode({ ...header, ...changes.header })}.${encode({ ...claims, ...changes.claims })}`
      const secret = changes.secret ?? api.config.auth.jwtSecrets[0]
      return `${signed}.${createHmac(changes.hash ?? 'sha256', secret)
        .update(signed)
        .digest('base64url')}`
    })
  },
  status: async ({ api }, use) =>
    use(async (token) => {
      const { status, body } = await new Client(api.app, token).get('/auth/me')
      return [status, body.code]
    }),
})

const now = () => Math.floor(Date.now() / 1_000)
const invalid = [401, 'invalid_token']

describe('an access token', () => {
  test('that we could have signed is accepted', async ({ forge, status }) => {
    expect(await status(forge({}))).toEqual([200, undefined])
    expect(await status(forge({ claims: { nbf: now() - 1 } }))).toEqual([200, undefined])
  })

  test('without a signature, or by another algorithm, is refused', async ({ forge, status, owner }) => {
    const [header, claims] = owner.token!.split('.')
    expect(await status(`${encode({ ...decode(header), alg: 'none' })}.${claims}.`)).toEqual(invalid)
    expect(await status(`${header}.${claims}.`)).toEqual(invalid)
    expect(await status(`${header}.${claims}`)).toEqual(invalid)
    for (const [alg, hash] of [
      ['HS512', 'sha512'],
      ['HS384', 'sha384'],
      ['hs256', 'sha256'],
      ['RS256', 'sha256'],
    ])
      expect(await status(forge({ header: { alg }, hash: hash as string }))).toEqual(invalid)
  })

  test('that names another key, or brings one, is refused', async ({ forge, status }) => {
    for (const header of [
      { kid: 'other' },
      { kid: undefined },
      { kid: '../../dev/null' },
      { kid: ["' or 1=1"] },
      { jku: 'https://example.com/keys' },
      { jwk: { kty: 'oct', k: 'AAAA' } },
      { x5u: 'https://example.com/cert' },
      { crit: ['exp'] },
      { b64: false },
      { typ: 'at+jwt' },
    ])
      expect([header, await status(forge({ header }))]).toEqual([header, invalid])
  })

  test('for another issuer or audience, or without what it must say, is refused', async ({ forge, status }) => {
    for (const claims of [
      { iss: 'other' },
      { iss: undefined },
      { aud: 'other' },
      { aud: undefined },
      { sub: undefined },
      { sid: undefined },
      { exp: undefined },
      { jti: undefined },
      { exp: 'never' },
    ])
      expect([claims, await status(forge({ claims }))]).toEqual([claims, invalid])
  })

  test('lives as long as its answer says, and not longer', async ({ api, owner }) => {
    const { iat, exp } = decode(owner.token!.split('.')[1]) as { iat: number; exp: number }
    expect(exp - iat).toBe(api.config.auth.accessTokenTtlS)
  })

  test('is worth nothing before and after its time', async ({ forge, status }) => {
    expect(await status(forge({ claims: { nbf: now() + 60 } }))).toEqual(invalid)
    expect(await status(forge({ claims: { exp: now() - 1 } }))).toEqual([401, 'token_expired'])
  })

  test('signed with another secret, changed, or huge, is refused', async ({ forge, status, owner }) => {
    expect(await status(forge({ secret: 'another secret that is long enough' }))).toEqual(invalid)
    const [header, claims, signature] = owner.token!.split('.')
    const richer = encode({ ...decode(claims), sub: '00000000-0000-7000-8000-000000000000' })
    expect(await status(`${header}.${richer}.${signature}`)).toEqual(invalid)
    expect(await status(forge({ claims: { padding: 'x'.repeat(10_000) } }))).toEqual(invalid)
    for (const odd of ['.', '..', 'a.b.c', `${owner.token}.x`, ` ${owner.token}`, `${owner.token}\t`])
      expect([odd, (await status(odd))[0]]).toEqual([odd, 401])
  })

  test('cannot move its session to another user or organisation', async ({ api, forge, status }) => {
    const other: Person = await api.newOwner()
    for (const claims of [{ org: other.orgId }, { sub: other.id }, { sid: other.id }, { org: null }]) {
      const answer = await status(forge({ claims }))
      expect([claims, answer]).toEqual([claims, [401, 'session_ended']])
    }
  })

  test('has the signature checked also when its twin was accepted before', async ({ forge, status, owner }) => {
    expect(await status(owner.token!)).toEqual([200, undefined])
    expect(await status(forge({ secret: 'another secret that is long enough' }))).toEqual(invalid)
  })
})

base(
  'a token of the secret before the last rotation is accepted, one of the secret before that is not',
  async ({ api, owner }) => {
    const [jwtSecret] = api.config.auth.jwtSecrets
    const next = 'the next secret, long enough for anybody'
    const rotated = await startApi({ JWT_SECRET: next, JWT_SECRET_PREVIOUS: jwtSecret }, api)
    expect((await new Client(rotated.app, owner.token!).get('/auth/me')).status).toBe(200)
    const renewed = await rotated.signIn(owner.email)
    expect((await new Client(api.app, renewed.token!).get('/auth/me')).status).toBe(401)
    await rotated.close()
    const later = await startApi(
      { JWT_SECRET: 'the one after it, long enough as well', JWT_SECRET_PREVIOUS: next },
      api,
    )
    expect((await new Client(later.app, owner.token!).get('/auth/me')).status).toBe(401)
    expect((await new Client(later.app, renewed.token!).get('/auth/me')).status).toBe(200)
    await later.close()
  },
)

base('a previous secret that is the present one does no harm', async () => {
  const secret = 'one and the same secret, long enough as well'
  const api = await startApi({ JWT_SECRET: secret, JWT_SECRET_PREVIOUS: secret })
  await api.newOwner()
  await api.close()
})
