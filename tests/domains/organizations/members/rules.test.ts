import { describe, expect, test } from 'vitest'
import { changeFault, loses, type Manager } from '../../../../src/domains/organizations/members/rules.ts'
import { permissions, permissionsOf } from '../../../../src/domains/organizations/roles/rules.ts'

const manager = (...roles: string[]): Manager => ({
  user_id: 'me',
  api_key_id: null,
  roles,
  permissions: permissionsOf(roles, ['members:manage']),
})
const key: Manager = { ...manager(), api_key_id: 'key', permissions: new Set<string>(permissions) }
const member = (...roles: string[]) => ({ user_id: 'them', roles })
const changes = [{ roles: ['admin'] }, { is_active: false }, { removed: true as const }]

test('nobody changes himself, not even an owner among many', () => {
  for (const change of changes)
    expect(changeFault(manager('owner'), { user_id: 'me', roles: ['owner'] }, change, 5)?.code).toBe('forbidden')
})

describe('an owner', () => {
  test('is touched by owners only, and by no API key', () => {
    for (const change of [...changes, { roles: ['owner', 'guest'] }, { is_active: true }]) {
      for (const stranger of [manager('admin'), manager('recruiter'), key])
        expect(changeFault(stranger, member('owner'), change, 5)?.code).toBe('forbidden')
      expect(changeFault(manager('owner'), member('owner'), change, 5)).toBeUndefined()
    }
  })

  test('who is the last stays one, and may get further roles', () => {
    for (const change of changes)
      expect(changeFault(manager('owner'), member('owner'), change, 0)?.code).toBe('last_owner')
    expect(changeFault(manager('owner'), member('owner'), { roles: ['owner', 'user'] }, 0)).toBeUndefined()
  })
})

test('others are changed where no owner is left to count', () => {
  for (const change of changes) expect(changeFault(manager('admin'), member('user'), change, 0)).toBeUndefined()
})

test('a member loses by leaving, by being switched off, and by any role he had', () => {
  const was = { roles: ['admin', 'user'], is_active: true }
  for (const now of [undefined, { ...was, is_active: false }, { ...was, roles: ['user'] }, { ...was, roles: [] }])
    expect(loses(was, now)).toBe(true)
  for (const now of [was, { ...was, roles: ['user', 'guest', 'admin'] }]) expect(loses(was, now)).toBe(false)
  expect(loses({ ...was, is_active: false }, { ...was, is_active: false })).toBe(false)
})
