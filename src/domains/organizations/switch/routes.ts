import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../../../lib/schema.ts'
import { callerOf } from '../organizations/rules.ts'
import { OrganizationSummary } from '../organizations/schemas.ts'
import { switchOrganization } from './queries.ts'
import { OrganizationChoice, OrganizationSwitch } from './schemas.ts'

/** The way from one organisation into another; also out of one whose policy lets the session do nothing else. */
export const switching: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [OrganizationSummary, OrganizationChoice, OrganizationSwitch]) app.addSchema(model)

  app.post(
    '/auth/switch-organization',
    {
      config: { permission: 'signed_in', unverified: true },
      schema: {
        operationId: 'switchOrganization',
        summary: 'Make another of its organisations the active one of this session',
        tags: ['identity'],
        body: ref(OrganizationChoice),
        response: { 200: ref(OrganizationSwitch) },
      },
    },
    async (request) => {
      const caller = callerOf(request)
      const answer = await request.once(async (scope) => {
        const { session, organization } = await switchOrganization(scope, caller, request.body.organization_id)
        return {
          access_token: app.signAccessToken(session),
          token_type: 'bearer' as const,
          expires_in: app.config.auth.accessTokenTtlS,
          organization,
        }
      })
      app.access.forget(`session:${caller.session_id}`)
      return answer
    },
  )
}
