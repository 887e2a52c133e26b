import type { Policy } from '../../../db/tables/organizations.ts'
import { admission, isNetwork } from '../../../lib/address.ts'
import { canonicalDomain } from '../../../lib/email.ts'
import { invalidField, Problem } from '../../../lib/errors.ts'
import type { Auth } from '../../../plugins/access-cache.ts'

/** Who asks, from where: these routes judge by the membership in the organisation of the path, not in the active one. */
export type Caller = { user_id: string; session_id: string; ip: string; impersonated: boolean }

/** The caller of a route that asks for a session. */
export const callerOf = ({ auth, ip }: { auth: Auth | null; ip: string }): Caller => {
  const { user_id, session_id, impersonator_id } = auth as Auth
  return { user_id, session_id: session_id as string, ip, impersonated: impersonator_id !== null }
}

/** @throws Problem `forbidden` for who is no owner */
export function assertOwner(roles: readonly string[]): void {
  if (!roles.includes('owner')) throw new Problem('forbidden', 'Only an owner of that organisation can do this.')
}

type Life = { is_active: boolean; deleted_at: string | null }

export const statusOf = ({ is_active, deleted_at }: Life): 'active' | 'suspended' | 'deleted' => {
  if (deleted_at !== null) return 'deleted'
  return is_active ? 'active' : 'suspended'
}

/** @throws Problem `invalid_state` for an organisation that is suspended or deleted: it stays as it is */
export function assertActive(organization: Life): void {
  const status = statusOf(organization)
  if (status === 'active') return
  const remedy = status === 'deleted' ? 'restore it first' : 'ask the platform to lift that first'
  throw new Problem('invalid_state', `The organisation is ${status}; ${remedy}.`)
}

/** What the policy is where it says nothing. */
export const completePolicy = (policy: Policy): Required<Policy> => ({
  session_lifetime_s: null,
  mfa_required: false,
  ip_allowlist: [],
  allowed_email_domains: [],
  ...policy,
})

/**
 * The changed fields of a policy in their one form: domains canonical, nothing twice.
 * @throws Problem `validation_failed` for what is no address, network or domain
 */
export function canonicalPolicy(change: Policy): Policy {
  const { ip_allowlist, allowed_email_domains } = change
  const domains = allowed_email_domains?.map((text, index) => {
    const domain = canonicalDomain(text)
    if (domain === undefined) throw invalidAt('allowed_email_domains', index, 'must be a domain')
    return domain
  })
  ip_allowlist?.forEach((text, index) => {
    if (!isNetwork(text)) throw invalidAt('ip_allowlist', index, 'must be an address or a network in CIDR form')
  })
  return {
    ...change,
    ...(ip_allowlist && { ip_allowlist: [...new Set(ip_allowlist)] }),
    ...(domains && { allowed_email_domains: [...new Set(domains)] }),
  }
}

const invalidAt = (list: string, index: number, message: string) =>
  invalidField(`/body/settings/${list}/${index}`, 'format', message)

/**
 * Refuses a policy that would shut out who makes it: he could not take it back.
 * @param caller his address, and whether he signed in with a second factor
 * @throws Problem `policy_locks_out`
 */
export function assertStaysIn(change: Policy, caller: { ip: string; mfa: boolean }): void {
  if (admission(change.ip_allowlist)?.(caller.ip) === false)
    throw new Problem('policy_locks_out', `Your own address ${caller.ip} is not on this list; add it.`)
  if (change.mfa_required === true && !caller.mfa)
    throw new Problem(
      'policy_locks_out',
      'You signed in without a second factor: set one up at POST /api/v1/auth/totp and sign in with it first.',
    )
}
