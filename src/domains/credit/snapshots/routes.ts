import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import { longWork } from '../../../plugins/long-work.ts'
import { correctSnapshot, deleteSnapshots, listReportingDates, listSnapshots, recordSnapshot } from './queries.ts'
import {
  ReportingDate,
  ReportingDatePage,
  ReportingDateQuery,
  Snapshot,
  SnapshotFields,
  SnapshotPage,
  SnapshotParams,
  SnapshotQuery,
  SnapshotUpdate,
} from './schemas.ts'

const models = [ReportingDate, ReportingDatePage, Snapshot, SnapshotFields, SnapshotPage, SnapshotUpdate]
const tags = ['credit']
const read = { permission: 'credit:read', problems: [406] }
const write = { permission: 'credit:write', problems: [409, 422] }

export const snapshots: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of models) app.addSchema(model)
  const deletions = longWork('Reports are being taken back')

  app.get(
    '/portfolios/:id/snapshots',
    {
      config: read,
      schema: {
        operationId: 'listReportingDates',
        summary: 'List the dates for which the loans of a portfolio were reported',
        tags,
        params: IdParams,
        querystring: ReportingDateQuery,
        response: { 200: listAnswer(ref(ReportingDatePage)) },
      },
    },
    async ({ params, query }, reply) =>
      reply.sendList({
        subject: 'reporting_date',
        model: ReportingDate,
        query,
        read: (scope, part) => listReportingDates(scope, params.id, part),
      }),
  )

  app.delete(
    '/portfolios/:id/snapshots/:as_of',
    {
      handlerTimeout: deletions.handlerTimeout,
      config: write,
      schema: {
        operationId: 'deleteSnapshots',
        summary: 'Take back all that was reported for a date',
        tags,
        params: SnapshotParams,
        response: { 204: Type.Null({ description: 'Taken back; known_at still reads it' }) },
      },
    },
    async (request, reply) => {
      await deletions.run(() => deleteSnapshots(request.scope, request.params))
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/loans/:id/snapshots',
    {
      config: read,
      schema: {
        operationId: 'listSnapshots',
        summary: 'List what was reported of a loan, by date',
        tags,
        params: IdParams,
        querystring: SnapshotQuery,
        response: { 200: listAnswer(ref(SnapshotPage)) },
      },
    },
    async ({ params, query }, reply) =>
      reply.sendList({
        subject: 'snapshot',
        model: Snapshot,
        query,
        read: (scope, part) => listSnapshots(scope, params.id, part),
      }),
  )

  app.put(
    '/loans/:id/snapshots/:as_of',
    {
      config: write,
      schema: {
        operationId: 'recordSnapshot',
        summary: 'Record what a loan was on a date, in place of what was known of it',
        tags,
        params: SnapshotParams,
        body: ref(SnapshotFields),
        response: { 200: ref(Snapshot) },
      },
    },
    async (request, reply) =>
      send(reply, await recordSnapshot(request.scope, request.params, request.body, ifMatch(request))),
  )

  app.patch(
    '/loans/:id/snapshots/:as_of',
    {
      config: write,
      schema: {
        operationId: 'correctSnapshot',
        summary: 'Correct fields of what was reported of a loan for a date',
        tags,
        params: SnapshotParams,
        body: ref(SnapshotUpdate),
        response: { 200: ref(Snapshot) },
      },
    },
    async (request, reply) =>
      send(reply, await correctSnapshot(request.scope, request.params, request.body, ifMatch(request))),
  )
}
