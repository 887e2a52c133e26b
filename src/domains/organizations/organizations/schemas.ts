import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Email, Nullable, named, Pattern, ref, Strict, StringEnum, Text, Timestamp, Uuid } from '../../../lib/schema.ts'

const OrganizationPolicy = named(
  'OrganizationPolicy',
  Strict({
    session_lifetime_s: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 300,
          maximum: 7_776_000,
          description: 'seconds after which a session ends, however often it is refreshed',
        }),
      ),
    ),
    mfa_required: Type.Optional(Type.Boolean({ description: 'only sessions opened with a second factor get in' })),
    ip_allowlist: Type.Optional(
      Type.Array(Type.String({ minLength: 2, maxLength: 50 }), {
        maxItems: 100,
        description: 'addresses and networks (CIDR); an empty list lets everybody in',
      }),
    ),
    allowed_email_domains: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
        maxItems: 100,
        description: 'domains of who may join; an empty list allows all',
      }),
    ),
  }),
)

const Code = () =>
  Pattern(
    '^[a-z0-9][a-z0-9-]{0,49}$',
    'up to 50 lower case letters, digits and hyphens, of which the first is no hyphen',
    {
      maxLength: 50,
      description: 'lower case letters, digits and hyphens; no other organisation has it',
    },
  )
const Name = () => Text(200, { examples: ['Harbour Bank'] })

export const OrganizationCreate = named(
  'OrganizationCreate',
  Strict({
    name: Name(),
    code: Type.Optional(Code()),
    contact_email: Type.Optional(Nullable(Email())),
  }),
)
export type OrganizationCreate = Static<typeof OrganizationCreate>

export const OrganizationUpdate = named(
  'OrganizationUpdate',
  Strict({
    name: Type.Optional(Name()),
    code: Type.Optional(Code()),
    contact_email: Type.Optional(Nullable(Email())),
    settings: Type.Optional(ref(OrganizationPolicy)),
  }),
)
export type OrganizationUpdate = Static<typeof OrganizationUpdate>

const summary = {
  id: Uuid(),
  name: Type.String(),
  code: Type.String(),
  contact_email: Nullable(Type.String()),
  status: StringEnum(['active', 'suspended', 'deleted'], {
    description: 'suspended by the platform, or deleted by an owner',
  }),
  deletion_due_at: Nullable(Timestamp({ description: 'until then an owner can restore it' })),
  roles: Type.Array(Type.String(), { description: 'what the caller is there' }),
  is_current: Type.Boolean({ description: 'whether the session is in it' }),
  version: Type.Integer(),
  created_at: Timestamp(),
  updated_at: Timestamp(),
}

/** An organisation among one's own. */
export const OrganizationSummary = named('OrganizationSummary', Type.Object(summary))
export type OrganizationSummary = Static<typeof OrganizationSummary>

export const OrganizationPage = pageOf('OrganizationPage', ref(OrganizationSummary))

export const Organization = named(
  'Organization',
  Type.Object({
    ...summary,
    settings: Nullable(ref(OrganizationPolicy), {
      description: 'its policy; null for those who do not manage the organisation',
    }),
  }),
)
export type Organization = Static<typeof Organization>

/** What an answer with an organisation in it refers to. */
export const organizationModels = [OrganizationPolicy, Organization]

export const OrganizationQuery = pageQuery(['created_at', 'name'], {
  q: Type.Optional(Text(100, { description: 'part of the name or the code' })),
})
export type OrganizationQuery = Static<typeof OrganizationQuery>
