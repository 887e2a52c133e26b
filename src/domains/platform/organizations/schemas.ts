import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Email, Nullable, named, Pattern, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { bulkActionOf } from '../shared/schemas.ts'

const statuses = ['active', 'suspended', 'deleted'] as const

const shown = {
  id: Uuid(),
  name: Type.String(),
  code: Type.String(),
  contact_email: Nullable(Type.String()),
  status: StringEnum(statuses),
  deleted_at: Nullable(Timestamp({ description: 'gone 30 days later' })),
  version: Type.Integer(),
  created_at: Timestamp(),
  updated_at: Timestamp(),
}

export const PlatformOrganizationSummary = named('PlatformOrganizationSummary', Type.Object(shown))
export type PlatformOrganizationSummary = Static<typeof PlatformOrganizationSummary>

export const PlatformOrganization = named(
  'PlatformOrganization',
  Type.Object({
    ...shown,
    members: Type.Integer(),
    owners: Type.Integer(),
    sessions: Type.Integer({ description: 'live ones' }),
    api_keys: Type.Integer({ description: 'live ones' }),
    last_event_at: Nullable(Timestamp()),
  }),
)
export type PlatformOrganization = Static<typeof PlatformOrganization>

export const PlatformOrganizationPage = pageOf('PlatformOrganizationPage', ref(PlatformOrganizationSummary))

const Name = () => Text(200, { examples: ['Harbor Credit Union'] })
const Code = () =>
  Pattern('^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$', 'up to 50 lower case letters, digits and, between them, hyphens', {
    maxLength: 50,
    description: 'a unique slug',
  })

export const PlatformOrganizationCreate = named(
  'PlatformOrganizationCreate',
  Strict({
    name: Name(),
    code: Type.Optional(Code()),
    contact_email: Type.Optional(Email()),
    owner_id: Type.Optional(Uuid({ description: 'a user; you, unless owner_email names one' })),
    owner_email: Type.Optional(Email()),
  }),
)
export type PlatformOrganizationCreate = Static<typeof PlatformOrganizationCreate>

export const PlatformOrganizationUpdate = named(
  'PlatformOrganizationUpdate',
  Strict({
    name: Type.Optional(Name()),
    code: Type.Optional(Code()),
    contact_email: Type.Optional(Nullable(Email())),
  }),
)
export type PlatformOrganizationUpdate = Static<typeof PlatformOrganizationUpdate>

export const PlatformOrganizationQuery = pageQuery(['created_at', 'name', 'code'], {
  q: Type.Optional(Text(100, { description: 'part of the name or the code' })),
  status: Type.Optional(StringEnum(statuses)),
})
export type PlatformOrganizationQuery = Static<typeof PlatformOrganizationQuery>

export const PlatformOrganizationBulk = bulkActionOf('PlatformOrganizationBulk')
export type PlatformOrganizationBulk = Static<typeof PlatformOrganizationBulk>
