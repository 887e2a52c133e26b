import { type Static, Type } from '@sinclair/typebox'
import { pageOf } from '../../../lib/page.ts'
import { Nullable, named, Pattern, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { permissions } from './rules.ts'

const Permissions = () =>
  Type.Array(StringEnum(permissions), {
    uniqueItems: true,
    maxItems: permissions.length,
    examples: [['credit:read']],
    description: 'of GET /roles/permissions; nobody gives what he does not have',
  })
const Description = () => Nullable(Text(500))

export const RoleCreate = named(
  'RoleCreate',
  Strict({
    name: Pattern(
      '^[a-z][a-z0-9_-]{1,49}$',
      '2 to 50 lower case letters, digits, _ -, of which the first is a letter',
      {
        maxLength: 50,
        description: 'unique in the organisation; it never changes, since members hold the role by it',
        examples: ['auditor'],
      },
    ),
    description: Type.Optional(Description()),
    permissions: Permissions(),
  }),
)
export type RoleCreate = Static<typeof RoleCreate>

export const RoleUpdate = named(
  'RoleUpdate',
  Strict({ description: Type.Optional(Description()), permissions: Type.Optional(Permissions()) }),
)
export type RoleUpdate = Static<typeof RoleUpdate>

export const Role = named(
  'Role',
  Type.Object({
    id: Nullable(Uuid({ description: 'null for the roles that every organisation has' })),
    name: Type.String(),
    description: Nullable(Type.String()),
    permissions: Type.Array(Type.String()),
    built_in: Type.Boolean(),
    version: Nullable(Type.Integer()),
    created_at: Nullable(Timestamp()),
    updated_at: Nullable(Timestamp()),
  }),
)
export type Role = Static<typeof Role>

export const RolePage = pageOf('RolePage', ref(Role))

export const Permission = named(
  'Permission',
  Type.Object({
    permission: Type.String(),
    description: Type.String(),
    roles: Type.Array(Type.String(), { description: 'those that every organisation has and that give it' }),
  }),
)

export const PermissionPage = pageOf('PermissionPage', ref(Permission))
