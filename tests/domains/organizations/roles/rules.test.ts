import { describe, expect, test } from 'vitest'
import {
  builtInRoles,
  mayAssignRoles,
  permissions,
  permissionsOf,
} from '../../../../src/domains/organizations/roles/rules.ts'

const writes = (role: string) => [...permissionsOf([role])].filter((name) => !name.endsWith(':read')).sort()

describe('a role', () => {
  test('of owner or admin gives every permission', () => {
    expect(permissionsOf(['owner'])).toEqual(new Set(permissions))
    expect(permissionsOf(['admin'])).toEqual(new Set(permissions))
  })

  test('of portfolio manager or user gives the writing of its own field only', () => {
    expect(writes('portfolio_manager')).toEqual(['credit:write'])
    expect(writes('user')).toEqual([
      'analytics:query',
      'analytics:write',
      'assistant:use',
      'files:write',
      'projects:write',
      'sync:run',
      'sync:write',
    ])
  })

  test('of member reads and writes nothing, of guest gives nothing', () => {
    expect(writes('member')).toEqual([])
    expect(permissionsOf(['member'])).toContain('credit:read')
    expect(permissionsOf(['member'])).not.toContain('audit:read')
    expect(permissionsOf(['guest'])).toEqual(new Set())
  })

  test('that nobody knows gives nothing, not even under the name of a member of every object', () => {
    expect(permissionsOf(['root', 'constructor', '__proto__', 'toString'])).toEqual(new Set())
  })

  test('adds to the others that a member has', () => {
    const both = permissionsOf(['portfolio_manager', 'user'])
    expect(both).toEqual(new Set([...permissionsOf(['portfolio_manager']), ...permissionsOf(['user'])]))
  })

  test('of owner is given by owners only', () => {
    for (const role of builtInRoles) {
      const gives = permissionsOf([role])
      expect(mayAssignRoles(['owner'], permissionsOf(['owner']), [role], gives)).toBe(true)
      expect(mayAssignRoles(['admin'], permissionsOf(['admin']), [role], gives)).toBe(role !== 'owner')
    }
  })

  test('is given only by who has every permission it gives', () => {
    const assign = (actor: string[], roles: string[], gives: Iterable<string> = permissionsOf(roles)) =>
      mayAssignRoles(actor, permissionsOf(actor), roles, gives)
    expect(assign(['owner'], ['owner', 'admin'])).toBe(true)
    expect(assign(['admin'], ['admin', 'guest'])).toBe(true)
    expect(assign(['admin'], ['guest', 'owner'])).toBe(false)
    expect(assign(['user'], ['member'])).toBe(true)
    expect(assign(['user'], ['portfolio_manager'])).toBe(false)
    expect(assign(['user'], ['of_our_own'], ['files:write'])).toBe(true)
    expect(assign(['user'], ['of_our_own'], ['files:write', 'credit:write'])).toBe(false)
  })
})
