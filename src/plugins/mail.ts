import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createTransport } from 'nodemailer'
import { v7 as uuidv7 } from 'uuid'
import { isLoopback } from '../lib/address.ts'
import { Strict } from '../lib/schema.ts'

export type MailMessage = {
  /** One address, without a name. */
  to: string
  subject: string
  text: string
  html: string
}

/** A message that was kept instead of sent. */
type KeptMail = MailMessage & { id: string; links: string[]; created_at: string }

declare module 'fastify' {
  interface FastifyInstance {
    mail: {
      /** Whether mail has a way out; where it has none, it waits in the outbox. */
      readonly ready: boolean
      /** The messages of development and tests without SMTP_URL, newest first. */
      readonly kept: readonly KeptMail[]
      /**
       * Hands one message to the mail server, or keeps it.
       * @throws Error of the server or of the way there; one with a `responseCode` was refused by the server
       */
      send(message: MailMessage): Promise<void>
    }
  }
}

const keptMax = 200

/** The whole of one delivery ends before its lease does (`domains/identity/mail`), or two instances could send it. */
const sendWithinMs = 45_000

/** A server that is slow to begin is as good as away; only the message itself may take its time. */
const timeouts = { dnsTimeout: 5_000, connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 }

/** Mail over SMTP; kept in memory where development and tests have none. */
export default fp(
  async (app: FastifyInstance) => {
    const { mail, environment, host, production } = app.config
    const kept: KeptMail[] = []
    const transport =
      mail.smtpUrl === undefined
        ? undefined
        : createTransport({ ...timeouts, url: mail.smtpUrl, disableFileAccess: true, disableUrlAccess: true })

    const keep = (message: MailMessage) => {
      const links = [...new Set(Array.from(message.html.matchAll(/href="([^"]*)"/g), ([, link]) => link as string))]
      kept.unshift({ id: uuidv7(), ...message, links, created_at: new Date().toISOString() })
      kept.length = Math.min(kept.length, keptMax)
    }

    app.decorate('mail', {
      ready: transport !== undefined || !production,
      kept,
      send: async ({ to, ...message }) => {
        if (transport === undefined) return keep({ to, ...message })
        const signal = AbortSignal.timeout(sendWithinMs)
        await transport.sendMail({ ...message, from: mail.from, to: { name: '', address: to }, signal })
      },
    })
    app.addHook('onReady', async () => {
      if (!app.mail.ready) app.log.warn('SMTP_URL is not set: mail waits in the outbox, and nobody gets any')
    })
    if (environment === 'development' && isLoopback(host)) addMailbox(app, kept)
  },
  { name: 'mail', dependencies: ['authorize'] },
)

/** Shows kept mail to whoever sits at this machine, links and all: for development only, and in no document. */
function addMailbox(app: FastifyInstance, kept: KeptMail[]) {
  const path = '/api/v1/dev/mailbox'
  const config = { public: true } as const
  const querystring = Strict({ to: Type.Optional(Type.String({ maxLength: 254 })) })
  app.get<{ Querystring: { to?: string } }>(
    path,
    { config, schema: { hide: true, querystring } },
    async ({ query: { to } }) => ({ data: kept.filter((message) => to === undefined || message.to === to) }),
  )
  app.delete(path, { config, schema: { hide: true } }, async (_request, reply) => {
    kept.length = 0
    return reply.code(204).send()
  })
}
