import type { MailTemplate } from '../../../db/outbox.ts'
import type { MailMessage } from '../../../plugins/mail.ts'

/** What one message tells; `link` where it carries one. */
export type MailFacts = {
  template: MailTemplate
  recipient: string
  data: Record<string, unknown>
  link?: { token: string; ttl_s: number }
}

type Content = {
  subject: string
  lines: string[]
  /** The page of the link, and what to send to the API where there is no such page. */
  action?: { label: string; page: string; call: string; body?: Record<string, string> }
  /** What to do if one did not ask for it. */
  unasked: string
}

/** A value of the data as one short line, whatever somebody wrote there: names are other people's text. */
const said = (value: unknown, otherwise: string): string =>
  (typeof value === 'string' ? value : '')
    .replace(/[\p{C}\p{Z}]/gu, ' ')
    .replaceAll('://', ' ')
    .trim()
    .slice(0, 100) || otherwise

const resetInstead = 'If it was not you, reset your password at once: POST /api/v1/auth/forgot-password.'

/** What `data` each template tells; what is missing is told in general words. */
const contents: Record<MailTemplate, (data: Record<string, unknown>) => Content> = {
  verify_email: (data) => ({
    subject: 'Verify your e-mail address',
    lines:
      data.password_hash === undefined
        ? ['An account was made with this address. Open the link to say that the address is yours.']
        : [
            `Somebody at ${said(data.ip, 'an unknown address')} registered this address, which was registered before and never verified.`,
            'If that was you, open the link: the account is then yours, with the password of this registration, and whatever was done with it before is undone.',
          ],
    action: { label: 'Verify the address', page: '/verify-email', call: '/auth/verify-email' },
    unasked: 'If it was not you, do not open the link: without it the account cannot use your address.',
  }),
  already_registered: () => ({
    subject: 'You have an account already',
    lines: [
      'Somebody, probably you, tried to register with this address. It has an account already, so nothing was changed.',
      'Sign in with your password; if you forgot it, ask for a new one: POST /api/v1/auth/forgot-password.',
    ],
    unasked: 'If it was not you, you need not do anything.',
  }),
  reset_password: () => ({
    subject: 'Set a new password',
    lines: ['Somebody, probably you, asked for a link to set a new password for the account of this address.'],
    action: {
      label: 'Set a new password',
      page: '/reset-password',
      call: '/auth/reset-password',
      body: { password: 'YOUR NEW PASSWORD' },
    },
    unasked: 'If it was not you, you need not do anything: your password stays as it is.',
  }),
  change_email: () => ({
    subject: 'Confirm your new e-mail address',
    lines: ['The owner of an account wants to use this address for it from now on.'],
    action: { label: 'Confirm the address', page: '/confirm-email', call: '/auth/confirm-email' },
    unasked: 'If it was not you, do not open the link: without it nothing changes.',
  }),
  email_changed: ({ email }) => ({
    subject: 'Your e-mail address was changed',
    lines: [`Your account has another e-mail address from now on: ${said(email, 'a new one')}.`],
    unasked: 'If it was not you, tell an administrator of your organisation at once.',
  }),
  password_changed: () => ({
    subject: 'Your password was changed',
    lines: ['The password of your account was changed, and your other sessions were ended.'],
    unasked: resetInstead,
  }),
  invitation: ({ organization_name, inviter }) => ({
    subject: `Invitation to ${said(organization_name, 'an organisation')}`,
    lines: [`${said(inviter, 'Somebody')} invites you to join ${said(organization_name, 'an organisation')}.`],
    action: { label: 'Accept the invitation', page: '/invitations/accept', call: '/invitations/accept' },
    unasked: 'If you do not want to join, you need not do anything.',
  }),
  new_device: ({ device, ip }) => ({
    subject: 'A new device signed in',
    lines: [
      `Your account was used from a new device: ${said(device, 'unknown')}, at ${said(ip, 'an unknown address')}.`,
    ],
    unasked: resetInstead,
  }),
  token_theft: ({ device, ip }) => ({
    subject: 'A session was ended for safety',
    lines: [
      `A refresh token of your account came back after it was used (${said(device, 'unknown device')}, ${said(ip, 'unknown address')}).`,
      'Somebody may have copied it, so that session was ended. Sign in again.',
    ],
    unasked: resetInstead,
  }),
  factor_changed: ({ change, ip }) => ({
    subject: 'Your second factor was changed',
    lines: [
      `The second factor of your account was changed (${said(change, 'see your account')}) at ${said(ip, 'an unknown address')}.`,
    ],
    unasked: resetInstead,
  }),
  factor_locked: ({ ip }) => ({
    subject: 'Your second factor was locked',
    lines: [
      `Somebody who knows your password, or sits in a session of yours, gave many wrong codes in a row, the last at ${said(ip, 'an unknown address')}.`,
      'Your account takes no more codes until you sign in with a recovery code or set a new password.',
    ],
    unasked: resetInstead,
  }),
  organization_deleted: ({ organization_name }) => ({
    subject: `${said(organization_name, 'Your organisation')} was deleted`,
    lines: [
      `${said(organization_name, 'Your organisation')} was deleted by its owner. Its data is kept for 30 days and then gone for good.`,
    ],
    unasked: 'If this is a mistake, ask the owner or the operator to restore it in time.',
  }),
  ownership_transferred: ({ organization_name, new_owner }) => ({
    subject: `${said(organization_name, 'Your organisation')} has a new owner`,
    lines: [
      `The ownership of ${said(organization_name, 'your organisation')} went to ${said(new_owner, 'another member')}.`,
    ],
    unasked: 'If nobody agreed to this, tell the operator of the service at once.',
  }),
}

