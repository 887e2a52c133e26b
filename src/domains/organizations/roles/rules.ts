/** Every permission there is; a role is a set of them. */
export const permissions = [
  'credit:read',
  'credit:write',
  'projects:read',
  'projects:write',
  'files:read',
  'files:write',
  'sync:read',
  'sync:write',
  'sync:run',
  'analytics:read',
  'analytics:write',
  'analytics:query',
  'assistant:use',
  'members:read',
  'members:manage',
  'roles:manage',
  'organization:manage',
  'api_keys:manage',
  'audit:read',
  'jobs:read',
  'jobs:manage',
  'webhooks:manage',
] as const

export type Permission = (typeof permissions)[number]

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

const granted: Record<BuiltInRole, readonly Permission[]> = {
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

/** Only an owner makes another owner; whoever manages members gives every other role. */
export const mayAssign = (actorRoles: readonly string[], role: BuiltInRole): boolean =>
  role !== 'owner' || actorRoles.includes('owner')
