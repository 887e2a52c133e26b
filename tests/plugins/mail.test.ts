import { describe, expect, test } from 'vitest'
import { Client, password, startApi } from '../helpers/api.ts'
import { cloneDatabase } from '../helpers/database.ts'
import { mailTo } from '../helpers/mail.ts'
import { startServer } from '../helpers/server.ts'

const secrets = {
  JWT_SECRET: 'kT4wq8Zr1mNc7Xv0Lb3Yh6Gd9Sf2Pj5A',
  ENCRYPTION_KEY: 'Wd3Fh6Jk9Lp2Ns5Qt8Vx1Za4Cb7Em0Rg',
}

/** What of the service needs no database. */
const nowhere = { url: 'postgres://nobody@127.0.0.1:1/none', ownerUrl: '' }

const email = 'alex@example.com'

describe('the mailbox of development', () => {
  test('shows what was mailed, newest first, with its links, and can be emptied', async () => {
    const api = await startApi({ NODE_ENV: 'development' })
    const visitor = new Client(api.app)
    expect((await visitor.get('/dev/mailbox')).body).toEqual({ data: [] })
    await visitor.post('/auth/register', { email, password })
    await mailTo(api, email)
    await visitor.post('/auth/forgot-password', { email })
    await visitor.post('/auth/register', { email: 'kim@example.com', password })
    await mailTo(api, email)
    const { body } = await visitor.get(`/dev/mailbox?to=${email}`)
    expect(body.data.map(({ subject }: { subject: string }) => subject)).toEqual([
      'Set a new password',
      'Verify your e-mail address',
    ])
    expect(body.data[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      to: email,
      subject: 'Set a new password',
      text: expect.any(String),
      html: expect.any(String),
      links: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:8000\/reset-password\?token=[\w-]{43}$/)],
      created_at: expect.any(String),
    })
    expect((await visitor.get('/dev/mailbox')).body.data).toHaveLength(3)
    expect((await visitor.delete('/dev/mailbox')).status).toBe(204)
    expect((await visitor.get('/dev/mailbox')).body).toEqual({ data: [] })
    await api.close()
  })

  test('keeps the newest 200 messages', async () => {
    const api = await startApi({ NODE_ENV: 'development', HOST: '::1' }, nowhere)
    const message = { to: email, text: '', html: '' }
    for (let index = 0; index < 205; index++) await api.app.mail.send({ ...message, subject: String(index) })
    const { data } = (await api.anonymous.get('/dev/mailbox')).body
    expect([data.length, data[0].subject, data[199].subject]).toEqual([200, '204', '5'])
    await api.close()
  })

  test.each([
    ['production', { NODE_ENV: 'production', ...secrets }],
    ['staging', { NODE_ENV: 'staging', ...secrets }],
    ['test', { NODE_ENV: 'test' }],
    ['development for every interface', { NODE_ENV: 'development', HOST: '0.0.0.0' }],
    ['development at an address of the network', { NODE_ENV: 'development', HOST: '192.168.1.7' }],
    ['development at a name', { NODE_ENV: 'development', HOST: 'localhost.evil.example' }],
  ])('does not exist in %s', async (_where, environment: Record<string, string>) => {
    const api = await startApi(environment, nowhere)
    for (const method of ['GET', 'DELETE', 'POST'])
      expect((await api.anonymous.send(method, '/dev/mailbox')).status).toBe(404)
    await api.close()
  })

  test('is in no OpenAPI document', async () => {
    const api = await startApi({ NODE_ENV: 'development', HOST: 'localhost' }, nowhere)
    expect((await api.anonymous.get('/dev/mailbox')).status).toBe(200)
    const { text, status } = await api.anonymous.get('/openapi.json')
    expect(status).toBe(200)
    expect(text).not.toMatch(/mailbox|\/dev\//)
    await api.close()
  })
})

test('in production without a mail server, mail waits, and the start says so once', async () => {
  const database = await cloneDatabase()
  const server = await startServer({
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    MIGRATION_DATABASE_URL: database.ownerUrl,
    REQUIRE_VERIFIED_EMAIL: 'false',
    ...secrets,
  })
  const warnings = () => server.output().match(/SMTP_URL is not set/g)
  await expect.poll(warnings).toHaveLength(1)
  await server.dispose()

  const api = await startApi({ NODE_ENV: 'production', REQUIRE_VERIFIED_EMAIL: 'false', ...secrets }, database)
  expect((await api.anonymous.post('/auth/register', { email, password })).status).toBe(201)
  await api.app.runTask('mail')
  const rows = await api.app.pools.requests.sql`select outcome, attempts from mail_outbox`
  expect([...rows]).toEqual([{ outcome: null, attempts: 0 }])
  await api.close()
  await database.drop()
})
