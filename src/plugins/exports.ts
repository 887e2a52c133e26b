import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TObject, TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { recordEvent } from '../db/audit.ts'
import type { TenantScope } from '../db/scope.ts'
import { preferredType } from '../lib/accept.ts'
import { csvRecord } from '../lib/csv.ts'
import { Problem } from '../lib/errors.ts'
import type { Page, PageQuery } from '../lib/page.ts'
import { sendPage } from '../lib/reply.ts'

type List<T extends object, Q extends PageQuery> = {
  /** Whose rows they are, the request's without it; the export is recorded there as `<subject>.exported`. */
  scope?: TenantScope
  /** The singular name of what is listed; a file is named after it. */
  subject: string
  /** The wire model of a row: its properties are the columns, and nothing else gets out. */
  model: TObject
  query: Q
  read: (scope: TenantScope, query: Q) => Promise<Page<T>>
  /** The same rows as CSV with these columns, where Postgres can format them: a long list is then several times as fast. */
  copy?: (columns: string[]) => Promise<Readable>
}

/** The same for one request. */
type Bound<T extends object, Q extends PageQuery> = Omit<List<T, Q>, 'read' | 'scope'> & {
  scope: TenantScope
  read: (query: Q) => Promise<Page<T>>
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers a list as `Accept` asks: a page as JSON, or everything its filters let through as CSV or NDJSON, read page
     * by page as fast as the client takes it, so that neither memory nor a connection is held.
     * @throws Problem `not_acceptable`, or `rate_limited` while the caller's other exports run
     */
    sendList<T extends object, Q extends PageQuery>(list: List<T, Q>): Promise<Page<T>>
    /**
     * Answers text of any length as a file, as fast as the client takes it and however long that is.
     * @param type without its charset
     * @throws Problem `rate_limited` while the caller's other exports run
     */
    sendRows(type: string, fileName: string, text: AsyncIterable<string>): Promise<never>
  }
}

const csv = 'text/csv'
const ndjson = 'application/x-ndjson'
const types = ['application/json', csv, ndjson] as const

/** The documented answer of a list that is sent by `sendList`. */
export const listAnswer = (page: TSchema) => ({
  description: `A page. As ${csv} or ${ndjson}: every row that passes the filters; limit, cursor and total do not apply.`,
  content: {
    'application/json': { schema: page },
    [csv]: { schema: { type: 'string' } },
    [ndjson]: { schema: { type: 'string' } },
  },
})

/** As many as a page shows at most: a row can be large, and a page of them is in memory at once. */
const rowsAtOnce = 200
const exportsAtOnce = 2

const defaults = {
  /** How long a client may take nothing of what waits for it; all the while it holds what the export holds. */
  stalledMaxMs: 30_000,
}
type Limits = typeof defaults

export default fp(
  async (app: FastifyInstance, options: Partial<Limits>) => {
    const limits = { ...defaults, ...options }
    const running = new Map<string, number>()

    /** One more export of this principal, which must be given back. */
    const take = (principal: string) => {
      const count = running.get(principal) ?? 0
      if (count >= exportsAtOnce)
        throw new Problem('rate_limited', `${exportsAtOnce} exports of yours are running; wait until one has ended.`, {
          retryAfterS: 5,
        })
      running.set(principal, count + 1)
      return () => {
        const left = (running.get(principal) ?? 1) - 1
        if (left > 0) running.set(principal, left)
        else running.delete(principal)
      }
    }

    const exporting = async ({ actor }: TenantScope, run: () => Promise<void>): Promise<never> => {
      const release = take(actor.principal)
      await run().finally(release)
      return undefined as never // the answer has been sent
    }

    app.decorateReply('sendList', async function sendList<
      T extends object,
      Q extends PageQuery,
    >(this: FastifyReply, asked: List<T, Q>) {
      const { scope = this.request.scope, ...rest } = asked
      const list: Bound<T, Q> = { ...rest, scope, read: (query) => asked.read(scope, query) }
      const type = preferredType(this.request.headers.accept, types)
      if (type === undefined)
        throw new Problem('not_acceptable', `This list can be had as ${types.join(', ')}; Accept names none of them.`)
      if (type === 'application/json') return sendPage(this.request, this, await list.read(list.query))
      return exporting(list.scope, async () => {
        const head = this.request.method === 'HEAD'
        // Begun before the answer, so that what fails at once is answered as a problem.
        const body = await bodyOf(list, type, head)
        try {
          if (!head) await recordExport(list, type)
          await stream(this, type, `${list.subject}.${type === csv ? 'csv' : 'ndjson'}`, body, limits)
        } finally {
          body.destroy()
        }
      })
    })

    app.decorateReply('sendRows', async function sendRows(this: FastifyReply, type, fileName, text) {
      return exporting(this.request.scope, () => stream(this, type, fileName, Readable.from(text), limits))
    })
  },
  { name: 'exports', dependencies: ['errors'] },
)

