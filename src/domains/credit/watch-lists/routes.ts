import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { BulkResult } from '../../../lib/bulk.ts'
import { created, ifMatch, send } from '../../../lib/reply.ts'
import { IdParams, ref } from '../../../lib/schema.ts'
import { listAnswer } from '../../../plugins/exports.ts'
import {
  addEntries,
  addEntry,
  createWatchList,
  deleteEntry,
  deleteWatchList,
  getEntry,
  getWatchList,
  listWatchedLoans,
  listWatchLists,
  updateEntry,
  updateWatchList,
} from './queries.ts'
import {
  EntryParams,
  WatchedLoan,
  WatchedLoanPage,
  WatchedLoanQuery,
  WatchList,
  WatchListCreate,
  WatchListEntry,
  WatchListEntryBulk,
  WatchListEntryCreate,
  WatchListEntryUpdate,
  WatchListPage,
  WatchListQuery,
  WatchListUpdate,
  watchListModels,
} from './schemas.ts'

const tags = ['credit']
const read = { permission: 'credit:read' }
const write = { permission: 'credit:write' }

/** Loans to keep an eye on. */
export const watchLists: FastifyPluginAsyncTypebox = async (app) => {
  for (const model of [...watchListModels, BulkResult]) app.addSchema(model)
  await app.register(lists)
  await app.register(entries)
}

const lists: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/watch-lists',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listWatchLists',
        summary: 'List watch lists',
        tags,
        querystring: WatchListQuery,
        response: { 200: listAnswer(ref(WatchListPage)) },
      },
    },
    async ({ query }, reply) =>
      reply.sendList({ subject: 'watch_list', model: WatchList, query, read: listWatchLists }),
  )

  app.post(
    '/watch-lists',
    {
      config: write,
      schema: {
        operationId: 'createWatchList',
        summary: 'Create a watch list',
        tags,
        body: ref(WatchListCreate),
        response: { 201: ref(WatchList) },
      },
    },
    async (request, reply) => {
      const made = await request.makeOnce((scope) => createWatchList(scope, request.body))
      return created(reply, `/api/v1/watch-lists/${made.id}`, made)
    },
  )

  app.get(
    '/watch-lists/:id',
    {
      config: read,
      schema: {
        operationId: 'getWatchList',
        summary: 'Get a watch list',
        tags,
        params: IdParams,
        response: { 200: ref(WatchList) },
      },
    },
    async (request, reply) => send(reply, await getWatchList(request.scope, request.params.id)),
  )

  app.patch(
    '/watch-lists/:id',
    {
      config: write,
      schema: {
        operationId: 'updateWatchList',
        summary: 'Change fields of a watch list',
        tags,
        params: IdParams,
        body: ref(WatchListUpdate),
        response: { 200: ref(WatchList) },
      },
    },
    async (request, reply) =>
      send(reply, await updateWatchList(request.scope, request.params.id, request.body, ifMatch(request))),
  )

  app.delete(
    '/watch-lists/:id',
    {
      config: write,
      schema: {
        operationId: 'deleteWatchList',
        summary: 'Delete a watch list with its entries',
        tags,
        params: IdParams,
        response: { 204: Type.Null({ description: 'Deleted' }) },
      },
    },
    async (request, reply) => {
      await deleteWatchList(request.scope, request.params.id, ifMatch(request))
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/watch-lists/:id/loans',
    {
      config: { ...read, problems: [406] },
      schema: {
        operationId: 'listWatchedLoans',
        summary: 'List the loans of a watch list, and why each is there',
        tags,
        params: IdParams,
        querystring: WatchedLoanQuery,
        response: { 200: listAnswer(ref(WatchedLoanPage)) },
      },
    },
    async ({ params, query }, reply) =>
      reply.sendList({
        subject: 'watched_loan',
        model: WatchedLoan,
        query,
        read: (scope, part) => listWatchedLoans(scope, params.id, part),
      }),
  )
}

const entries: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/watch-lists/:id/entries',
    {
      config: write,
      schema: {
        operationId: 'addWatchListEntry',
        summary: 'Enter a loan',
        tags,
        params: IdParams,
        body: ref(WatchListEntryCreate),
        response: { 201: ref(WatchListEntry) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const entry = await request.makeOnce((scope) => addEntry(scope, id, request.body))
      return created(reply, `/api/v1/watch-lists/${id}/entries/${entry.id}`, entry)
    },
  )

  app.post(
    '/watch-lists/:id/entries/bulk',
    {
      config: write,
      schema: {
        operationId: 'bulkAddWatchListEntries',
        summary: 'Enter many loans',
        tags,
        params: IdParams,
        body: ref(WatchListEntryBulk),
        response: { 200: ref(BulkResult) },
      },
    },
    async (request) => request.once((scope) => addEntries(scope, request.params.id, request.body)),
  )

  app.get(
    '/watch-lists/:id/entries/:entry_id',
    {
      config: read,
      schema: {
        operationId: 'getWatchListEntry',
        summary: 'Get an entry of a watch list',
        tags,
        params: EntryParams,
        response: { 200: ref(WatchListEntry) },
      },
    },
    async (request, reply) => send(reply, await getEntry(request.scope, request.params)),
  )

  app.patch(
    '/watch-lists/:id/entries/:entry_id',
    {
      config: write,
      schema: {
        operationId: 'updateWatchListEntry',
        summary: 'Change why a loan was entered',
        tags,
        params: EntryParams,
        body: ref(WatchListEntryUpdate),
        response: { 200: ref(WatchListEntry) },
      },
    },
    async (request, reply) =>
      send(reply, await updateEntry(request.scope, request.params, request.body, ifMatch(request))),
  )

  app.delete(
    '/watch-lists/:id/entries/:entry_id',
    {
      config: write,
      schema: {
        operationId: 'deleteWatchListEntry',
        summary: 'Take an entry off a watch list',
        tags,
        params: EntryParams,
        response: { 204: Type.Null({ description: 'Gone; the loan may still meet the criteria' }) },
      },
    },
    async (request, reply) => {
      await deleteEntry(request.scope, request.params, ifMatch(request))
      return reply.code(204).send(null)
    },
  )
}
