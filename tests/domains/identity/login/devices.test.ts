import { describe, expect } from 'vitest'
import { type Api, password } from '../../../helpers/api.ts'
import { test } from '../../../helpers/sql.ts'

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

const signIn = async (api: Api, username: string, agent: string) => {
  const { status } = await api.anonymous.post('/auth/login', { username, password }, { 'user-agent': agent })
  expect(status).toBe(200)
}

describe('a sign-in on a device that was not seen before', () => {
  test('is told to the user by mail, one on a known device is not', async ({ api, owner, sql }) => {
    const mails = () => sql`
      select * from mail_outbox where recipient = ${owner.email} and template = 'new_device' order by created_at, id`
    await signIn(api, owner.email, firefox)
    expect(await mails()).toMatchObject([
      { template: 'new_device', data: { device: 'Firefox on Linux', ip: '127.0.0.1', at: expect.any(String) } },
    ])
    await signIn(api, owner.email, firefox)
    expect(await mails()).toHaveLength(1)
    await signIn(api, owner.email, safari)
    expect((await mails())[1]).toMatchObject({ data: { device: 'Safari on iOS' } })
  })

  test('is told once however many there are at once', async ({ api, owner, sql }) => {
    await Promise.all(Array.from({ length: 4 }, () => signIn(api, owner.email, firefox)))
    expect(
      await sql`select 1 from mail_outbox where recipient = ${owner.email} and template = 'new_device'`,
    ).toHaveLength(1)
  })

  test('is nothing to tell of when it is the first of all', async ({ api, sql }) => {
    const email = `first-${Date.now()}@example.com`
    await api.anonymous.post('/auth/register', { email, password })
    await signIn(api, email, firefox)
    expect(await sql`select 1 from mail_outbox where recipient = ${email} and template = 'new_device'`).toHaveLength(0)
  })
})
