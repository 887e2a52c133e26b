import { setTimeout } from 'node:timers/promises'
import type { ServerEvent } from '../../../plugins/events.ts'
import type { ImportRow } from '../imports/queries.ts'
import { presentImport } from '../imports/rules.ts'

/** Names what an event tells, the same on every instance, so that a client can come back to any of them. */
export const markOf = ({ status, bytes, received, inserted, updated, unchanged, rejected }: ImportRow): string =>
  [status, bytes, received, inserted, updated, unchanged, rejected].join('-')

/**
 * What happens to an import: `progress` whenever its counts have changed, and at last an event named by how it ended.
 * @param seen the mark of the last event that the client has
 */
export async function* eventsOf(
  first: ImportRow,
  rows: AsyncIterable<ImportRow>,
  seen: string | undefined,
): AsyncGenerator<ServerEvent> {
  let told = seen
  const eventOf = (row: ImportRow): ServerEvent | undefined => {
    const id = markOf(row)
    if (row.status === 'running' && id === told) return undefined
    told = id
    return { event: row.status === 'running' ? 'progress' : row.status, id, data: presentImport(row) }
  }
  const now = eventOf(first)
  if (now !== undefined) yield now
  if (first.status !== 'running') return
  for await (const row of rows) {
    const event = eventOf(row)
    if (event !== undefined) yield event
    if (row.status !== 'running') return
  }
}

type Poll = { watchers: number; next: Promise<ImportRow> }

/** Looks at things again and again, once for all who watch the same one. */
export class Watch {
  readonly #everyMs: number
  readonly #polls = new Map<string, Poll>()

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** How many things are looked at. */
  get size(): number {
    return this.#polls.size
  }

  /**
   * What each look finds, until the signal aborts or a look fails; who takes his time misses some.
   * @param read looks at what the key names
   */
  async *follow(key: string, read: () => Promise<ImportRow>, signal: AbortSignal): AsyncGenerator<ImportRow> {
    const poll = this.#polls.get(key) ?? this.#begin(key, read)
    const { promise: aborted, resolve } = Promise.withResolvers<undefined>()
    const abort = () => resolve(undefined)
    signal.addEventListener('abort', abort)
    poll.watchers++
    try {
      while (!signal.aborted) {
        const row = await Promise.race([poll.next, aborted])
        if (row !== undefined) yield row
      }
    } finally {
      poll.watchers--
      signal.removeEventListener('abort', abort)
    }
  }

  #begin(key: string, read: () => Promise<ImportRow>): Poll {
    const poll: Poll = { watchers: 0, next: Promise.resolve() as never }
    const look = () => {
      poll.next = setTimeout(this.#everyMs).then(read)
      poll.next.then(
        () => (poll.watchers > 0 ? look() : this.#polls.delete(key)),
        () => this.#polls.delete(key),
      )
    }
    look()
    this.#polls.set(key, poll)
    return poll
  }
}
