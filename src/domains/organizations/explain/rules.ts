import type { FastifyContextConfig } from 'fastify'
import type { Policy } from '../../../db/tables/organizations.ts'
import { invalidField } from '../../../lib/errors.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { permissions, permissionsOf } from '../roles/rules.ts'
import type { Explanation } from './schemas.ts'

type Reason = Explanation['because'][number]

/** What stands in the way: a problem's code, or a state of the account. */
export type Obstacle = { name: string; message: string }

/** What is known of whom an explanation is about. */
export type Subject = {
  roles: readonly string[]
  /** Those of the roles that the organisation made itself. */
  custom: readonly { name: string; permissions: readonly string[] }[]
  is_superuser: boolean
  key?: { name: string; permissions: readonly string[] }
}

/** @throws Problem `validation_failed` for what is neither a permission nor an operation */
export function guardOf(action: string, operations: ReadonlyMap<string, FastifyContextConfig>): FastifyContextConfig {
  if (action === platformPermission || (permissions as string[]).includes(action)) return { permission: action }
  const config = operations.get(action)
  if (config === undefined)
    throw invalidField('/querystring/action', 'unknown', 'must be a permission or an operationId')
  return config
}

/** What speaks for a permission, and what was looked at in vain. */
export function reasonsFor(permission: string | undefined, { roles, custom, is_superuser, key }: Subject): Reason[] {
  if (permission === undefined || permission === 'signed_in') return []
  if (permission === platformPermission) return [{ kind: 'superuser', name: 'superuser', grants: is_superuser }]
  const reasons = roles.map((name): Reason => {
    const own = custom.find((role) => role.name === name)
    const gives = permissionsOf(own ? [] : [name], own?.permissions)
    return { kind: own ? 'custom_role' : 'role', name, grants: gives.has(permission) }
  })
  return key ? [{ kind: 'key', name: key.name, grants: key.permissions.includes(permission) }, ...reasons] : reasons
}

type Member = {
  member_active: boolean
  user_active: boolean
  email_verified_at: string | null
  totp_confirmed_at: string | null
  policy: Policy
}

/** What keeps another member from an action, as far as it does not depend on his session. */
export function obstacleOf(
  { permission, unverified }: FastifyContextConfig,
  reasons: readonly Reason[],
  member: Member,
  verifiedOnly: boolean,
): Obstacle | undefined {
  if (permission === undefined) return undefined
  if (!member.user_active) return { name: 'account_disabled', message: 'The account is switched off.' }
  if (!member.member_active) return { name: 'membership_suspended', message: 'The membership is suspended.' }
  if (verifiedOnly && !unverified && member.email_verified_at === null)
    return { name: 'email_unverified', message: 'The e-mail address is not verified yet.' }
  if (member.policy.mfa_required && !unverified && member.totp_confirmed_at === null)
    return { name: 'mfa_required', message: 'The organisation asks for a second factor, and the account has none.' }
  if (permission === 'signed_in' || reasons.some(({ grants }) => grants)) return undefined
  return { name: 'forbidden', message: `None of this member's roles gives ${permission}.` }
}

const policies = ['ip_not_allowed', 'mfa_required']

/** The verdict: an action is allowed where nothing stands in its way. */
export function verdict({ permission }: FastifyContextConfig, reasons: readonly Reason[], obstacle?: Obstacle) {
  const hindered: Reason[] =
    obstacle === undefined || obstacle.name === 'forbidden'
      ? []
      : [{ kind: policies.includes(obstacle.name) ? 'policy' : 'state', name: obstacle.name, grants: false }]
  return {
    allowed: obstacle === undefined,
    permission: permission ?? null,
    rule: obstacle?.message ?? ruleOf(permission, reasons),
    because: [...reasons, ...hindered],
  }
}

function ruleOf(permission: string | undefined, reasons: readonly Reason[]): string {
  if (permission === undefined) return 'Everybody may do this.'
  if (permission === 'signed_in') return 'Whoever is signed in may do this, with what is his own.'
  const givers = reasons.filter(({ grants }) => grants).map(({ kind, name }) => `${kind.replace('_', ' ')} ${name}`)
  return `The permission ${permission} comes from: ${givers.join(', ')}.`
}
