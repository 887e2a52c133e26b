import { describe, expect } from 'vitest'
import { buildApp } from '../../../../src/app.ts'
import { retryAfterS } from '../../../../src/domains/identity/mail/delivery.ts'
import { type Api, test as base, newEmail, password, startApi } from '../../../helpers/api.ts'
import { freePort } from '../../../helpers/port.ts'
import { refusal, type Smtp, startMute, startSmtp } from '../../../helpers/smtp.ts'
import { ownerSql } from '../../../helpers/sql.ts'

type Sql = ReturnType<typeof ownerSql>
type World = { api: Api; sql: Sql; smtp: Smtp; behaviour: { recipient?: (address: string) => void; message?: Gate } }
type Gate = (raw: string) => void | Promise<void>

/** One service for the file; each test begins with an empty outbox, and a mail server that takes everything. */
const test = base.extend<{ shared: World; world: World }>({
  shared: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern
    async ({}, use) => {
      const behaviour: World['behaviour'] = {}
      const smtp = await startSmtp({
        onRecipient: (address) => behaviour.recipient?.(address),
        onMessage: (raw) => behaviour.message?.(raw),
      })
      const api = await startApi({
        SMTP_URL: smtp.url,
        MAIL_FROM: 'Tenon <mail@tenon.example>',
        PUBLIC_URL: 'https://app.example/base/',
      })
      const sql = ownerSql(api.ownerUrl)
      await use({ api, sql, smtp, behaviour })
      await sql.end()
      await api.close()
      await smtp.close()
    },
    { scope: 'file' },
  ],
  world: async ({ shared }, use) => {
    await shared.sql`truncate mail_outbox, mail_tokens`
    shared.smtp.received.length = 0
    delete shared.behaviour.recipient
    delete shared.behaviour.message
    await use(shared)
  },
})

const rowsOf = (sql: Sql, recipient: string) =>
  sql`select outcome, attempts, last_error, ended_at, extract(epoch from due_at - now())::float8 as due_s
    from mail_outbox where recipient = ${recipient} order by created_at, id`

const makeDue = (sql: Sql) => sql`update mail_outbox set due_at = now() where outcome is null`

const to = ({ received }: Smtp, address: string) => received.filter(({ recipients }) => recipients.includes(address))

async function registered(api: Api): Promise<string> {
  const email = newEmail()
  expect((await api.anonymous.post('/auth/register', { email, password })).status).toBe(201)
  return email
}

describe('mail', () => {
  test('reaches the server once, with text, HTML and a link that works', async ({ world: { api, sql, smtp } }) => {
    const email = await registered(api)
    await api.app.runTask('mail')
    await api.app.runTask('mail')
    const [message, ...more] = to(smtp, email)
    expect(more).toEqual([])
    expect(message?.email).toMatchObject({
      subject: 'Verify your e-mail address',
      from: { name: 'Tenon', address: 'mail@tenon.example' },
      to: [{ address: email }],
    })
    const link = /https:\/\/app\.example\/base\/verify-email\?token=([\w-]{43})\s/.exec(message?.email.text ?? '')
    expect(message?.email.html).toContain(`href="${link?.[0].trim()}"`)
    const call = /curl -X POST https:\/\/app\.example\/base(\/api\/v1\/\S+) .* -d '(.*)'/.exec(
      message?.email.text ?? '',
    )
    const answer = await api.anonymous.post(call?.[1] as string, JSON.parse(call?.[2] as string))
    expect(answer.status).toBe(204)
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: 'sent', attempts: 1, last_error: null }])
  })

  test('waits while the server is away, and goes out when it is back', async () => {
    const port = await freePort()
    const api = await startApi({ SMTP_URL: `smtp://127.0.0.1:${port}` })
    const sql = ownerSql(api.ownerUrl)
    const email = await registered(api)
    await api.app.runTask('mail')
    const [waiting] = await rowsOf(sql, email)
    expect(waiting).toMatchObject({ outcome: null, attempts: 1, last_error: expect.stringMatching(/ECONNREFUSED/) })
    expect(waiting?.due_s).toBeGreaterThan(50)
    const smtp = await startSmtp({ port })
    await api.app.runTask('mail')
    expect(smtp.received).toEqual([])
    await makeDue(sql)
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(1)
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: 'sent', attempts: 2 }])
    await smtp.close()
    await sql.end()
    await api.close()
  })

  test('that the server refuses for good is not sent again', async ({ world: { api, sql, smtp, behaviour } }) => {
    behaviour.recipient = () => {
      throw refusal(550, 'No such user here')
    }
    const email = await registered(api)
    await api.app.runTask('mail')
    expect(await rowsOf(sql, email)).toMatchObject([
      { outcome: 'failed', attempts: 1, last_error: expect.stringContaining('550') },
    ])
    delete behaviour.recipient
    behaviour.message = () => {
      throw refusal(554, 'No spam here')
    }
    const second = await registered(api)
    await api.app.runTask('mail')
    expect(await rowsOf(sql, second)).toMatchObject([{ outcome: 'failed', attempts: 1 }])
    expect(smtp.received).toEqual([])
  })

  test('that the server refuses for now is tried again', async ({ world: { api, sql, smtp, behaviour } }) => {
    behaviour.recipient = () => {
      throw refusal(451, 'Greylisted')
    }
    const email = await registered(api)
    await api.app.runTask('mail')
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: null, attempts: 1 }])
    delete behaviour.recipient
    await makeDue(sql)
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(1)
  })

  test('to a server that says nothing is given up in time, and tried again', async () => {
    const mute = await startMute()
    const api = await startApi({ SMTP_URL: `smtp://127.0.0.1:${mute.port}?greetingTimeout=200` })
    const sql = ownerSql(api.ownerUrl)
    const email = await registered(api)
    await api.app.runTask('mail')
    expect(await rowsOf(sql, email)).toMatchObject([
      { outcome: null, attempts: 1, last_error: expect.stringMatching(/greeting/i) },
    ])
    await sql.end()
    await api.close()
    await mute.close()
  })

  test('is given up a day after it was written', async ({ world: { api, sql, behaviour } }) => {
    behaviour.recipient = () => {
      throw refusal(451, 'Later')
    }
    const email = await registered(api)
    await sql`update mail_outbox set created_at = now() - interval '25 hours'`
    await api.app.runTask('mail')
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: 'failed', ended_at: expect.anything() }])
  })

  test('that fails holds no other mail up', async ({ world: { api, sql, smtp, behaviour } }) => {
    const emails = await Promise.all(Array.from({ length: 12 }, () => registered(api)))
    behaviour.recipient = (address) => {
      if (emails.indexOf(address) < 7) throw refusal(451, 'Later')
    }
    await api.app.runTask('mail')
    expect(smtp.received.flatMap(({ recipients }) => recipients).sort()).toEqual(emails.slice(7).sort())
    expect(await sql`select 1 from mail_outbox where outcome is null and attempts = 1`).toHaveLength(7)
  })
})

