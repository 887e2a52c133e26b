import { describe, expect } from 'vitest'
import { type Api, password } from '../../../helpers/api.ts'
import { test } from '../../../helpers/sql.ts'

const form = 'application/x-www-form-urlencoded'

const send = (api: Api, fields: Record<string, string> | string, type = form, headers = {}) =>
  api.anonymous.post('/auth/login', typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(), {
    'content-type': type,
    ...headers,
  })

describe('the OAuth2 password form', () => {
  test('signs in as Swagger UI sends it', async ({ api, owner }) => {
    const fields = {
      grant_type: 'password',
      username: owner.email,
      password,
      scope: '',
      client_id: '',
      client_secret: '',
    }
    const { status, body } = await send(api, fields, form, { authorization: 'Basic dW5kZWZpbmVkOnVuZGVmaW5lZA==' })
    expect([status, body.token_type]).toEqual([200, 'bearer'])
  })

  test('is what the document tells Swagger UI to send', async ({ api }) => {
    const { components, paths } = (await api.anonymous.get('/openapi.json')).body
    const { tokenUrl } = components.securitySchemes.oauth2.flows.password
    expect(Object.keys(paths[tokenUrl].post.requestBody.content)).toEqual(['application/json', form])
    expect(paths['/api/v1/auth/me'].get.security).toEqual([{ bearer: [] }, { oauth2: [] }])
  })

  test('may say to be remembered', async ({ api, owner, sql }) => {
    for (const [remember_me, status] of [
      ['true', 200],
      ['false', 200],
      ['yes', 400],
      ['constructor', 400],
    ] as const) {
      const answer = await send(api, { username: owner.email, password, remember_me })
      expect([remember_me, answer.status]).toEqual([remember_me, status])
    }
    const rows = await sql`select remember_me from sessions where user_id = ${owner.id} order by created_at`
    expect(rows.map((row) => row.remember_me)).toEqual([false, true, false])
  })

  test('is judged like the JSON body: no other field, none twice, no other grant', async ({ api, owner }) => {
    const good = `username=${owner.email}&password=${password}`
    for (const [body, pointer] of [
      [`${good}&role=owner`, '/body/role'],
      [`${good}&__proto__=1`, '/body/__proto__'],
      [`${good}&constructor=1`, '/body/constructor'],
      [`${good}&password=${password}`, '/body/password'],
      [`${good}&scope=a&scope=b`, '/body/scope'],
      [`${good}&remember_me=true&remember_me=true`, '/body/remember_me'],
      [`${good}&grant_type=refresh_token`, '/body/grant_type'],
      [`${good}&totp_code=1`, '/body/totp_code'],
      [`username=${owner.email}`, '/body/password'],
      ['', '/body/username'],
      [`${'a&'.repeat(10_000)}`, '/body/username'],
    ] as const) {
      const { status, body: problem } = await send(api, body)
      expect([body.slice(-40), status, problem.code]).toEqual([body.slice(-40), 400, 'validation_failed'])
      expect(problem.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
    }
  })

  test('is taken nowhere else', async ({ api, owner }) => {
    for (const path of ['/auth/register', '/auth/refresh', '/auth/step-up', '/portfolios']) {
      const { status } = await owner.post(path, 'a=b', { 'content-type': form })
      expect([path, status]).toEqual([path, 415])
    }
    expect((await send(api, 'x'.repeat(1_100_000))).status).toBe(413)
  })
})

describe('whatever the Content-Type is written like', () => {
  const unlike = (type: string) => [
    `${type}\t`,
    ` ${type}`,
    `${type} `,
    type.toUpperCase(),
    `${type};`,
    `${type};x`,
    `${type}; charset=utf-8`,
    `${type} ; charset="utf-8"`,
    `${type}\t; a=b`,
    `${type}, text/plain`,
    `${type} text`,
    `${type}x`,
    `x${type}`,
    `${type}/json`,
    `;${type}`,
    'text/plain',
    '*/*',
    '',
  ]

  test('the body of a sign-in is validated, or refused as 415', async ({ api, owner }) => {
    const bodies = [
      ['application/json', JSON.stringify({ username: owner.email, password, is_superuser: true })],
      ['application/json', JSON.stringify({ username: owner.email })],
      ['application/json', '[]'],
      [form, `username=${owner.email}&password=${password}&is_superuser=true`],
      [form, `username=${owner.email}`],
    ] as const
    const seen = new Set<number>()
    for (const [type, body] of bodies)
      for (const written of unlike(type)) {
        const { status, body: problem } = await send(api, body, written)
        expect([400, 415], `${JSON.stringify(written)} ${problem.code}`).toContain(status)
        seen.add(status)
      }
    expect([...seen].sort()).toEqual([400, 415])
    expect((await api.anonymous.post('/auth/login')).status).toBe(400)
  })

  test('the body of any change is validated, or refused as 415', async ({ owner }) => {
    const seen = new Set<number>()
    for (const [method, path, body] of [
      ['POST', '/portfolios', { name: 'Book', currency: 'USD', org_id: owner.orgId }],
      ['PATCH', '/auth/me', { is_superuser: true }],
    ] as const)
      for (const written of unlike('application/json')) {
        const { status, text } = await owner.send(method, path, JSON.stringify(body), { 'content-type': written })
        expect([400, 415], `${JSON.stringify(written)} ${text}`).toContain(status)
        seen.add(status)
      }
    expect([...seen].sort()).toEqual([400, 415])
  })
})
