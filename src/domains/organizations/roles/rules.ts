import { Problem } from '../../../lib/errors.ts'

/** Every permission there is, and what it lets do; a role is a set of them. */
export const permissionTable = {
  'credit:read': 'Read portfolios, loans, imports and metrics',
  'credit:write': 'Change portfolios and loans, and import them',
  'projects:read': 'Read projects',
  'projects:write': 'Change projects',
  'files:read': 'Read and download files',
  'files:write': 'Upload, change and delete files',
  'sync:read': 'Read sync sessions and cycles',
  'sync:write': 'Change sync sessions, cycles and destinations',
  'sync:run': 'Start, pause and cancel sync sessions',
  'analytics:read': 'Read charts, dashboards and saved queries',
  'analytics:write': 'Change charts, dashboards and saved queries',
  'analytics:query': 'Run queries against data sources',
  'assistant:use': 'Talk to the assistant',
  'members:read': 'Read members, roles and who may do what',
  'members:manage': 'Add, invite, change and remove members',
  'roles:manage': 'Make, change and delete roles',
  'organization:manage': 'Change the organisation and its policy',
  'api_keys:manage': 'Make, change and revoke API keys',
  'audit:read': 'Read and verify the audit trail',
  'jobs:read': 'Read jobs',
  'jobs:manage': 'Cancel and retry jobs',
  'webhooks:manage': 'Make, change and delete webhooks',
} as const satisfies Record<string, string>

export type Permission = keyof typeof permissionTable

export const permissions = Object.keys(permissionTable) as Permission[]

/** What an API key may be given. Keys do not manage keys: a stolen one could make itself others, and outlive its end. */
export const keyPermissions = permissions.filter((permission) => permission !== 'api_keys:manage')

/** The roles every organisation has. */
export const builtInRoles = ['owner', 'admin', 'portfolio_manager', 'user', 'member', 'guest'] as const

export type BuiltInRole = (typeof builtInRoles)[number]

/** What everyone but a guest may read; the audit trail is for those who answer for the organisation. */
const reading: Permission[] = [
  'credit:read',
  'projects:read',
  'files:read',
  'sync:read',
  'analytics:read',
  'members:read',
  'jobs:read',
]

/** What each built-in role gives. */
export const granted: Record<BuiltInRole, readonly Permission[]> = {
  owner: permissions,
  admin: permissions,
  portfolio_manager: [...reading, 'credit:write'],
  user: [
    ...reading,
    'projects:write',
    'files:write',
    'sync:write',
    'sync:run',
    'analytics:write',
    'analytics:query',
    'assistant:use',
  ],
  member: reading,
  guest: [],
}

/**
 * The union of what several roles grant; a name that is none of the built-in ones grants nothing by itself.
 * @param more what else the holder has, as from roles of the organisation's own
 */
export const permissionsOf = (roles: readonly string[], more: readonly string[] = []): ReadonlySet<string> =>
  new Set([...roles.flatMap((role) => (Object.hasOwn(granted, role) ? granted[role as BuiltInRole] : [])), ...more])

/** Nobody gives away what he may not do himself, and only owners give or take `owner`. */
export const mayAssignRoles = (
  actorRoles: readonly string[],
  actorPermissions: ReadonlySet<string>,
  roles: readonly string[],
  permissionsOfThoseRoles: Iterable<string>,
): boolean =>
  (!roles.includes('owner') || actorRoles.includes('owner')) &&
  lacking(actorPermissions, permissionsOfThoseRoles).length === 0

/** Those permissions that somebody does not have. */
export const lacking = (has: ReadonlySet<string>, wanted: Iterable<string>): string[] =>
  [...wanted].filter((permission) => !has.has(permission))

/** @throws Problem `forbidden` for who would give permissions he does not have */
export function assertMayGrant(has: ReadonlySet<string>, wanted: readonly string[]): void {
  const missing = lacking(has, wanted)
  if (missing.length > 0)
    throw new Problem('forbidden', `You cannot give what you do not have yourself: ${missing.join(', ')}.`)
}

/** @throws Problem `already_exists` for the name of a role that every organisation has */
export function assertNameFree(name: string): void {
  if (Object.hasOwn(granted, name))
    throw new Problem('already_exists', `Every organisation has a role ${name} already; choose another name.`, {
      errors: [{ pointer: '/body/name', code: 'unique', message: 'is already taken' }],
    })
}