const wholeOf = <Q extends PageQuery>({ cursor: _cursor, total: _total, ...query }: Q, cursor?: string): Q =>
  ({ ...query, limit: rowsAtOnce, ...(cursor !== undefined && { cursor }) }) as unknown as Q

function recordExport<T extends object, Q extends PageQuery>({ scope, subject, query }: Bound<T, Q>, format: string) {
  const { limit: _limit, cursor: _cursor, total: _total, ...asked } = query
  const after = { format, ...asked }
  return recordEvent(scope, { action: `${subject}.exported`, subject_type: subject, subject_id: null, after })
}

async function bodyOf<T extends object, Q extends PageQuery>(list: Bound<T, Q>, type: string, head: boolean) {
  if (type === csv && list.copy !== undefined && !head) return list.copy(columnsOf(list))
  const first = await list.read(wholeOf(list.query))
  return Readable.from(type === csv ? csvOf(list, first) : ndjsonOf(list, first))
}

/** Sends it past the framework, whose handler timeout would cut a long answer short. */
async function stream(
  reply: FastifyReply,
  type: string,
  fileName: string,
  body: Readable,
  { stalledMaxMs }: Limits,
): Promise<void> {
  const { raw } = reply
  reply
    .type(`${type}; charset=utf-8`)
    .header('content-disposition', `attachment; filename="${fileName}"`)
    .header('content-security-policy', 'sandbox')
  reply.hijack()
  raw.writeHead(200, reply.getHeaders() as Record<string, string>)
  if (reply.request.method === 'HEAD') return void raw.end()
  // Nothing has moved for so long: the client takes nothing, or there is nothing for it to take yet.
  raw.setTimeout(stalledMaxMs, () => (raw.writableLength > 0 ? raw.destroy() : raw.setTimeout(stalledMaxMs)))
  const watch = watchCaller(reply)
  try {
    await pipeline(body, raw)
  } catch (error) {
    // The status is gone by now: that the answer breaks off before its last chunk is what the client sees.
    raw.destroy()
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE')
      reply.log.error({ err: error }, 'an export broke off')
  } finally {
    clearInterval(watch)
  }
}

const lookEveryMs = 1_000

/** Cuts off who would no longer get it, or whose credential cannot be judged. */
function watchCaller({ raw, request }: FastifyReply) {
  const cutOff = () => raw.destroy()
  return setInterval(() => request.recheck(true).then((refusal) => refusal && cutOff(), cutOff), lookEveryMs).unref()
}

const columnsOf = ({ model }: { model: TObject }) => Object.keys(model.properties)

async function* pagesOf<T extends object, Q extends PageQuery>({ query, read }: Bound<T, Q>, first: Page<T>) {
  for (let page = first; ; page = await read(wholeOf(query, page.next_cursor as string))) {
    yield page.data as Record<string, unknown>[]
    if (page.next_cursor === null) return
  }
}

async function* csvOf<T extends object, Q extends PageQuery>(list: Bound<T, Q>, first: Page<T>) {
  const columns = columnsOf(list)
  yield csvRecord(columns)
  for await (const rows of pagesOf(list, first))
    yield rows.map((row) => csvRecord(columns.map((column) => cellOf(row[column])))).join('')
}

const cellOf = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)

async function* ndjsonOf<T extends object, Q extends PageQuery>(list: Bound<T, Q>, first: Page<T>) {
  const columns = columnsOf(list)
  for await (const rows of pagesOf(list, first))
    yield rows.map((row) => `${JSON.stringify(picked(row, columns))}\n`).join('')
}

const picked = (row: Record<string, unknown>, columns: string[]) =>
  Object.fromEntries(columns.map((column) => [column, row[column]]))