describe('two instances', () => {
  test('send each message once', async ({ world: { api, sql, smtp } }) => {
    const second = await buildApp(api.config, api.url)
    await second.ready()
    second.lifecycle.state = 'ready'
    const emails = await Promise.all(Array.from({ length: 20 }, () => registered(api)))
    await Promise.all([
      api.app.runTask('mail'),
      second.runTask('mail'),
      api.app.runTask('mail'),
      second.runTask('mail'),
    ])
    await Promise.all([api.app.runTask('mail'), second.runTask('mail')])
    expect(smtp.received.flatMap(({ recipients }) => recipients).sort()).toEqual(emails.sort())
    expect(await sql`select distinct attempts, outcome from mail_outbox`).toMatchObject([
      { attempts: 1, outcome: 'sent' },
    ])
    await second.close()
  })

  test('leave a message to the one that has it, until its lease ends', async ({ world: { api, sql, smtp } }) => {
    const email = await registered(api)
    // What a process leaves behind that died while it was sending.
    await sql`update mail_outbox set attempts = 1, due_at = now() + interval '60 seconds' where recipient = ${email}`
    await api.app.runTask('mail')
    expect(smtp.received).toEqual([])
    await sql`update mail_outbox set due_at = now() - interval '1 second' where recipient = ${email}`
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(1)
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: 'sent', attempts: 2 }])
  })

  test('leave the outcome to the one that has the newer lease', async ({ world: { api, sql, smtp, behaviour } }) => {
    const email = await registered(api)
    behaviour.message = () => sql`update mail_outbox set attempts = attempts + 1`.then(() => undefined)
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(1)
    expect(await rowsOf(sql, email)).toMatchObject([{ outcome: null, attempts: 2 }])
  })
})

