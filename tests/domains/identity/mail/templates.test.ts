import { describe, expect, test } from 'vitest'
import { renderMail } from '../../../../src/domains/identity/mail/templates.ts'

const publicUrl = 'https://app.example'
const recipient = "o'hara@example.com"
const link = { token: 'T0k-en_', ttl_s: 3_600 }

const linked = [
  ['verify_email', '/verify-email', '/auth/verify-email'],
  ['reset_password', '/reset-password', '/auth/reset-password'],
  ['change_email', '/confirm-email', '/auth/confirm-email'],
  ['invitation', '/invitations/accept', '/invitations/accept'],
] as const

const notices = [
  'already_registered',
  'email_changed',
  'password_changed',
  'new_device',
  'token_theft',
  'factor_changed',
  'factor_locked',
  'organization_deleted',
  'ownership_transferred',
] as const

describe.each(linked)('the mail %s', (template, page, call) => {
  test('has its link as a button, as text and as a call of the API, and says how long it lives', () => {
    const { text, html, to } = renderMail({ template, recipient, data: {}, link }, publicUrl)
    const url = `${publicUrl}${page}?token=T0k-en_`
    expect(to).toBe(recipient)
    expect(text).toContain(`\n${url}\n`)
    expect(html).toContain(`<a href="${url}"`)
    expect(html).toContain(`>${url}</p>`)
    expect(text).toContain(`curl -X POST ${publicUrl}/api/v1${call} `)
    for (const part of [text, html]) expect(part).toContain('The link works once, for 1 hour.')
  })
})

describe.each([...linked.map(([template]) => template), ...notices])('the mail %s', (template) => {
  const hostile = '<script>alert("1")</script>&\r\nBcc: x@example.net'
  const fields = ['organization_name', 'inviter', 'email', 'device', 'ip', 'change', 'new_owner', 'password_hash']
  const data = Object.fromEntries(fields.map((field) => [field, hostile]))

  test('says who it is for and what to do if one did not ask, whatever it is given', () => {
    for (const given of [{}, data]) {
      const { subject, text, html } = renderMail({ template, recipient, data: given, link }, publicUrl)
      expect(subject).toMatch(/^[^\r\n]{5,150}$/)
      expect(text).toContain(`This message is for ${recipient}. If `)
      expect(html).toContain('This message is for o&#39;hara@example.com. If ')
      expect(html).not.toMatch(/<script|undefined|\[object/)
      expect(text).not.toMatch(/\r|undefined|\[object/)
    }
  })
})

test('a life is told in the unit that people use', () => {
  const lives = [86_400, 604_800, 172_800, 3_600, 2_400, 30]
  const told = lives.map((ttl_s) => {
    const { text } = renderMail(
      { template: 'verify_email', recipient, data: {}, link: { token: 't', ttl_s } },
      publicUrl,
    )
    return /for (\d+ \w+)\./.exec(text)?.[1]
  })
  expect(told).toEqual(['24 hours', '7 days', '2 days', '1 hour', '40 minutes', '1 minute'])
})

test('a name is no link', () => {
  const data = { organization_name: 'Win at https://evil.example/now', inviter: 'http://evil.example' }
  const { text, html, subject } = renderMail({ template: 'invitation', recipient, data, link }, publicUrl)
  for (const part of [text, html, subject]) expect(part).not.toContain('://evil')
})
