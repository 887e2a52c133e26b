import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { describe, expect, test } from 'vitest'
import type { Problem } from '../../src/lib/errors.ts'
import type { Auth } from '../../src/plugins/access-cache.ts'
import authorize, { platformPermission } from '../../src/plugins/authorize.ts'

const id = '00000000-0000-7000-8000-000000000001'

const session: Auth = {
  session_id: 's',
  api_key_id: null,
  user_id: id,
  org_id: 'o',
  roles: [],
  permissions: new Set(['credit:write']),
  is_superuser: false,
  impersonator_id: null,
  verified: true,
  lacks_factor: false,
  rate_limit: null,
  stepped_up_s: 600,
  expires_in_s: 600,
  principal: `user:${id}`,
  stepped_up_until: Number.POSITIVE_INFINITY,
}
const callers = {
  session,
  stale: { ...session, stepped_up_until: 0 },
  acting: { ...session, impersonator_id: 'r' },
  key: { ...session, session_id: null, api_key_id: 'k' },
  'key elsewhere': { ...session, session_id: null, api_key_id: 'k', admits: () => false },
  'session elsewhere': { ...session, admits: () => false },
  'without factor': { ...session, lacks_factor: true },
  unverified: { ...session, verified: false },
  superuser: { ...session, org_id: null, permissions: new Set([platformPermission]), admits: () => false },
} satisfies Record<string, Auth>

/** What the guard of a route says to a caller: `in`, or the code of its refusal. */
async function answerOf(caller: keyof typeof callers, method: 'GET' | 'POST', config: object): Promise<string> {
  const app = Fastify()
  app.register(
    fp(
      async (scope) => {
        scope.decorateRequest('auth', null)
        scope.decorateRequest('authProblem', null)
        scope.addHook('onRequest', async (request) => {
          request.auth = callers[caller]
        })
      },
      { name: 'auth' },
    ),
  )
  app.setErrorHandler<Problem>((error, _request, reply) => reply.send(error.code))
  app.register(authorize)
  app.register(async (scope) => scope.route({ method, url: '/users/:id', config, handler: async () => 'in' }))
  const { payload } = await app.inject({ method, url: `/users/${id}` })
  await app.close()
  return payload
}

const own = { permission: 'signed_in' }
const may = { permission: 'credit:write' }
const lacks = { permission: 'members:manage' }

describe('the guard', () => {
  test.for([
    ['key', 'GET', own, 'forbidden'],
    ['key', 'GET', { ...own, apiKeys: true }, 'in'],
    ['key', 'POST', may, 'in'],
    ['key', 'POST', { ...may, stepUp: true }, 'forbidden'],
    ['key', 'POST', { ...lacks, self: 'id' }, 'forbidden'],
    ['key elsewhere', 'GET', { ...own, apiKeys: true, unverified: true }, 'ip_not_allowed'],
    ['session elsewhere', 'GET', own, 'ip_not_allowed'],
    ['session elsewhere', 'GET', { ...own, unverified: true }, 'in'],
    ['acting', 'GET', own, 'in'],
    ['acting', 'POST', own, 'forbidden'],
    ['acting', 'POST', { ...own, impersonated: true }, 'in'],
    ['acting', 'POST', may, 'in'],
    ['acting', 'POST', { ...may, stepUp: true }, 'forbidden'],
    ['acting', 'POST', { ...may, stepUp: true, impersonated: true }, 'forbidden'],
    ['acting', 'POST', { ...lacks, self: 'id' }, 'forbidden'],
    ['acting', 'GET', { ...lacks, self: 'id' }, 'in'],
    ['session', 'POST', own, 'in'],
    ['session', 'POST', lacks, 'forbidden'],
    ['session', 'POST', { ...lacks, self: 'id' }, 'in'],
    ['session', 'POST', { ...may, stepUp: true }, 'in'],
    ['stale', 'POST', { ...may, stepUp: true }, 'step_up_required'],
    ['stale', 'POST', { ...lacks, stepUp: true }, 'forbidden'],
    ['session', 'GET', { permission: platformPermission }, 'forbidden'],
    ['superuser', 'GET', { permission: platformPermission }, 'in'],
    ['superuser', 'GET', may, 'ip_not_allowed'],
    ['without factor', 'GET', own, 'mfa_required'],
    ['unverified', 'POST', own, 'email_unverified'],
    ['unverified', 'POST', { ...own, unverified: true }, 'in'],
  ] as const)('answers a caller by %s who asks %s %j with %s', async ([caller, method, config, answer]) => {
    expect(await answerOf(caller, method, config)).toBe(answer)
  })
})
