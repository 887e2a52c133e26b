import type { FastifyInstance } from 'fastify'
import { claimMail, factsOf, type OutboxMail, postponeMail, purgeMail, settleMail } from './queries.ts'
import { renderMail } from './templates.ts'

const pollEveryMs = 500
const purgeEveryMs = 3_600_000

/** Messages under way at once; each may take its time. */
const parallelMax = 5

const giveUpAfterS = 86_400

/** Sends what lies in the outbox, and forgets what was sent long ago. */
export const mailDelivery = async (app: FastifyInstance) => {
  const { db } = app.pools.requests

  const deliver = async (mail: OutboxMail) => {
    try {
      const facts = await factsOf(db, mail)
      if (facts !== undefined) await app.mail.send(renderMail(facts, app.config.publicUrl))
      await settleMail(db, mail, facts === undefined ? 'dropped' : 'sent')
    } catch (error) {
      const { id, template, attempts } = mail
      app.log.warn({ err: error, mail_id: id, template, attempts }, 'mail could not be sent')
      const reason = reasonOf(error)
      if (isFinal(error) || mail.age_s > giveUpAfterS) await settleMail(db, mail, 'failed', reason)
      else await postponeMail(db, mail, retryAfterS(attempts), reason)
    }
  }

  app.every('mail', pollEveryMs, async () => {
    while (app.mail.ready && app.lifecycle.state !== 'stopping') {
      const due = await claimMail(db, parallelMax)
      await Promise.all(due.map(deliver))
      if (due.length < parallelMax) return
    }
  })
  app.every('purge mail', purgeEveryMs, () => purgeMail(db))
}

/** 1 minute after the first attempt, then twice as long each time up to an hour, less a random part of a fifth. */
export const retryAfterS = (attempts: number): number =>
  Math.max(60, Math.min(3_600, 60 * 2 ** (attempts - 1)) * (0.8 + 0.2 * Math.random()))

type SmtpError = Error & { responseCode?: number; command?: string }

/** A server that refuses this recipient or this message for good will do so again; one that refuses us may be mended. */
const isFinal = (error: unknown): boolean => {
  const { responseCode = 0, command } = error as SmtpError
  return responseCode >= 500 && (command === 'RCPT TO' || command === 'DATA')
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, 300)