/**
 * The message in text and HTML.
 * @param publicUrl where every link begins: configuration, never what a request said
 */
export function renderMail({ template, recipient, data, link }: MailFacts, publicUrl: string): MailMessage {
  const { subject, lines, action, unasked } = contents[template](data)
  const note = `This message is for ${recipient}. ${unasked}`
  if (action === undefined || link === undefined)
    return { to: recipient, subject, text: textOf([...lines, note]), html: htmlOf(subject, lines, '', note) }
  const url = `${publicUrl}${action.page}?token=${link.token}`
  const life = `The link works once, for ${lifeOf(link.ttl_s)}.`
  const body = JSON.stringify({ token: link.token, ...action.body })
  const call = `curl -X POST ${publicUrl}/api/v1${action.call} -H 'content-type: application/json' -d '${body}'`
  const calls = [`Without a browser:\n${call}`, ...(template === 'invitation' ? [joining] : [])]
  return {
    to: recipient,
    subject,
    text: textOf([...lines, `${action.label}:\n${url}`, life, ...calls, note]),
    html: htmlOf(subject, lines, buttonOf(action.label, url, life), note),
  }
}

const joining =
  'That needs to be signed in (-H "authorization: Bearer …"). Without an account, register with this address and the token as invitation_token: POST /api/v1/auth/register.'

/** `24 hours`, `7 days`, `1 hour`, `40 minutes`. */
function lifeOf(seconds: number): string {
  const [unit, size] =
    seconds >= 172_800
      ? (['day', 86_400] as const)
      : seconds >= 3_600
        ? (['hour', 3_600] as const)
        : (['minute', 60] as const)
  const count = Math.max(1, Math.floor(seconds / size))
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

const textOf = (parts: string[]) => `${parts.join('\n\n')}\n`

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] as string)

const paragraph = (text: string) => `<p style="margin:0 0 16px">${escaped(text)}</p>`

const buttonOf = (label: string, url: string, life: string) =>
  [
    `<p style="margin:0 0 16px"><a href="${escaped(url)}" style="display:inline-block;padding:10px 18px;background:#1f4e79;color:#ffffff;text-decoration:none;border-radius:4px">${escaped(label)}</a></p>`,
    `<p style="margin:0 0 16px;word-break:break-all">${escaped(url)}</p>`,
    paragraph(life),
  ].join('\n')

const htmlOf = (subject: string, lines: string[], button: string, note: string) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(subject)}</title></head>
<body style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#222222">
<div style="max-width:560px;margin:0 auto">
${lines.map(paragraph).join('\n')}
${button}
<p style="margin:24px 0 0;font-size:13px;color:#666666">${escaped(note)}</p>
</div></body></html>
`
