import { Type } from '@sinclair/typebox'
import { named, ref, Strict, StringEnum, Uuid } from '../../../lib/schema.ts'
import { OrganizationSummary } from '../organizations/schemas.ts'

export const OrganizationChoice = named('OrganizationChoice', Strict({ organization_id: Uuid() }))

export const OrganizationSwitch = named(
  'OrganizationSwitch',
  Type.Object({
    access_token: Type.String({ description: 'takes the place of the one before; the refresh token stays' }),
    token_type: StringEnum(['bearer']),
    expires_in: Type.Integer({ description: 'seconds until the access token expires' }),
    organization: ref(OrganizationSummary),
  }),
)
