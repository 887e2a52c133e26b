import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { limitGuesses } from '../../../db/login-throttle.ts'
import { enqueueMail, type MailTemplate } from '../../../db/outbox.ts'
import type { TenantScope } from '../../../db/scope.ts'
import { requiredEmail } from '../../../lib/email.ts'
import { Problem } from '../../../lib/errors.ts'
import { assertPassword, hashPassword, verifyPassword } from '../../../lib/password.ts'
import { ref } from '../../../lib/schema.ts'
import type { Auth } from '../../../plugins/access-cache.ts'
import { stepUpRequired } from '../../../plugins/authorize.ts'
import { authLimit } from '../../../plugins/rate-limit.ts'
import {
  type Changed,
  changePassword,
  confirmEmail,
  getUser,
  recordWrongPassword,
  requestEmailChange,
  resetPassword,
  verifyEmail,
  wrongPassword,
} from './queries.ts'
import {
  EmailChange,
  EmailConfirmation,
  EmailVerification,
  MailRequest,
  MailRequestAccepted,
  PasswordChange,
  PasswordReset,
} from './schemas.ts'

type Change = (scope: TenantScope) => Promise<Changed>

const tags = ['identity']
const accepted = { status: 'accepted' } as const
const done = (description: string) => ({ 204: Type.Null({ description }) })

/** Verifying, changing and winning back an account, by links that are mailed. */
export const account: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [MailRequest, MailRequestAccepted, EmailVerification, PasswordReset, PasswordChange])
    app.addSchema(model)
  for (const model of [EmailChange, EmailConfirmation]) app.addSchema(model)
  const { passwordComposition } = app.config.auth
  const config = { public: true, rateLimit: authLimit(app) } as const
  const own = { permission: 'signed_in', unverified: true, rateLimit: authLimit(app) } as const

  /** The fault of a new password as the problem of its field. */
  const refuse = (field: string, password: string, user?: { email: string; username: string | null }) =>
    assertPassword(password, passwordComposition, [user?.email, user?.username ?? undefined], field)

  /** Writes the mail down whoever has the address: the account is looked up when it is sent, so nothing here tells. */
  const requestMail = async (request: FastifyRequest, template: MailTemplate, email: string) => {
    const recipient = requiredEmail(email)
    await request.once((scope) => enqueueMail(scope.db, { template, recipient }))
    return accepted
  }

  /** Runs what a link allows. */
  const byLink = async (request: FastifyRequest, change: Change) => {
    const { user_id } = await request.once(change)
    app.access.forget(`user:${user_id}`)
  }

  app.post(
    '/auth/verify-email',
    {
      config,
      schema: {
        operationId: 'verifyEmail',
        summary: 'Verify an e-mail address by the link mailed to it',
        tags,
        body: ref(EmailVerification),
        response: done('Verified'),
      },
    },
    async (request, reply) => {
      await byLink(request, (scope) => verifyEmail(scope, request.body.token))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/auth/resend-verification',
    {
      config,
      schema: {
        operationId: 'resendVerification',
        summary: 'Mail the link that verifies an address again',
        tags,
        body: ref(MailRequest),
        response: { 202: ref(MailRequestAccepted) },
      },
    },
    async (request, reply) => reply.code(202).send(await requestMail(request, 'verify_email', request.body.email)),
  )

  app.post(
    '/auth/forgot-password',
    {
      config,
      schema: {
        operationId: 'forgotPassword',
        summary: 'Mail a link that sets a new password',
        tags,
        body: ref(MailRequest),
        response: { 202: ref(MailRequestAccepted) },
      },
    },
    async (request, reply) => reply.code(202).send(await requestMail(request, 'reset_password', request.body.email)),
  )

  app.post(
    '/auth/reset-password',
    {
      config,
      schema: {
        operationId: 'resetPassword',
        summary: 'Set a new password by the link that was mailed; every session ends',
        tags,
        body: ref(PasswordReset),
        response: done('The password is set'),
      },
    },
    async (request, reply) => {
      const { token, password } = request.body
      refuse('password', password)
      const hash = await hashPassword(password)
      await byLink(request, (scope) => resetPassword(scope, token, hash, (user) => refuse('password', password, user)))
      return reply.code(204).send(null)
    },
  )

  /** For a caller who proves himself: by the current password, a wrong one being counted, or by step-up before. */
  const replacePassword = async (request: FastifyRequest, { current_password, new_password }: PasswordChange) => {
    const { scope, ip } = request
    const { user_id, session_id } = prover(request, current_password !== undefined)
    const user = await getUser(scope.db, user_id)
    refuse('new_password', new_password, user)
    const hash = await hashPassword(new_password)
    const change: Change = async (inside) => {
      if (current_password !== undefined && !(await verifyPassword(user.password_hash, current_password)))
        throw wrongPassword()
      return changePassword(inside, user, session_id as string, hash)
    }
    if (current_password === undefined) return request.once(change)
    const refused = () => recordWrongPassword(scope)
    return limitGuesses(scope.db, user.email, ip, () => request.once(change), refused)
  }

  app.post(
    '/auth/change-password',
    {
      config: own,
      schema: {
        operationId: 'changePassword',
        summary: 'Change the password; every other session ends',
        tags,
        body: ref(PasswordChange),
        response: done('The password is changed'),
      },
    },
    async (request, reply) => {
      const { user_id } = await replacePassword(request, request.body)
      app.access.forget(`user:${user_id}`)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/auth/change-email',
    {
      config: { ...own, stepUp: true },
      schema: {
        operationId: 'changeEmail',
        summary: 'Mail a link that confirms a new e-mail address',
        tags,
        body: ref(EmailChange),
        response: { 202: ref(MailRequestAccepted) },
      },
    },
    async (request, reply) => {
      const { session_id } = prover(request, true)
      const email = requiredEmail(request.body.email)
      await request.once((scope) => requestEmailChange(scope, session_id as string, email))
      return reply.code(202).send(accepted)
    },
  )

  app.post(
    '/auth/confirm-email',
    {
      config,
      schema: {
        operationId: 'confirmEmail',
        summary: 'Change the e-mail address by the link mailed to the new one; other sessions end',
        tags,
        body: ref(EmailConfirmation),
        response: done('The address is changed'),
      },
    },
    async (request, reply) => {
      await byLink(request, (scope) => confirmEmail(scope, request.body.token, request.auth?.session_id ?? null))
      return reply.code(204).send(null)
    },
  )
}

/** The caller, who is himself and proves it: by his password, or by step-up before. */
function prover({ auth }: FastifyRequest, proves: boolean): Auth {
  const caller = auth as Auth
  if (caller.impersonator_id !== null)
    throw new Problem('forbidden', 'Whoever acts as somebody else cannot change how that one signs in.')
  if (!proves && caller.stepped_up_until <= performance.now()) throw stepUpRequired()
  return caller
}