describe('links', () => {
  test('of one kind go to one recipient five times an hour; what is beyond is dropped', async ({
    world: { api, sql, smtp },
  }) => {
    const email = await registered(api)
    for (let request = 0; request < 7; request++) {
      await api.anonymous.post('/auth/forgot-password', { email })
      await api.app.runTask('mail')
    }
    expect(to(smtp, email)).toHaveLength(6)
    expect((await rowsOf(sql, email)).map(({ outcome }) => outcome)).toEqual([
      ...Array(6).fill('sent'),
      ...Array(2).fill('dropped'),
    ])
    await sql`update mail_outbox set created_at = created_at - interval '61 minutes'`
    await api.anonymous.post('/auth/forgot-password', { email })
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(7)
  })

  test('of other kinds, however many, do not keep the one from a user that sets a new password', async ({
    world: { api, sql, smtp },
  }) => {
    const [pest, email] = [await api.newOwner(), await registered(api)]
    for (let round = 0; round < 6; round++) {
      const { body } = await pest.post('/invitations', { email, roles: ['member'] })
      await api.app.runTask('mail')
      await pest.post(`/invitations/${body.id}/cancel`)
    }
    await api.anonymous.post('/auth/forgot-password', { email })
    await api.app.runTask('mail')
    expect((await rowsOf(sql, email)).at(-1)).toMatchObject({ outcome: 'sent' })
    expect(to(smtp, email)).toHaveLength(7)
  })

  test('of one kind that wait together become one mail, the newest', async ({ world: { api, sql, smtp } }) => {
    const email = await registered(api)
    await api.app.runTask('mail')
    for (let request = 0; request < 4; request++) await api.anonymous.post('/auth/forgot-password', { email })
    await api.app.runTask('mail')
    expect(to(smtp, email)).toHaveLength(2)
    expect((await rowsOf(sql, email)).at(-1)?.outcome).toBe('sent')
  })

  test('are asked for by anybody and sent to accounts only', async ({ world: { api, sql, smtp } }) => {
    const email = newEmail()
    for (const path of ['/auth/forgot-password', '/auth/resend-verification'])
      expect((await api.anonymous.post(path, { email })).status).toBe(202)
    expect(await rowsOf(sql, email)).toHaveLength(2)
    await api.app.runTask('mail')
    expect(smtp.received).toEqual([])
    expect((await rowsOf(sql, email)).map(({ outcome }) => outcome)).toEqual(['dropped', 'dropped'])
  })
})

test('retries come after a minute, then ever more seldom, up to an hour', () => {
  for (const [attempts, least, most] of [
    [1, 60, 60],
    [2, 96, 120],
    [4, 384, 480],
    [7, 2_880, 3_600],
    [50, 2_880, 3_600],
  ] as const) {
    const waits = Array.from({ length: 100 }, () => retryAfterS(attempts))
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(least)
    expect(Math.max(...waits)).toBeLessThanOrEqual(most)
  }
})

test('what ended a month ago is forgotten, and so are expired links', async ({ world: { api, sql } }) => {
  const [old, recent] = [await registered(api), await registered(api)]
  await api.app.runTask('mail')
  await sql`update mail_outbox set ended_at = now() - interval '31 days' where recipient = ${old}`
  await sql`update mail_tokens set expires_at = now() - interval '1 second' where email = ${old}`
  await sql`update mail_outbox set ended_at = now() - interval '29 days' where recipient = ${recent}`
  await api.app.runTask('purge mail')
  expect([(await rowsOf(sql, old)).length, (await rowsOf(sql, recent)).length]).toEqual([0, 1])
  expect((await sql`select email from mail_tokens`).map(({ email }) => email)).toEqual([recent])
})

test('a header cannot be written into mail through a name', async ({ world: { api, sql, smtp } }) => {
  const names = [
    'Evil\r\nBcc: victim@example.net',
    'Evil\nContent-Type: text/html\n\n<h1>',
    'Evil\u2028Bcc: x\u0085y\u0000'.slice(0, -1),
  ]
  for (const name of names) {
    const inviter = await registered(api)
    await sql`update users set full_name = ${name} where email = ${inviter}`
    const [org] = await sql`update organizations set name = ${name} where contact_email = ${inviter} returning id`
    const email = newEmail()
    const [invitation] = await sql`
      insert into invitations (org_id, id, email, roles, invited_by, expires_at) select ${org?.id}, gen_random_uuid(),
        ${email}, '{user}', id, now() + interval '1 day' from users where email = ${inviter} returning id`
    await sql`insert into mail_outbox (id, template, recipient, data) values (gen_random_uuid(), 'invitation', ${email},
      ${sql.json({ org_id: org?.id, invitation_id: invitation?.id })})`
    await api.app.runTask('mail')
    const [message] = to(smtp, email)
    expect(message?.recipients).toEqual([email])
    expect(message?.email.subject).toMatch(/^Invitation to Evil /)
    expect(message?.email).toMatchObject({ to: [{ address: email }] })
    expect(message?.email.bcc ?? []).toEqual([])
    const head = message?.raw.slice(0, message.raw.indexOf('\r\n\r\n')) ?? ''
    expect(head.match(/^[\w-]+:/gm)?.sort()).toEqual([
      'Content-Type:',
      'Date:',
      'From:',
      'MIME-Version:',
      'Message-ID:',
      'Subject:',
      'To:',
    ])
    expect(message?.email.html).not.toContain('<h1>')
  }
})
