import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TenantScope } from '../../../db/scope.ts'
import { platformOrgId } from '../../../db/tables/audit.ts'
import { Problem } from '../../../lib/errors.ts'
import { Limiter } from '../../../lib/limiter.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { platformPermission } from '../../../plugins/authorize.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import tenant from '../../../plugins/tenant.ts'
import { getAuditEvent, listAuditEvents, sealEvents, verifyChain } from './queries.ts'
import type { Head } from './rules.ts'
import {
  AuditEvent,
  AuditEventPage,
  AuditEventQuery,
  AuditVerification,
  PlatformAuditEventQuery,
  PlatformVerificationQuery,
  VerificationQuery,
} from './schemas.ts'

const tags = ['audit']
const sealEveryMs = 500
/** A walk through a long chain takes longer than other requests may. */
const verification = { handlerTimeout: 600_000 }
const verificationsAtOnce = 2

/** Reading the trail, and the work that seals it. */
export const audit: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [AuditEvent, AuditEventPage, AuditVerification]) app.addSchema(model)
  app.every('seal audit', sealEveryMs, () => sealEvents(app.pools.requests))
  const slots = new Limiter(verificationsAtOnce, 0, () => {
    const detail = `${verificationsAtOnce} verifications are running, and no more run at once; try again in a moment.`
    return new Problem('busy', detail, { retryAfterS: 5 })
  })
  const verify = (scope: TenantScope, query: VerificationQuery) => slots.run(() => verifyChain(scope, anchorOf(query)))
  await app.register(async (own) => {
    await own.register(tenant)
    await own.register(organizationTrail, { verify })
  })
  await app.register(platformTrail, { verify })
}

type Verify = { verify: (scope: TenantScope, query: VerificationQuery) => Promise<AuditVerification> }

const exported = { subject: 'audit', model: AuditEvent }

/** The trail of the active organisation, and its chain. */
const organizationTrail: FastifyPluginAsyncTypebox<Verify> = async (app, { verify }) => {
  app.get(
    '/audit-events',
    {
      config: { permission: 'audit:read', problems: [406] },
      schema: {
        operationId: 'listAuditEvents',
        summary: 'List audit events, or export them all',
        tags,
        querystring: AuditEventQuery,
        response: { 200: listAnswer(ref(AuditEventPage)) },
      },
    },
    async ({ query }, reply) => reply.sendList({ ...exported, query, read: listAuditEvents }),
  )

  app.get(
    '/audit-events/:id',
    {
      config: { permission: 'audit:read' },
      schema: {
        operationId: 'getAuditEvent',
        summary: 'Get an audit event',
        tags,
        params: IdParams,
        response: { 200: ref(AuditEvent) },
      },
    },
    async (request) => getAuditEvent(request.scope, request.params.id),
  )

  app.get(
    '/audit-events/verify',
    {
      ...verification,
      config: { permission: 'audit:read' },
      schema: {
        operationId: 'verifyAuditEvents',
        summary: 'Walk the chain of hashes and tell whether anything was changed',
        tags,
        querystring: VerificationQuery,
        response: { 200: ref(AuditVerification) },
      },
    },
    async ({ scope, query }) => verify(scope, query),
  )
}

/** The platform's own trail and any organisation's, for superusers. */
const platformTrail: FastifyPluginAsyncTypebox<Verify> = async (app, { verify }) => {
  app.get(
    '/platform/audit-events',
    {
      config: { permission: platformPermission, problems: [406] },
      schema: {
        operationId: 'listPlatformAuditEvents',
        summary: "List the platform's audit events or an organisation's, or export them all",
        tags,
        querystring: PlatformAuditEventQuery,
        response: { 200: listAnswer(ref(AuditEventPage)) },
      },
    },
    async (request, reply) => {
      const { organization_id, ...query } = request.query
      const scope = trailOf(request.scope, organization_id)
      return reply.sendList({ ...exported, scope, query, read: listAuditEvents })
    },
  )

  app.get(
    '/platform/audit-events/verify',
    {
      ...verification,
      config: { permission: platformPermission },
      schema: {
        operationId: 'verifyPlatformAuditEvents',
        summary: "Walk the platform's chain of hashes or an organisation's",
        tags,
        querystring: PlatformVerificationQuery,
        response: { 200: ref(AuditVerification) },
      },
    },
    async ({ scope, query }) => verify(trailOf(scope, query.organization_id), query),
  )
}

const trailOf = (scope: TenantScope, organizationId = platformOrgId): TenantScope => ({
  ...scope,
  org_id: organizationId,
})

/** @throws Problem `validation_failed` for half an anchor */
function anchorOf({ anchor_seq, anchor_hash }: VerificationQuery): Head | undefined {
  if (anchor_seq !== undefined && anchor_hash !== undefined)
    return { seq: anchor_seq, hash: Buffer.from(anchor_hash, 'hex') }
  if (anchor_seq === anchor_hash) return undefined
  const missing = anchor_seq === undefined ? 'anchor_seq' : 'anchor_hash'
  throw new Problem('validation_failed', `An anchor has two halves: give ${missing} too.`, {
    errors: [{ pointer: `/querystring/${missing}`, code: 'required', message: 'is required' }],
  })
}
