import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { newApiKey } from '../../../../src/lib/api-key.ts'
import { sha256 } from '../../../../src/lib/crypto.ts'
import { Client } from '../../../helpers/api.ts'
import { eventsOf, test } from '../../../helpers/sql.ts'

const unique = () => `kim-${randomBytes(6).toString('hex')}`

describe('who is signed in', () => {
  test('shows the user, the active organisation, roles and permissions, and no secret', async ({ api, owner }) => {
    const member = await api.newUser(owner, 'member')
    const { body, text } = await member.get('/auth/me')
    expect(body).toMatchObject({
      user: { id: member.id, email: member.email, is_active: true },
      organization: { id: owner.orgId },
      roles: ['member'],
    })
    expect(body.permissions).toContain('credit:read')
    expect(body.permissions).not.toContain('credit:write')
    expect(text).not.toMatch(/password|argon2|token/)
  })

  test('sees the same under both paths, with the session and nobody who acts for him', async ({ owner }) => {
    const [first, second] = [await owner.get('/auth/me'), await owner.get('/users/me')]
    expect(second.body).toEqual(first.body)
    expect(second.headers.etag).toBe(first.headers.etag)
    expect(first.body).toMatchObject({ session_id: expect.any(String), impersonated_by: null, totp_enabled: false })
  })

  test('is shown to an API key as its maker, with what the key may do', async ({ api, owner, sql }) => {
    const { key, prefix } = newApiKey()
    await sql`
      insert into api_keys (org_id, id, name, prefix, key_hash, permissions, ip_allowlist, created_by)
      values (${owner.orgId}, gen_random_uuid(), 'Robot', ${prefix}, ${sha256(key)}, '{credit:read}', '{}', ${owner.id})`
    const robot = new Client(api.app, key)
    for (const path of ['/auth/me', '/users/me']) {
      const { status, body } = await robot.get(path)
      expect(status).toBe(200)
      expect(body).toMatchObject({
        user: { id: owner.id },
        organization: { id: owner.orgId },
        permissions: ['credit:read'],
        roles: [],
        session_id: null,
      })
    }
    expect((await robot.patch('/auth/me', { full_name: 'Robot' })).status).toBe(403)
    expect((await robot.get('/auth/sessions')).status).toBe(403)
  })
})

describe('a change of one’s own profile', () => {
  test('names the fields it changes, raises the version, and is audited', async ({ owner, sql }) => {
    const username = unique()
    const { status, body, headers } = await owner.patch('/auth/me', {
      full_name: 'Kim',
      username: username.toUpperCase(),
    })
    expect(status).toBe(200)
    expect(body.user).toMatchObject({ full_name: 'Kim', username, locale: null, version: 2 })
    expect(headers.etag).toBe('"2"')
    const aliased = await owner.patch('/users/me', { locale: 'pt-BR', full_name: null })
    expect(aliased.body.user).toMatchObject({ full_name: null, username, locale: 'pt-BR', version: 3 })
    const events = (await eventsOf(sql, owner.id)).filter(({ action }) => action === 'user.updated')
    expect(events).toMatchObject([
      { before: { full_name: null, username: null }, after: { full_name: 'Kim', username } },
      { before: { full_name: 'Kim', locale: null }, after: { full_name: null, locale: 'pt-BR' } },
    ])
    expect(Object.keys(events[1]?.after ?? {}).sort()).toEqual(['full_name', 'locale'])
  })

  test('without fields changes nothing', async ({ owner }) => {
    const { body } = await owner.patch('/auth/me', {})
    expect(body.user.version).toBe(1)
  })

  test('is refused when the profile changed meanwhile; of two at once one succeeds', async ({ owner }) => {
    const { etag } = (await owner.get('/auth/me')).headers
    const answers = await Promise.all(
      ['One', 'Two'].map((full_name) => owner.patch('/auth/me', { full_name }, { 'if-match': etag as string })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412])
  })

  test('cannot take the username of somebody else, whatever its case', async ({ api, owner }) => {
    const [other, username] = [await api.newOwner(), unique()]
    await owner.patch('/auth/me', { username })
    for (const taken of [username, username.toUpperCase()]) {
      const { status, body } = await other.patch('/auth/me', { username: taken })
      expect([status, body.code]).toEqual([409, 'username_taken'])
    }
    expect((await owner.patch('/auth/me', { username: null })).body.user.username).toBeNull()
    expect((await other.patch('/auth/me', { username })).status).toBe(200)
    const both = await Promise.all(
      [owner, other].map((person) => person.patch('/auth/me', { username: `${username}x` })),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
  })

  test('reaches nothing that is not one’s own to change', async ({ owner }) => {
    for (const extra of [
      { email: 'a@b.example' },
      { is_superuser: true },
      { roles: ['owner'] },
      { is_active: false },
    ]) {
      const { status, body } = await owner.patch('/auth/me', { full_name: 'Kim', ...extra })
      expect([status, body.code]).toEqual([400, 'validation_failed'])
    }
    for (const locale of ['english!', 'e', 'en_US', '../..', 'en-'])
      expect((await owner.patch('/auth/me', { locale })).status).toBe(400)
    expect((await owner.get('/auth/me')).body.user).toMatchObject({ full_name: null, version: 1 })
  })
})
