import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { keyPermissions } from '../roles/rules.ts'

const fields = {
  name: Text(100, { examples: ['Nightly tape'] }),
  permissions: Type.Array(StringEnum(keyPermissions), {
    minItems: 1,
    maxItems: keyPermissions.length,
    uniqueItems: true,
    description: 'at most what you may do yourself; the key never does more than its maker may at the time',
    examples: [['credit:read']],
  }),
  ip_allowlist: Type.Array(Text(50), {
    maxItems: 100,
    uniqueItems: true,
    description: 'addresses and networks (CIDR) it works from; empty for anywhere',
  }),
  rate_limit: Nullable(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description: "requests a minute; null for the service's own limit, which is never exceeded",
    }),
  ),
  expires_at: Nullable(Timestamp({ description: 'null for a key that does not expire' })),
}

export const ApiKeyCreate = named(
  'ApiKeyCreate',
  Strict({
    name: fields.name,
    permissions: fields.permissions,
    ip_allowlist: Type.Optional(fields.ip_allowlist),
    rate_limit: Type.Optional(fields.rate_limit),
    expires_at: Type.Optional(fields.expires_at),
  }),
)
export type ApiKeyCreate = Static<typeof ApiKeyCreate>

export const ApiKeyUpdate = named('ApiKeyUpdate', Type.Partial(Strict(fields), { additionalProperties: false }))
export type ApiKeyUpdate = Static<typeof ApiKeyUpdate>

const statuses = ['active', 'expired', 'revoked'] as const

const shown = {
  id: Uuid(),
  name: Type.String(),
  prefix: Type.String({ description: 'how the key begins' }),
  permissions: Type.Array(Type.String()),
  ip_allowlist: Type.Array(Type.String()),
  rate_limit: Nullable(Type.Integer()),
  status: StringEnum(statuses),
  expires_at: Nullable(Timestamp()),
  last_used_at: Nullable(Timestamp({ description: 'within half a minute' })),
  created_by: Uuid({ description: 'the user whose permissions bound it' }),
  revoked_at: Nullable(Timestamp()),
  version: Type.Integer(),
  created_at: Timestamp(),
  updated_at: Timestamp(),
}

export const ApiKey = named('ApiKey', Type.Object(shown))
export type ApiKey = Static<typeof ApiKey>

export const NewApiKey = named(
  'NewApiKey',
  Type.Object({ ...shown, key: Type.String({ description: 'shown this once; send it as a bearer token' }) }),
)
export type NewApiKey = Static<typeof NewApiKey>

export const ApiKeyPage = pageOf('ApiKeyPage', ref(ApiKey))

export const ApiKeyQuery = pageQuery(['created_at', 'name'], {
  status: Type.Optional(StringEnum(statuses)),
  created_by: Type.Optional(Uuid()),
  q: Type.Optional(Text(100, { description: 'part of the name or the beginning of the key' })),
})
export type ApiKeyQuery = Static<typeof ApiKeyQuery>
