import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { canonicalEmail } from '../../../../src/lib/email.ts'
import { passwordFault } from '../../../../src/lib/password.ts'
import { password } from '../../../helpers/api.ts'
import { hashAtFullCost } from '../../../helpers/hashing.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

hashAtFullCost()

const unique = () => randomBytes(6).toString('hex')

describe('an e-mail address', () => {
  const forms: [string, string, string][] = [
    ['its case', 'Alex@Example.COM', 'alex@example.com'],
    ['space around it', '  alex@example.com ', 'alex@example.com'],
    ['its Unicode form', 'ａｌｅｘ@example.com', 'alex@example.com'],
    ['a composed or a combining accent', 'jose\u0301@example.com', 'jos\u00e9@example.com'],
    ['a dotless i', 'lıam@example.com', 'liam@example.com'],
    ['a dotted capital I', 'LİAM@example.com', 'liam@example.com'],
    ['the spelling of an international domain', 'alex@BÜCHER.example', 'alex@xn--bcher-kva.example'],
    ['a fullwidth dot in the domain', 'alex@example。com', 'alex@example.com'],
  ]
  for (const [what, written, canonical] of forms)
    test(`is one account whatever ${what}`, () => {
      expect(canonicalEmail(written)).toBe(canonical)
      expect(canonicalEmail(canonical)).toBe(canonical)
    })

  test('that is none is refused', async ({ api }) => {
    const none = [
      'alex',
      '@example.com',
      'alex@',
      'a b@example.com',
      'a,b@example.com',
      '"a"@example.com',
      'a@b@c',
      'a@-_.x',
    ]
    for (const email of [
      ...none,
      'a@exa mple.com',
      `${'a'.repeat(65)}@example.com`,
      'a@b\r\nBcc: c@d',
      'a\u0000b@example.com',
      'a\u200bb@example.com',
      '\ud800@example.com',
    ]) {
      const { status, body } = await api.anonymous.post('/auth/register', { email, password })
      expect({ email, status }).toEqual({ email, status: 400 })
      expect(body.errors[0].pointer).toBe('/body/email')
    }
  })

  test('that is taken in another spelling is a conflict', async ({ api }) => {
    const name = unique()
    const first = await api.anonymous.post('/auth/register', { email: `i.${name}@bücher.example`, password })
    expect(first.status).toBe(201)
    expect(first.body.email).toBe(`i.${name}@xn--bcher-kva.example`)
    const again = await api.anonymous.post('/auth/register', { email: `ı.${name}@XN--BCHER-KVA.Example`, password })
    expect(again.status).toBe(409)
    expect(again.body.code).toBe('email_taken')
  })

  test('registered twice at once makes one account', async ({ api, sql }) => {
    const email = `${unique()}@example.com`
    const answers = await Promise.all([1, 2, 3].map(() => api.anonymous.post('/auth/register', { email, password })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
    expect(await sql`select 1 from users where email = ${email}`).toHaveLength(1)
    expect(await sql`select 1 from organizations where contact_email = ${email}`).toHaveLength(1)
  })
})

describe('a registration', () => {
  test('makes the account and the organisation it owns, and tells both in the audit', async ({ api, sql }) => {
    const email = `${unique()}@example.com`
    const sent = { email, password, username: `Kim.${unique()}`, full_name: 'Kim', organization_name: 'Müller & Söhne' }
    const { status, body, headers } = await api.anonymous.post('/auth/register', sent)
    expect(status).toBe(201)
    expect(headers.location).toBe('/api/v1/auth/me')
    expect(body).toMatchObject({ email, username: sent.username.toLowerCase(), full_name: 'Kim', is_superuser: false })
    expect(JSON.stringify(body)).not.toMatch(/password|argon2/)
    const me = (await (await api.signIn(email)).get('/auth/me')).body
    expect(me.organization).toMatchObject({ name: 'Müller & Söhne', code: expect.stringMatching(/^muller-sohne/) })
    expect(me.roles).toEqual(['owner'])
    const [registered] = await eventsOf(sql, body.id)
    expect(registered).toMatchObject({ action: 'user.registered', actor_id: body.id, after: { email } })
    const [created] = await eventsOf(sql, me.organization.id)
    expect(created).toMatchObject({ action: 'organization.created', org_id: me.organization.id })
  })

  test('keeps the password as an argon2id hash of at least 19 MiB and two passes', async ({ owner, sql }) => {
    const [user] = await sql`select password_hash from users where id = ${owner.id}`
    expect(user?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,p=1,t=2\$/)
  })

  test('cannot give itself a role, an organisation or a privilege', async ({ api }) => {
    for (const extra of [
      { role: 'owner' },
      { roles: ['owner'] },
      { org_id: unique() },
      { is_superuser: true },
      { verified: true },
    ]) {
      const email = `${unique()}@example.com`
      const { status, body } = await api.anonymous.post('/auth/register', { email, password, ...extra })
      expect(status).toBe(400)
      const pointer = `/body/${Object.keys(extra)[0]}`
      expect(body.errors).toEqual([{ pointer, code: 'unknown_field', message: 'is not a known field' }])
    }
  })

  test('with a weak password is refused, and says why', async ({ api }) => {
    const email = `${unique()}@example.com`
    const weak = ['Ab1!', 'correct-horse-7', 'Correct-Horse', 'CorrectHorse7', `${email.slice(0, 100)}`]
    for (const candidate of weak) {
      const { status, body } = await api.anonymous.post('/auth/register', { email, password: candidate })
      expect({ candidate, status }).toEqual({ candidate, status: 400 })
      expect(body.errors[0]).toMatchObject({ pointer: '/body/password', code: 'password' })
    }
    const own = `A1-${unique()}@example.com`
    const { status } = await api.anonymous.post('/auth/register', { email: own, password: own })
    expect(status).toBe(400)
    const long = await api.anonymous.post('/auth/register', { email, password: `Aa1-${'x'.repeat(125)}` })
    expect(long.status).toBe(400)
  })

  test('with a password that many people use is refused, however it is decorated', () => {
    const common = ['Password1!', 'PASSWORD-2024', 'Qwerty123!', 'Iloveyou#1', 'Summer2024!', 'P@ssw0rd1!', 'Trustno1!']
    for (const candidate of [...common, 'Letmein!!!1', '123456789', 'Dragon_1987', 'Admin123!'])
      expect([candidate, passwordFault(candidate, false, [])]).toEqual([
        candidate,
        'must not be a password that many people use',
      ])
    for (const candidate of [password, 'Another-Horse-8', 'Sunny-Passwords-Rain-4', 'Kq7!xv2#pL', '🔑🔑🔑🔑-Aa1'])
      expect([candidate, passwordFault(candidate, true, [])]).toEqual([candidate, undefined])
  })

  test('with a taken username is a conflict, whatever its case, and makes nothing', async ({ api, sql }) => {
    const username = `kim-${unique()}`
    const [first, second] = [`${unique()}@example.com`, `${unique()}@example.com`]
    expect((await api.anonymous.post('/auth/register', { email: first, password, username })).status).toBe(201)
    const sent = { email: second, password, username: username.toUpperCase() }
    const { status, body } = await api.anonymous.post('/auth/register', sent)
    expect([status, body.code]).toEqual([409, 'username_taken'])
    expect(await sql`select 1 from users where email = ${second}`).toHaveLength(0)
  })
})
