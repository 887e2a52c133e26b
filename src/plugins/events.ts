import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TObject } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../lib/errors.ts'

/** Something that happened; a client that comes back sends the `id` of the last one it saw as `Last-Event-ID`. */
export type ServerEvent = { event: string; id?: string; data: object }

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers with Server-Sent Events until there are no more. The stream ends before when the service stops, when the
     * caller's credential would no longer get it, and after a while in any case: clients then come back by themselves.
     * @param model of an event's data: its properties get out, and nothing else
     * @param events begins when it is asked for its first event, and must end when the signal aborts
     * @throws Problem `rate_limited` or `busy` where there are too many streams
     */
    sendEvents(model: TObject, events: (signal: AbortSignal) => AsyncIterable<ServerEvent>): Promise<void>
  }
}

export const eventStream = 'text/event-stream'

const defaults = {
  /** How often something is sent where nothing happens, so that nobody in between thinks the connection dead. */
  heartbeatMs: 15_000,
  /** How often the credential is judged again. */
  recheckMs: 1_000,
  durationMaxMs: 900_000,
  /** Streams at once. */
  perPrincipal: 10,
  inProcess: 500,
}
type Limits = typeof defaults

/** How soon clients are to come back, and how long one that does not read may hold up the end. */
const retryMs = 2_000
const lingerMs = 1_000

export default fp(
  async (app: FastifyInstance, options: Partial<Limits>) => {
    const limits = { ...defaults, ...options }
    const running = new Map<AbortController, string>()

    app.decorateReply('sendEvents', async function sendEvents(this: FastifyReply, model, events) {
      const { principal } = this.request.scope.actor
      const own = [...running.values()].filter((one) => one === principal).length
      if (own >= limits.perPrincipal)
        throw new Problem('rate_limited', `${own} event streams of yours are open; close one.`, { retryAfterS: 5 })
      if (running.size >= limits.inProcess)
        throw new Problem('busy', 'Too many event streams are open; ask for the resource itself.', { retryAfterS: 30 })
      const stop = new AbortController()
      running.set(stop, principal)
      try {
        await stream(this, framesOf(model, events(stop.signal), stop.signal, limits.heartbeatMs), stop, limits)
      } finally {
        stop.abort()
        running.delete(stop)
      }
    })
    app.addHook('preClose', async () => {
      for (const stop of running.keys()) stop.abort()
    })
  },
  { name: 'events', dependencies: ['errors'] },
)

/** Sends it past the framework, whose handler timeout would cut it short. */
async function stream(
  reply: FastifyReply,
  frames: AsyncIterable<string>,
  stop: AbortController,
  { recheckMs, durationMaxMs }: Limits,
): Promise<void> {
  const { request, raw } = reply
  reply.type(eventStream).header('cache-control', 'no-store').header('x-accel-buffering', 'no')
  reply.hijack()
  raw.writeHead(200, reply.getHeaders() as Record<string, string>)
  if (request.method === 'HEAD') return void raw.end()
  // A credential that cannot be judged is worth nothing either.
  const recheck = () =>
    request.recheck().then(
      (refusal) => refusal && stop.abort(),
      () => stop.abort(),
    )
  const timers = [setInterval(recheck, recheckMs), setTimeout(() => stop.abort(), durationMaxMs)]
  raw.once('close', () => stop.abort())
  stop.signal.addEventListener('abort', () => timers.push(setTimeout(() => raw.destroy(), lingerMs)))
  try {
    await pipeline(Readable.from(frames), raw)
  } catch (error) {
    raw.destroy()
    if (!stop.signal.aborted) reply.log.error({ err: error }, 'an event stream broke off')
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}

async function* framesOf(
  model: TObject,
  events: AsyncIterable<ServerEvent>,
  signal: AbortSignal,
  heartbeatMs: number,
): AsyncGenerator<string> {
  yield `retry: ${retryMs}\n\n`
  const source = events[Symbol.asyncIterator]()
  try {
    for (let next = source.next(); ; ) {
      const found = await soonest(next, heartbeatMs, signal)
      if (found === 'stopped') return
      if (found === 'late') yield ':\n\n'
      else if (found.done) return
      else {
        yield frameOf(model, found.value)
        next = source.next()
      }
    }
  } finally {
    // Not awaited: a source that waits for something ends when it sees the signal.
    source.return?.().catch(() => undefined)
  }
}

/** What comes first: the promise, the time, or the signal. */
function soonest<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T | 'late' | 'stopped'> {
  const { promise: found, resolve, reject } = Promise.withResolvers<T | 'late' | 'stopped'>()
  const timer = setTimeout(() => resolve('late'), ms)
  const stopped = () => resolve('stopped')
  if (signal.aborted) stopped()
  signal.addEventListener('abort', stopped)
  promise.then(resolve, reject)
  return found.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', stopped)
  })
}

function frameOf({ properties }: TObject, { event, id, data }: ServerEvent): string {
  const known = Object.entries(data).filter(([name]) => Object.hasOwn(properties, name))
  const lines = [`event: ${event}`, ...(id === undefined ? [] : [`id: ${id}`])]
  return `${lines.join('\n')}\ndata: ${JSON.stringify(Object.fromEntries(known))}\n\n`
}
